"""The ladder from committed numbers: which failure appears on which rung, and what the learned variance mends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.lab.diagnosis.judge import judge
from edge_ttp.lab.diagnosis.score_table import Table
from edge_ttp.lab.diagnosis.verdict import verdict
from edge_ttp.lab.reproduction.cells import numbered
from edge_ttp.lab.reproduction.score_file import ScoreFile
from edge_ttp.scaling import Estimate, Pools, best_of_n, four_quantities, gains, interval, oracle_of_n, resampled
from edge_ttp.scaling.quantities import ENOUGH_USERS

Floats = npt.NDArray[np.float64]

RUNGS = ("standard", "differences", "standardized in the pool", "word features", "start weights")
"""From the standard reward model up, each with all cures of the ones before it."""
BOTTOM = RUNGS[0]
ARMS = ("mse", "bradley-terry", "gaussian", "beta-nll")
SHIPPED = "shipped model"
KAPPA = 1.0
"""Standard deviations that lcb takes off: the shipped model's, not chosen on these pools."""
T2 = 0.003
SELECTIONS = ("mean", "lcb, learned", "shrink, learned", "lcb, epistemic", "shrink, epistemic")
"""By mean; or with the learned variance, or the mean's own error, taken off or shrunk by."""


def variant(rung: str, arm: str, seed: int) -> str:
    """How a score file names a network."""
    return f"{rung}/{arm}/{seed}"


@dataclass(frozen=True)
class LadderRow:
    """One rung, arm and selection, all seeds together. Utilities and gains in utility units."""

    rung: str
    arm: str
    selection: str
    seeds: int
    c: Estimate
    h: Estimate
    rho_plus: Estimate
    rho_minus: Estimate
    share: Estimate
    """Measured share of the oracle's gain at the largest n."""
    utility: float
    """Of what is chosen at the largest n."""
    over_mse: Estimate
    """Share minus that of the rung's mse by its mean, paired over users."""
    n: tuple[int, ...]
    measured: tuple[float, ...]
    """Share by n; below the largest n only for selection by mean."""
    predicted: tuple[float, ...]
    """By the law, with the scores' own spacing."""
    by_seed: tuple[float, ...]
    """Share at the largest n, of each seed."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def ladder(file: ScoreFile, *, resamples: int = 200) -> list[LadderRow]:
    """Every rung, arm and selection of the file, the shipped model last."""
    rows = []
    for rung in RUNGS:
        seeds = {arm: [name for name in file.made if name.startswith(f"{rung}/{arm}/")] for arm in ARMS}
        if not any(seeds.values()):
            continue
        base = _gain(file, seeds["mse"], "mean") if seeds["mse"] else None
        for arm, names in seeds.items():
            for selection in SELECTIONS if _has_variance(file, names) else SELECTIONS[:1]:
                if names:
                    rows.append(_row(file, (rung, arm, selection), names, base=base, resamples=resamples))
    if SHIPPED in file.made:
        rows.append(_row(file, (SHIPPED, "beta-nll", "mean"), [SHIPPED], base=None, resamples=resamples))
    return rows


def _has_variance(file: ScoreFile, names: Sequence[str]) -> bool:
    return bool(names) and all(one.variants[names[0]].sd is not None for one in file.sets)


def _scores(file: ScoreFile, name: str, selection: str) -> Floats:
    """(queries, N) what the selection ranks by, the sets one after another."""
    by_set = []
    for one in file.sets:
        scored = one.variants[name]
        rule, _, by = selection.partition(", ")
        spread = scored.sd if by == "learned" else scored.epistemic
        score = scored.score
        if rule != "mean" and spread is not None:
            if rule == "lcb":
                score = score - KAPPA * spread
            else:
                centre = score.mean(axis=1, keepdims=True)
                score = centre + T2 / (T2 + spread**2) * (score - centre)
        by_set.append(score)
    return np.concatenate(by_set)


def _users(file: ScoreFile) -> npt.NDArray[np.int64]:
    """Each query's user, numbered; a user of two tasks is two."""
    return numbered(np.concatenate([one.user + (place << 33) for place, one in enumerate(file.sets)]))


def _utility(file: ScoreFile) -> Floats:
    return np.concatenate([one.utility for one in file.sets])


