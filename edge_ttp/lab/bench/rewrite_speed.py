"""How long a rewriting takes: seconds to the first whole version, and to the choice, on notes of a given length.

The notes are made of the project's own sample history, so that nothing else is needed; the same history gives the
examples. Every round draws with another seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from edge_ttp.answer.by_rule import ByRule
from edge_ttp.answer.facts import signatures
from edge_ttp.answer.outline import outline
from edge_ttp.answer.surface import Habits
from edge_ttp.runtime import Runtime
from edge_ttp.samples import sample_items
from edge_ttp.schema import Budget, Event, HistoryItem

USER = "theo"


@dataclass(frozen=True)
class RewriteSpeed:
    """Medians over the rounds; seconds."""

    words: int
    """Of the notes."""
    by_rule_s: float
    """To the version that is made without drawing."""
    first_s: float
    """To the first version that was drawn to its end."""
    choice_s: float
    n: float
    """Versions that were drawn."""
    rounds: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def notes(words: int) -> str:
    """Notes of so many words: what happened, as the sample history tells it, made plain."""
    found: list[str] = []
    for item in sample_items(USER):
        if len(found) < words:
            found += outline(item["input"], "words").split()
    return " ".join(found[:words])


def measure(
    options: dict[str, Any],
    *,
    words: int,
    rounds: int,
    n: int | None,
    adapter: str | None,
    seconds: float | None,
    advance: Callable[[int], None],
) -> RewriteSpeed:
    """Times `rounds` rewritings, after one that loads what has to be loaded. `options`: of Runtime.open."""
    given = notes(words)
    said = tuple(item["output"] for item in reversed(sample_items(USER)))
    rule = ByRule(given, said, Habits.of(said), signatures(said), notes=True)
    rule.edited()  # reads the lists and the network
    firsts, choices, counts = [], [], []
    with TemporaryDirectory(prefix="edge-ttp-bench-") as home, Runtime.open(home=home, **options) as runtime:
        runtime.history.add_many(
            HistoryItem(user_id=USER, input=item["input"], output=item["output"], kind=item["kind"])
            for item in sample_items(USER)
        )
        for number in range(rounds + 1):
            first: list[float] = []

            def heard(event: Event, first: list[float] = first) -> None:
                if event.type == "finished" and not first:
                    first.append(time.perf_counter())

            began = time.perf_counter()
            made = runtime.rewrite(
                given, notes=True, user=USER, kind="notice", n=n, seed=number, adapter=adapter, store=False,
                budget=Budget(deadline_s=seconds), on_event=heard,
            )  # fmt: skip
            ended = time.perf_counter()
            if number:
                firsts.append((first or [ended])[0] - began)
                choices.append(ended - began)
                counts.append(sum(one.made == "drawn" for one in made.generation.candidates))
            advance(number)
    began = time.perf_counter()
    replace(rule).edited()
    by_rule = time.perf_counter() - began
    return RewriteSpeed(len(given.split()), by_rule, median(firsts), median(choices), median(counts), rounds)
