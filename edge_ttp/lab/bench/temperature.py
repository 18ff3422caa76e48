"""Which temperature makes the best pools to choose from: candidates of every query at several temperatures at once.

All temperatures of a query are drawn in one call, with the greedy answer, from the same prompt. A pool of n candidates
at one temperature, or a ladder of several, is then a part of what was drawn (`edge_ttp.lab.bench.ladders`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from threading import Event
from typing import Any

from edge_ttp.answer.prompt import Style
from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.bench.drawing import Artist, DrawnText, draw_missing
from edge_ttp.lab.bench.ladders import Arm, Judge, JudgedPool
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.utility import utility

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
class TemperatureRecipe:
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
    recipe: TemperatureRecipe,
    *,
    advance: Advance,
    cancel: Event | None = None,
) -> int:
    """Draws the pools of `queries` that `out` lacks. As `draw_missing`."""
    return draw_missing(
        policy, queries, out, recipe, lambda artist, query: _pool(artist, query, recipe), advance=advance, cancel=cancel
    )


def _pool(artist: Artist, query: Query, recipe: TemperatureRecipe) -> dict[str, Any]:
    n = recipe.n if artist.longest(query) <= SHORT else max(1, recipe.n // 2)
    found = artist.draw(query, artist.examples(query, recipe.examples), (0.0, *recipe.temperatures * n))
    return {
        "examples": found.examples,
        "seconds": round(found.seconds, 2),
        "candidates": [one.as_list() for one in found.candidates],
    }


def arms(temperatures: Sequence[float]) -> list[Arm]:
    """Every temperature alone and after the greedy answer, and ladders of all and of the colder ones."""
    ladders = [tuple(temperatures), tuple(temperatures[:-1])] if len(temperatures) > 2 else [tuple(temperatures)]
    cycles = [*((one,) for one in temperatures), *ladders]
    return [Arm(cycle, greedy) for cycle in cycles for greedy in (False, True)]


def judge(
    reward: RewardModel, queries: Sequence[Query], pools: Path, *, advance: Advance, cancel: Event | None = None
) -> dict[tuple[str, str, int], tuple[float, dict[str, dict[int, JudgedPool]]]]:
    """For every query in the pool file: utility of the greedy answer, and what every arm gives at every size.

    What is found is kept beside the pools, in FILE.judged of this reward model, and not computed again.
    """
    header, drawn = Resumable.read(pools)
    tried = arms(header["temperatures"])
    kept = {"results": "judged pools", "format": 1, "reward": reward.fingerprint, "arms": [arm.name for arm in tried]}
    judging = Judge(reward)

    def judged(query: Query) -> dict[str, Any] | None:
        if query.key not in drawn:
            return None
        candidates = [DrawnText.of(one) for one in drawn[query.key]["candidates"]]
        greedy = next(one.text for one in candidates if one.temperature == 0)
        found = judging.judge(query, candidates, tried)
        values = {arm: {n: astuple(one) for n, one in sizes.items()} for arm, sizes in found.items()}
        return {"greedy": utility(greedy, query.item.output), "judged": values}

    with Resumable.append(pools.with_name(f"{pools.name}.{reward.fingerprint}.judged"), kept) as state:
        state.fill(queries, judged, advance=advance, cancel=cancel)
        lines = {query.key: state.done[query.key] for query in queries if query.key in state.done}
    return {key: (float(line["greedy"]), _by_arm(line["judged"])) for key, line in lines.items()}


def _by_arm(judged: dict[str, dict[str, Any]]) -> dict[str, dict[int, JudgedPool]]:
    return {arm: {int(n): JudgedPool(*one) for n, one in sizes.items()} for arm, sizes in judged.items()}