def _gain(file: ScoreFile, names: Sequence[str], selection: str) -> Floats:
    """(queries,) gain at the largest n, mean over seeds."""
    utility = _utility(file)
    size = utility.shape[1]
    chosen = [best_of_n(utility, _scores(file, name, selection), [size])[:, 0] for name in names]
    return np.asarray(np.mean(chosen, axis=0) - utility.mean(axis=1))


def _row(
    file: ScoreFile, label: tuple[str, str, str], names: Sequence[str], *, base: Floats | None, resamples: int
) -> LadderRow:
    rung, arm, selection = label
    utility, user = _utility(file), _users(file)
    queries = len(utility)
    n = file.sets[0].sizes
    by_seed = [_scores(file, name, selection) for name in names]
    everyone = np.tile(user, len(names))
    pools = Pools.from_matrices(np.tile(utility, (len(names), 1)), np.concatenate(by_seed), everyone)
    evidence = pools.evidence()
    unit = user if user.max() + 1 >= ENOUGH_USERS else np.arange(queries)
    four = four_quantities(evidence, everyone, pools.users, resamples=resamples, unit=np.tile(unit, len(names)))
    oracle = oracle_of_n(utility, n) - utility.mean(axis=1, keepdims=True)
    found = gains(pools, evidence, np.zeros(len(pools), dtype=np.int64), 1)
    columns = np.array(n) - 1
    predicted = found.spaced[0, columns] / found.oracle[0, columns]
    gain = _gain(file, names, selection)
    measured = [float("nan")] * (len(n) - 1) + [float(gain.sum() / oracle[:, -1].sum())]
    if selection == "mean":
        picked = np.mean([np.concatenate([one.variants[name].picked for one in file.sets]) for name in names], axis=0)
        shares = (picked - utility.mean(axis=1, keepdims=True)).sum(axis=0) / oracle.sum(axis=0)
        measured = [*shares[:-1].tolist(), measured[-1]]
    return LadderRow(
        rung=rung,
        arm=arm,
        selection=selection,
        seeds=len(names),
        c=four.c,
        h=four.h,
        rho_plus=four.rho_plus,
        rho_minus=four.rho_minus,
        share=_share(gain, oracle[:, -1], user, resamples),
        utility=float((utility.mean(axis=1) + gain).mean()),
        over_mse=_share(gain - base if base is not None else gain * np.nan, oracle[:, -1], user, resamples),
        n=n,
        measured=tuple(measured),
        predicted=tuple(predicted.tolist()),
        by_seed=tuple(float(_gain(file, [name], selection).sum() / oracle[:, -1].sum()) for name in names),
    )


def _share(gain: Floats, oracle: Floats, user: npt.NDArray[np.int64], resamples: int) -> Estimate:
    groups = int(user.max()) + 1
    above, below = (np.bincount(user, weights=one, minlength=groups) for one in (gain, oracle))
    drawn = np.array([(times @ above) / (times @ below) for times in resampled(groups, resamples, 0)])
    return interval(drawn, float(above.sum() / below.sum()), groups)


def reproduced(rows: Sequence[LadderRow], least: float = 0.05) -> Mapping[str, bool]:
    """Whether collapse (c) and hacking (h) are at least so large for mse on the bottom rung."""
    bottom = next(row for row in rows if (row.rung, row.arm, row.selection) == (BOTTOM, "mse", "mean"))
    return {name: bool(getattr(bottom, name).known and getattr(bottom, name).value >= least) for name in ("c", "h")}


def diagnosed(file: ScoreFile, name: str, *, resamples: int = 100) -> list[str]:
    """What `edge-ttp diagnose` says in words of one network's scores."""
    utility, score, user = _utility(file), _scores(file, name, "mean"), _users(file)
    queries, size = utility.shape
    table = Table(
        users=[f"user {place + 1}" for place in range(int(user.max()) + 1)],
        queries=[f"query {place + 1}" for place in range(queries)],
        query_user=user,
        query=np.repeat(np.arange(queries), size),
        line=np.arange(1, queries * size + 1),
        utility=utility.ravel(),
        score=score.ravel(),
        variance=None,
        length=None,
        length_unit="tokens",
        has_text=False,
        has_users=True,
        bad=[],
        bad_reasons={},
    )
    return verdict(judge(table, name, resamples=resamples, seed=0))
