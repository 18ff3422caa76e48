"""What matters in the end: how well the answers chosen with a policy agree with what the users really wrote."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.reward.utility import utility
from edge_ttp.runtime import Runtime
from edge_ttp.schema import HistoryItem
from edge_ttp_export.policy.held_out import HeldOutQuery

QUERIES = 24
CANDIDATES = 8
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Utilities:
    """Utilities of one model's candidates for the queries, 0 to 1."""

    chosen: tuple[float, ...]
    """(queries,): of the answer that the runtime gave."""
    mean: tuple[float, ...]
    """(queries,): the mean of all candidates."""
    best: tuple[float, ...]
    """(queries,): the best of all candidates."""


@dataclass(frozen=True)
class Benefit:
    """Best-of-N utility of one model, and how it differs from the reference's on the same queries."""

    queries: int
    candidates: int
    chosen: float
    """Mean utility of the answers that the runtime gave."""
    mean: float
    best: float
    difference: float
    """`chosen` minus the reference's."""
    difference_error: float
    """Standard error of the difference, paired by query."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON and manifests."""
        return asdict(self)


def measure_utilities(
    path: Path,
    queries: Sequence[HeldOutQuery],
    *,
    candidates: int,
    threads: int,
    advance: Callable[[int], None] | None = None,
) -> Utilities:
    """The utilities that the runtime reaches with the GGUF file at `path`, every query with the same seed."""
    rows: list[tuple[float, float, float]] = []
    with (
        tempfile.TemporaryDirectory(prefix="edge-ttp-benefit-") as home,
        Runtime.open(home=home, model=str(path), threads=threads) as runtime,
    ):
        known: set[str] = set()
        for index, query in enumerate(queries):
            if query.user not in known:
                known.add(query.user)
                runtime.history.add_many(
                    HistoryItem(
                        user_id=query.user, input=given, output=written, created_at=_EPOCH + timedelta(hours=place)
                    )
                    for place, (given, written) in enumerate(query.earlier)
                )
            answer = runtime.generate(query.prompt, user=query.user, n=candidates, seed=index * 1000, store=False)
            all_of_them = [utility(one.text, query.written) for one in answer.candidates]
            rows.append((all_of_them[answer.chosen], float(np.mean(all_of_them)), max(all_of_them)))
            if advance is not None:
                advance(index + 1)
    chosen, mean, best = zip(*rows, strict=True)
    return Utilities(chosen, mean, best)


def compare_utilities(ours: Utilities, reference: Utilities, candidates: int) -> Benefit:
    """The means of `ours`, and the paired difference from the reference."""
    difference: npt.NDArray[np.float64] = np.subtract(ours.chosen, reference.chosen)
    count = len(difference)
    return Benefit(
        queries=count,
        candidates=candidates,
        chosen=float(np.mean(ours.chosen)),
        mean=float(np.mean(ours.mean)),
        best=float(np.mean(ours.best)),
        difference=float(difference.mean()),
        difference_error=float(difference.std(ddof=1) / math.sqrt(count)) if count > 1 else 0.0,
    )
