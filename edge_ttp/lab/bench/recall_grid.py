"""What recalled examples are worth: number, choice and order, for users of short and of long texts.

For every query the policy draws a greedy answer and a pool from each prompt of the grid. What the planner uses
(`edge_ttp.answer.example_worth`) is made of this table by `edge_ttp.lab.bench.worth_tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import numpy as np

from edge_ttp.answer.core import choose_core, epoch
from edge_ttp.answer.example_worth import writes_long
from edge_ttp.answer.prompt import LENGTHS_FROM, Style
from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.bench.drawing import Artist, DrawnText, draw_missing
from edge_ttp.lab.bench.ladders import Arm, Difference, Judge
from edge_ttp.lab.bench.resumable import Key, Resumable
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.utility import utility

NUMBERS = (0, 1, 2, 3, 4, 6, 8)
"""Examples by BM25, the most similar last."""
ALONE = (0, 1, 2, 4, 8)
"""Those of them that are drawn where only the number is asked about."""
OTHERS = (("newest", 4), ("reversed", 4))
"""The newest items instead, and the most similar first."""

BESIDE = (0, 1, 2, 4)
"""Recalled examples behind a core where nobody says how many."""

Advance = Callable[[int], None]
Examples = list[tuple[str, str]]


@dataclass(frozen=True)
class GridRecipe:
    """How the pools of one file are drawn."""

    model: str
    """The policy file's SHA-256."""
    style: Style
    temperature: float
    n: int = 8
    longest: int = 64
    """Most tokens of a candidate."""
    cores: tuple[int, ...] = ()
    """Examples of a core that stands first in every prompt of the user (answer/core.py): with recalled ones behind it,
    in place of numbers and orders."""
    beside: tuple[int, ...] = ()
    """Recalled examples behind a core, by BM25."""
    numbers: tuple[int, ...] = ()
    """Only so many examples by BM25, in the order of a request: no other choice, no other order."""

    def header(self) -> dict[str, Any]:
        """The first line of the file."""
        named = {name: list(value) if isinstance(value, tuple) else value for name, value in self.__dict__.items()}
        for absent in [name for name in ("cores", "beside", "numbers") if not named[name]]:
            del named[absent]
        return {"results": "recall grid", "format": 1, **named}


def draw(
    policy: LlamaPolicy,
    queries: Sequence[Query],
    out: Path,
    recipe: GridRecipe,
    *,
    advance: Advance,
    cancel: Event | None = None,
) -> int:
    """Draws the grid of every query that `out` lacks. As `draw_missing`."""
    return draw_missing(
        policy, queries, out, recipe, lambda artist, query: _grid(artist, query, recipe), advance=advance, cancel=cancel
    )


def _grid(artist: Artist, query: Query, recipe: GridRecipe) -> dict[str, Any]:
    lengths = [artist.policy.count_tokens(item.output) for item in query.history[-LENGTHS_FROM:]]
    temperatures = (0.0, *[recipe.temperature] * recipe.n)
    drawn: dict[str, Any] = {}
    for prompt in _cores(artist, query, recipe) if recipe.cores else _numbers(artist, query, recipe.numbers):
        pool = artist.draw(query, prompt.examples, temperatures)
        drawn[prompt.name] = {
            "examples": pool.examples,
            "seconds": round(pool.seconds, 2),
            "anew": len(pool.prompt) - artist.shared(pool.prompt, prompt.core),
            "candidates": [one.as_list() for one in pool.candidates],
        }
    return {"long": writes_long(lengths), "drawn": drawn}


class _GridPrompt(NamedTuple):
    name: str
    examples: Examples
    """Best first; it stands last in the prompt."""
    core: Sequence[tuple[str, str]] = ()
    """Those of them that stand first in every prompt of the user, in their order there."""


def _numbers(artist: Artist, query: Query, alone: Sequence[int]) -> Iterator[_GridPrompt]:
    """Prompts by the number, the choice and the order of examples. Those that are no other prompt are left out.

    `alone`: numbers that are looked at without other choices and orders; none: all, and those too.
    """
    found = artist.examples(query, max(alone or NUMBERS))
    for number in alone or NUMBERS:
        if number <= len(found):
            yield _GridPrompt(f"BM25 {number}", found[:number])
    for name, number in () if alone else OTHERS:
        if name == "newest":
            yield _GridPrompt(
                f"newest {number}", [(one.input, one.output) for one in reversed(query.history[-number:])]
            )
        else:
            yield _GridPrompt(f"reversed {number}", found[:number][::-1])


def _cores(artist: Artist, query: Query, recipe: GridRecipe) -> Iterator[_GridPrompt]:
    """Prompts by the size of the core and the number of recalled examples behind it; first without a core."""
    found = artist.examples(query, max(4, *recipe.beside) + max(recipe.cores))
    for number in (0, 4):
        yield _GridPrompt(f"BM25 {number}", found[:number])
    known = query.history[: epoch(len(query.history))]
    for size in recipe.cores:
        core = [(one.input, one.output) for one in choose_core(known, size)]
        beside = [one for one in found if one not in core]
        for number in recipe.beside:
            if len(core) == size and len(beside) >= number:
                yield _GridPrompt(f"core {size} + {number}", [*beside[:number], *reversed(core)], core)


