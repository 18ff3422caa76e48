"""How well texts are said again: the plain version itself, greedy, and best of N, with or without an adapter.

The text to be found is what the user really wrote; given is its plain version (answer/outline.py), and the text itself
and its near duplicates are hidden from recall, as they are for any rewriting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import numpy as np

from edge_ttp.answer.facts import compared, signatures
from edge_ttp.answer.outline import Depth, outline
from edge_ttp.lab.bench.corpus import Query
from edge_ttp.lab.bench.drawing import owner_of
from edge_ttp.learning.sent import edits
from edge_ttp.reward.utility import utility
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Budget, Keep, LoraAdapter, Sampling


@dataclass(frozen=True)
class SaidAgain:
    """One text, said again in one way."""

    way: str
    utility: float
    """Against the text that was really written, 0 to 1."""
    kept: bool
    """Whether every fact of what was given stands, and none was added."""
    edits: float
    """Characters to edit to get to the true text, for each character of it."""
    seconds: float


@dataclass(frozen=True)
class Way:
    """How texts are said again."""

    name: str
    n: int | None
    deadline_s: float | None = None
    sampling: Sampling = field(default_factory=Sampling)


def ways(n: int | None, seconds: float | None, adapter: Path | None) -> list[Way]:
    """Greedy and best of N (`n`, or what `seconds` allow), and the same with the adapter where one is given."""
    found = []
    for name, adapters in (("", ()), ("adapter ", (LoraAdapter(path=str(adapter)),) if adapter else None)):
        if adapters is not None:
            found += [
                Way(f"{name}greedy", 1, seconds, Sampling(temperature=0, adapters=adapters)),
                Way(f"{name}best of n", n, seconds, Sampling(adapters=adapters)),
            ]
    return found


def measure(
    queries: Sequence[Query],
    tried: Sequence[Way],
    *,
    depth: Depth = "words",
    keep: Keep = "loose",
    options: dict[str, Any],
    advance: Callable[[int], None],
    cancel: Event | None = None,
) -> list[SaidAgain]:
    """What every way makes of the plain version of each query's text. `options`: of Runtime.open."""
    found: list[SaidAgain] = []
    with TemporaryDirectory(prefix="edge-ttp-bench-") as folder, Runtime.open(home=folder, **options) as runtime:
        for number, query in enumerate(queries, 1):
            if cancel is not None and cancel.is_set():
                break
            user, written = owner_of(query), query.item.output
            runtime.history.add_many(
                one.model_copy(update={"id": None, "user_id": user, "kind": query.task})
                for one in query.history
                if one.output.strip()
            )
            given = outline(written, depth)
            if given:
                own = signatures([one.output for one in query.history])
                found.append(SaidAgain("as given", utility(given, written), True, _edits(given, written), 0.0))
                for way in tried:
                    began = time.monotonic()
                    made = runtime.rewrite(
                        given, notes=True, keep=keep, user=user, kind=query.task, n=way.n, sampling=way.sampling,
                        budget=Budget(deadline_s=way.deadline_s), seed=number, store=False, cancel=cancel,
                    )  # fmt: skip
                    took = time.monotonic() - began
                    kept = compared(given, made.text, own=own).sound
                    value = utility(made.text, written)
                    found.append(SaidAgain(way.name, value, kept, _edits(made.text, written), took))
            advance(number)
    return found


def _edits(text: str, written: str) -> float:
    return edits(text.strip(), written.strip()) / max(1, len(written.strip()))


def table(found: Sequence[SaidAgain]) -> list[dict[str, Any]]:
    """Means by way, in their order: texts, utility with its standard error, facts kept, edits, seconds."""
    rows = []
    for way in dict.fromkeys(one.way for one in found):
        of_way = [one for one in found if one.way == way]
        values = np.array([one.utility for one in of_way])
        error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
        rows.append(
            {
                "way": way,
                "texts": len(of_way),
                "utility": float(values.mean()),
                "error": error,
                "facts_kept": float(np.mean([one.kept for one in of_way])),
                "edits": float(np.mean([one.edits for one in of_way])),
                "seconds": float(np.mean([one.seconds for one in of_way])),
            }
        )
    return rows
