"""Is the law right on real pools? Quantities from half of the users predict the curve of the other half.

The law: rho sigma times the expected maximum of n of the half's own standardized scores, as a share of its oracle's.
Its plain form: predicted gain(n) = the other half's oracle gain(n) x (1-c) [(1-h) rho_plus - h rho_minus], and that
corrected for the skewness of scores and utilities. Beside them stand the trivial rivals, and the other half's own
measured share, which no law could beat: its miss is what chance alone makes of halves this small. Users are split at
random many times, and both halves take both roles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from edge_ttp.lab.reproduction.cells import Cell
from edge_ttp.scaling import best_of_n, expected_maximum, four_quantities, gains, skewed_share

Floats = npt.NDArray[np.float64]

PLAIN = "plain law"
SPACED = "law"
CORRECTED = "plain law, corrected for skew"
CONSTANT = "one share for all"
ORDER = "const x m_N"
TRANSFER = "other half's curve"
FORMS = (SPACED, PLAIN, CORRECTED, CONSTANT, ORDER, TRANSFER)

_RESAMPLES = 20
_ENOUGH = 20
"""Informative queries that a cell needs to be split."""

_TRIES = 20
_FEWEST = 8
"""Informative queries that a half needs."""


@dataclass(frozen=True)
class Form:
    """How one way of predicting does, over all points of a split; means over splits with their 5% and 95% points."""

    r2: float
    r2_low: float
    r2_high: float
    error: float
    """Mean absolute error of the share."""
    error_low: float
    error_high: float


@dataclass(frozen=True)
class LawCase:
    """One point: a cell at one n. Means over splits and halves."""

    task: str
    policy: str
    variant: str
    n: int
    measured: float
    """Share of the oracle's gain."""
    predicted: float
    """By the law."""
    off: float
    """Mean absolute error of the law's share."""
    chance: float
    """The same of the other half's own measured share."""


@dataclass(frozen=True)
class LawTest:
    """The law and its rivals on halves of users."""

    forms: dict[str, Form]
    cases: list[LawCase]
    departure: dict[int, float]
    """Measured minus predicted share by n, mean over cells: what the law gets wrong in the same way everywhere."""
    kept: dict[int, float]
    """The same of the plain form where every subset keeps the scores of its whole pool, so that only the tails of
    scores and utilities can make the share depend on n. Without splits."""
    score_skewness: float
    """Mean skewness of the scores within a pool, over cells; below 0 where bad candidates stand out more than good
    ones."""
    utility_skewness: float
    splits: int
    points: int
    """Points in one split: cells x sizes x 2 halves."""

    @property
    def worst(self) -> LawCase:
        """The point whose predicted share is furthest from the measured one on average."""
        return max(self.cases, key=lambda case: abs(case.predicted - case.measured))


def law_test(
    cells: Sequence[Cell], *, splits: int, seed: int, advance: Callable[[float], None] = lambda done: None
) -> LawTest | None:
    """The test over all cells that have enough informative queries in both halves; None if there are none."""
    usable = [cell for cell in cells if int(cell.pools.evidence().informative.sum()) >= _ENOUGH]
    if not usable:
        return None
    scores: dict[str, list[tuple[float, float]]] = {form: [] for form in FORMS}
    shares: list[Floats] = []
    for split in range(splits):
        # A task's users are split alike for all its variants, which the rivals compare.
        halves = [_halves(cell, np.random.default_rng([seed, split, crc32(cell.task.encode())])) for cell in usable]
        rows = [_predict(usable, halves, role) for role in (0, 1)]
        together = np.concatenate(rows)  # (points, 2 + forms): measured gain, oracle, predictions
        for place, form in enumerate(FORMS):
            scores[form].append(_score(together[:, 0], together[:, 1], together[:, 2 + place]))
        columns = [0, 2 + FORMS.index(SPACED), 2 + FORMS.index(TRANSFER)]
        shares.append(np.stack([part[:, columns] / part[:, 1:2] for part in rows]))
        advance(split + 1)
    return LawTest(
        forms={form: _form(np.array(values)) for form, values in scores.items()},
        cases=_cases(usable, np.concatenate(shares)),
        departure=_departure(usable, np.concatenate(shares)),
        kept=_kept(usable),
        score_skewness=float(np.mean([_skewness(_matrix(cell, cell.pools.score)) for cell in usable])),
        utility_skewness=float(np.mean([_skewness(_matrix(cell, cell.pools.utility)) for cell in usable])),
        splits=splits,
        points=2 * sum(len(cell.sizes) for cell in usable),
    )


