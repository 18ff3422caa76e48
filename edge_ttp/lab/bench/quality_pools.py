"""Draws what `edge-ttp bench quality` and `bench swap` judge: the same item with the user's own history in the prompt,
with none, and with a stranger's, by the same seeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from edge_ttp.answer.prompt import Style
from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.bench.drawing import Artist, DrawnText
from edge_ttp.lab.bench.halves import Halved
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.policy.llama import LlamaPolicy

TASKS = ("huffpost_headline", "amazon_review_title", "email_reply", "gh_reply", "tv_reply", "commit_msg")
"""English tasks that the reward model, or an adapter, may have been trained on."""
LEFT_OUT = ("irc_reply", "podcast_reply", "fr_kaamelott")
"""Tasks that no shipped weights ever saw."""

DRAWN_AT = 0.8
COLDER = 0.4
RESULTS = "quality pools"

Advance = Callable[[int], None]


@dataclass(frozen=True)
class QualityRecipe:
    """How the pools of one file are drawn."""

    model: str
    """The policy file's SHA-256."""
    style: Style
    n: int = 16
    """Candidates at DRAWN_AT with the user's own history, and with a stranger's."""
    colder: int = 2
    """Candidates at COLDER with the own history, and at DRAWN_AT with none."""
    longest: int = 64
    """Most tokens of a candidate."""
    examples: int = 4
    each: int = 8
    """Queries of a user."""

    def header(self) -> dict[str, Any]:
        """The first line of the file."""
        return {"results": RESULTS, "format": 1, **self.__dict__}


@dataclass(frozen=True)
class DrawnQuery:
    """What was drawn for one query. Texts by what stood in the prompt."""

    own: tuple[DrawnText, ...]
    none: tuple[DrawnText, ...]
    stranger: tuple[DrawnText, ...]
    recalled: str
    """The output of the top recalled item."""
    by: int
    """Whose history stood in for the user's: the place among the query's strangers."""
    seconds: dict[str, float]

    @classmethod
    def of(cls, record: dict[str, Any]) -> DrawnQuery:
        """From a line of the file."""
        own, none, stranger = (tuple(DrawnText.of(one) for one in record[name]) for name in ("own", "none", "stranger"))
        return cls(own, none, stranger, str(record["recalled"]), int(record["by"]), dict(record["seconds"]))


def draw(
    policy: LlamaPolicy,
    queries: Sequence[Halved],
    out: Path,
    recipe: QualityRecipe,
    *,
    advance: Advance,
    cancel: Event | None = None,
    minutes: float | None = None,
) -> int:
    """Draws what `out` lacks of these queries, one after another; returns how many it holds now.

    `advance` is called with the number of queries done. After `minutes` it stops, to be called again. Raises
    InvalidInput where `out` was made in another way.
    """
    until = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
    every = [query for one in queries for query in (one.query, *one.strangers)]
    with (
        Resumable.append(out, recipe.header()) as state,
        Artist.over(policy, recipe.style, every, longest=recipe.longest) as artist,
    ):
        for number, one in enumerate(queries, 1):
            if (cancel is not None and cancel.is_set()) or time.monotonic() > until:
                break
            if one.query.key not in state.done:
                state.write(one.query.key, _record(artist, one, number, recipe))
            advance(number)
        return len(state.done)


def _record(artist: Artist, halved: Halved, number: int, recipe: QualityRecipe) -> dict[str, Any]:
    by = number % len(halved.strangers) if halved.strangers else 0
    asked: dict[str, tuple[Query, tuple[float, ...]]] = {
        "own": (halved.query, (0.0, *(DRAWN_AT,) * recipe.n, *(COLDER,) * recipe.colder)),
        "none": (halved.without, (0.0, *(DRAWN_AT,) * recipe.colder)),
    }
    if halved.strangers:
        asked["stranger"] = (halved.strangers[by], (0.0, *(DRAWN_AT,) * recipe.n))
    record: dict[str, Any] = {"stranger": [], "recalled": "", "by": by, "seconds": {}}
    for name, (query, temperatures) in asked.items():
        examples = artist.examples(query, recipe.examples) if name != "none" else []
        if name == "own" and examples:
            record["recalled"] = examples[0][1]
        # The lengths of candidates and the seeds are the user's own whatever stands in the prompt.
        found = artist.draw(halved.query, examples, temperatures)
        record[name] = [text.as_list() for text in found.candidates]
        record["seconds"][name] = round(found.seconds, 2)
    return record
