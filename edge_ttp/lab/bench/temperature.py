"""Which temperature makes the best pools to choose from: candidates of every query at several temperatures at once.

All temperatures of a query are drawn in one call, with the greedy answer, from the same prompt. A pool of n candidates
at one temperature, or a ladder of several, is then a part of what was drawn (`edge_ttp.lab.bench.ladders`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from edge_ttp.answer.prompt import Style
from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.bench.drawing import Artist
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.policy.llama import LlamaPolicy

TEMPERATURES = (0.3, 0.45, 0.6, 0.8)
TASKS = (
    "huffpost_headline",
    "acl_title_first",
    "amazon_review_title",
    "email_reply",
    "gh_reply",
    "tv_reply",
    "commit_msg",
)
"""Tasks that the temperature is chosen on: English, since the default policy writes little else."""

SHORT = 32
"""Users whose longest text has at most so many tokens get all candidates, others half as many: those cost most."""

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Recipe:
    """How the pools of one file are drawn."""

    model: str
    """The policy file's SHA-256."""
    style: Style
    temperatures: tuple[float, ...] = TEMPERATURES
    n: int = 32
    """Candidates at each temperature."""
    longest: int = 64
    """Most tokens of a candidate."""
    examples: int = 4

    def header(self) -> dict[str, Any]:
        """The first line of the file."""
        return {"results": "temperature pools", "format": 1, **self.__dict__}


def draw(
    policy: LlamaPolicy,
    queries: Sequence[Query],
    out: Path,
    recipe: Recipe,
    *,
    advance: Advance,
    cancel: Event | None = None,
) -> int:
    """Draws the pools of `queries` that `out` lacks, one after another; returns how many it holds now.

    `advance` is called with the number of queries done. Raises InvalidInput where `out` was made in another way.
    """
    with (
        Resumable.append(out, recipe.header()) as state,
        Artist.over(policy, recipe.style, queries, longest=recipe.longest) as artist,
    ):
        for number, query in enumerate(queries, 1):
            if cancel is not None and cancel.is_set():
                break
            if query.key not in state.done:
                state.write(query.key, _pool(artist, query, recipe))
            advance(number)
        return len(state.done)


def _pool(artist: Artist, query: Query, recipe: Recipe) -> dict[str, Any]:
    n = recipe.n if artist.longest(query) <= SHORT else max(1, recipe.n // 2)
    found = artist.draw(query, artist.examples(query, recipe.examples), (0.0, *recipe.temperatures * n))
    return {
        "examples": found.examples,
        "seconds": round(found.seconds, 2),
        "candidates": [one.as_list() for one in found.candidates],
    }