def _halves(cell: Cell, rng: np.random.Generator) -> tuple[Cell, Cell]:
    """The cell's queries by a random half of its users; by halves of the queries where users are too few for that."""
    users = np.unique(cell.user)
    for _ in range(_TRIES if len(users) > 1 else 0):
        first = np.isin(cell.user, rng.permutation(users)[: len(users) // 2])
        parts = cell.take(first), cell.take(~first)
        if min(int(part.pools.evidence().informative.sum()) for part in parts) >= _FEWEST:
            return parts
    first = rng.permutation(len(cell.user)) < len(cell.user) // 2
    return cell.take(first), cell.take(~first)


def _predict(cells: Sequence[Cell], halves: Sequence[tuple[Cell, Cell]], role: int) -> Floats:
    """(points, 2 + forms): measured gain, the oracle's, and every form's prediction, for the half `1 - role`."""
    known, tested = [pair[role] for pair in halves], [pair[1 - role] for pair in halves]
    total = sum(cell.gain.mean(axis=0).sum() for cell in known) / sum(cell.oracle.mean(axis=0).sum() for cell in known)
    slopes = _slopes(known)
    rows = []
    for whole, learned, new in zip(cells, known, tested, strict=True):
        measured, oracle = new.gain.mean(axis=0), new.oracle.mean(axis=0)
        share = predicted_share(learned)
        forms = {
            SPACED: spaced_share(learned) * oracle,
            PLAIN: share * oracle,
            CORRECTED: corrected_share(learned, share) * oracle,
            CONSTANT: total * oracle,
            ORDER: slopes[whole.task, whole.policy] * expected_maximum(np.array(whole.sizes, dtype=np.float64)),
            TRANSFER: learned.share * oracle,
        }
        rows.append(np.stack([measured, oracle, *(forms[name] for name in FORMS)], axis=1))
    return np.concatenate(rows)


def predicted_share(cell: Cell) -> float:
    """(1-c) [(1-h) rho_plus - h rho_minus] of a cell; from the mean correlation where h cannot be estimated."""
    quantities = four_quantities(cell.pools.evidence(), cell.pools.user, cell.pools.users, resamples=_RESAMPLES)
    law = quantities.law
    return law.share if law is not None else quantities.share.value


def corrected_share(cell: Cell, share: float) -> Floats:
    """(sizes,) the cell's predicted `share` corrected for the skewness of the cell's scores and utilities."""
    skewness = cell.pools.skewness()
    return skewed_share(
        cell.sizes,
        share,
        score_skewness=skewness.score,
        utility_skewness=skewness.utility,
    )


def spaced_share(cell: Cell) -> Floats:
    """(sizes,) share by n with the spacing of the cell's own scores and utilities in place of Gaussian ones."""
    pools = cell.pools
    found = gains(pools, pools.evidence(), np.zeros(len(pools), dtype=np.int64), 1)
    places = np.array(cell.sizes) - 1
    return np.asarray(found.spaced[0, places] / found.oracle[0, places], dtype=np.float64)


def _slopes(known: Sequence[Cell]) -> dict[tuple[str, str], float]:
    """Least squares of measured gains on m_n for each task and policy, over its variants."""
    sums: dict[tuple[str, str], list[float]] = {}
    for cell in known:
        order = expected_maximum(np.array(cell.sizes, dtype=np.float64))
        held = sums.setdefault((cell.task, cell.policy), [0.0, 0.0])
        held[0] += float(order @ cell.gain.mean(axis=0))
        held[1] += float(order @ order)
    return {key: above / below for key, (above, below) in sums.items()}


def _score(measured: Floats, oracle: Floats, predicted: Floats) -> tuple[float, float]:
    """R^2 of the gain, and mean absolute error of the share."""
    total = float(np.sum((measured - measured.mean()) ** 2))
    r2 = 1 - float(np.sum((measured - predicted) ** 2)) / total if total > 0 else float("nan")
    return r2, float(np.mean(np.abs(measured - predicted) / oracle))


def _form(values: Floats) -> Form:
    low, high = np.quantile(values, [0.05, 0.95], axis=0)
    mean = values.mean(axis=0)
    return Form(float(mean[0]), float(low[0]), float(high[0]), float(mean[1]), float(low[1]), float(high[1]))


def _cases(cells: Sequence[Cell], shares: Floats) -> list[LawCase]:
    """`shares`: (splits x 2, points, 3) measured, by the law, and by the other half's curve."""
    off = np.abs(shares[:, :, 0:1] - shares[:, :, 1:]).mean(axis=0)
    mean = shares.mean(axis=0)
    labels = [(cell, n) for cell in cells for n in cell.sizes]
    return [
        LawCase(
            cell.task,
            cell.policy,
            cell.variant,
            n,
            float(mean[place, 0]),
            float(mean[place, 1]),
            float(off[place, 0]),
            float(off[place, 1]),
        )
        for place, (cell, n) in enumerate(labels)
    ]


def _departure(cells: Sequence[Cell], shares: Floats) -> dict[int, float]:
    mean = shares.mean(axis=0)
    sizes = np.array([n for cell in cells for n in cell.sizes])
    return {int(n): float((mean[sizes == n, 0] - mean[sizes == n, 1]).mean()) for n in np.unique(sizes)}


def _kept(cells: Sequence[Cell]) -> dict[int, float]:
    misses: dict[int, list[float]] = {}
    for cell in cells:
        utility = _matrix(cell, cell.pools.utility)
        gain = best_of_n(utility, _matrix(cell, cell.pools.score), cell.sizes) - utility.mean(axis=1, keepdims=True)
        share = gain.sum(axis=0) / cell.oracle.sum(axis=0) - predicted_share(cell)
        for n, miss in zip(cell.sizes, share, strict=True):
            misses.setdefault(n, []).append(float(miss))
    return {n: float(np.mean(values)) for n, values in sorted(misses.items())}


def _matrix(cell: Cell, column: Floats) -> Floats:
    return column.reshape(-1, cell.sizes[-1])


def _skewness(values: Floats) -> float:
    """Mean over the rows whose values differ."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1)
    rows = spread > 0
    return float(np.mean((centred[rows] ** 3).mean(axis=1) / spread[rows] ** 3)) if rows.any() else float("nan")