@dataclass(frozen=True)
class GridRow:
    """One prompt of the grid, over users of short or of long texts. Utilities, 0 to 1."""

    texts: str
    """`short`, `long`, or `all`."""
    prompt: str
    queries: int
    users: int
    greedy: float
    mean: float
    chosen: float
    over_none: Difference
    """The pool's mean over that of the prompt without examples."""
    over_default: Difference
    """What is chosen over what is chosen with the four most similar."""
    worth: float
    """`over_none` in units of the utility's spread inside a pool."""
    worth_low: float
    worth_high: float
    worth_error: float
    """Its central 95% interval and its standard error, the spread taken as known."""
    anew: float | None = None
    """Tokens that a user's second request reads, the mean; None where that was not kept."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self.__dict__, "over_none": self.over_none.as_dict(), "over_default": self.over_default.as_dict()}


@dataclass(frozen=True)
class GridPoint:
    """What one prompt gave on one query."""

    greedy: float
    mean: float
    chosen: float
    spread: float
    anew: float | None = None


GridResult = tuple[bool, Mapping[str, GridPoint]]
"""Whether a query's user writes long texts, and what each prompt gave."""
Grid = Mapping[Key, GridResult]


def judge(
    reward: RewardModel, queries: Sequence[Query], grid: Path, *, advance: Advance, cancel: Event | None = None
) -> dict[Key, GridResult]:
    """What every prompt gave on every query in the file; kept beside it, and not computed again."""
    header, drawn = Resumable.read(grid)
    arm, n = Arm((header["temperature"],)), int(header["n"])
    kept = {"results": "judged grid", "format": 1, "reward": reward.fingerprint}
    judging = Judge(reward)

    def judged(query: Query) -> dict[str, Any] | None:
        if query.key not in drawn:
            return None
        line = drawn[query.key]
        points = {
            name: [
                *_point(judging, query, [DrawnText.of(one) for one in pool["candidates"]], arm, n),
                pool.get("anew"),
            ]
            for name, pool in line["drawn"].items()
        }
        return {"long": line["long"], "points": points}

    with Resumable.append(grid.with_name(f"{grid.name}.{reward.fingerprint}.judged"), kept) as state:
        state.fill(queries, judged, advance=advance, cancel=cancel)
        lines = {query.key: state.done[query.key] for query in queries if query.key in state.done}
    return {
        key: (line["long"], {name: GridPoint(*point) for name, point in line["points"].items()})
        for key, line in lines.items()
    }


def _point(judging: Judge, query: Query, candidates: Sequence[DrawnText], arm: Arm, n: int) -> list[float]:
    judged = judging.judge(query, candidates, [arm], (n,))[arm.name][n]
    utilities = [(one.temperature, utility(one.text, query.item.output)) for one in candidates]
    greedy = next(value for temperature, value in utilities if temperature == 0)
    drawn = [value for temperature, value in utilities if temperature != 0]
    return [greedy, judged.mean, judged.chosen, float(np.std(drawn, ddof=1))]


def rows(grid: Grid) -> list[GridRow]:
    """Rows for all users, those of short and those of long texts, over the queries that have the prompt."""
    names = list(dict.fromkeys(name for _, points in grid.values() for name in points))
    table = []
    for texts, wanted in (("all", (True, False)), ("short", (False,)), ("long", (True,))):
        for name in names:
            mine = [
                (f"{key[0]}/{key[1]}", points[name], points["BM25 0"], points.get("BM25 4", points[name]))
                for key, (is_long, points) in grid.items()
                if is_long in wanted and name in points
            ]
            if mine:
                table.append(_row(texts, name, mine))
    return table


def _row(texts: str, name: str, mine: Sequence[tuple[str, GridPoint, GridPoint, GridPoint]]) -> GridRow:
    users = [user for user, *_ in mine]
    over_none = Difference.of([one.mean - none.mean for _, one, none, _ in mine], users)
    spread = float(np.mean([four.spread for *_, four in mine]))  # of the default request, as the planner's is
    worth = [value / spread if spread > 0 else 0.0 for value in over_none.__dict__.values()]
    anew = [one.anew for _, one, _, _ in mine if one.anew is not None]
    return GridRow(
        texts=texts,
        prompt=name,
        queries=len(mine),
        users=len(set(users)),
        greedy=float(np.mean([one.greedy for _, one, _, _ in mine])),
        mean=float(np.mean([one.mean for _, one, _, _ in mine])),
        chosen=float(np.mean([one.chosen for _, one, _, _ in mine])),
        over_none=over_none,
        over_default=Difference.of([one.chosen - four.chosen for _, one, _, four in mine], users),
        worth=worth[0],
        worth_error=worth[1],
        worth_low=worth[2],
        worth_high=worth[3],
        anew=float(np.mean(anew)) if anew else None,
    )
