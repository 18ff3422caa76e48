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
from edge_ttp.scaling import (
    Estimate,
    Pools,
    best_of_n,
    four_quantities,
    gains,
    interval,
    oracle_of_n,
    resampled,
    skewed_share,
)
from edge_ttp.scaling.quantities import ENOUGH_USERS

Floats = npt.NDArray[np.float64]

RUNGS = ("standard", "differences", "standardized in the pool", "word features", "start weights")
"""From the standard reward model up, each with all cures of the ones before it."""
BOTTOM = RUNGS[0]
ARMS = ("mse", "bradley-terry", "gaussian", "beta-nll")
SHIPPED = "shipped model"
OWN = ("2 pools of one's own", "4 pools of one's own", "8 pools of one's own", "20 pools of one's own")
"""The standard reward model of one user alone."""
POPULATION = "pools of other users"
"""The same, learned from others and judged on the same later pools."""
ONLINE, PRIOR = "20 judgments, online without a prior", "20 judgments, with the prior"
"""The shipped model's last layer after judgments of one user."""
STOCK = "no judgment"
TUNED, CROSSED = "fine-tuned encoder", "cross-encoder"
"""The standard reward model with the encoder's last layers trained; one that reads candidate and context together."""
KAPPA = 1.0
"""Standard deviations that lcb takes off: the shipped model's, not chosen on these pools."""
T2 = 0.003
APPEARS = 0.05
"""Collapse and hacking rates from which on a failure is said to appear."""
BEYOND = 32
"""Candidates that the law is asked for where pools are smaller."""
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
    """Share minus that of the rung's first arm (mse on the ladder) by its mean, paired over users."""
    n: tuple[int, ...]
    measured: tuple[float, ...]
    """Share by n; below the largest n nan where a selection leans on the other candidates."""
    predicted: tuple[float, ...]
    """By the law, with the scores' own spacing."""
    beyond: float
    """Share at n = BEYOND by the law's closed form (skewness of scores and utilities), which needs no pools so large;
    nan where the pools are as large."""
    by_seed: tuple[float, ...]
    """Share at the largest n, of each seed."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def rungs_of(file: ScoreFile) -> list[str]:
    """The file's rungs, in its order."""
    return list(dict.fromkeys(str(facts["rung"]) for facts in file.made.values() if "rung" in facts))


def ladder(file: ScoreFile, *, resamples: int = 200, alone: bool = False) -> list[LadderRow]:
    """Every rung, arm and selection of the file, the shipped model last.

    `alone`: its scores ignore the other candidates, so that curves by lcb follow from those of the whole pool.
    """
    rows = []
    for rung in rungs_of(file):
        seeds: dict[str, list[str]] = {}
        for name, facts in file.made.items():
            if facts.get("rung") == rung:
                seeds.setdefault(str(facts["loss"]), []).append(name)
        base = _gain(file, next(iter(seeds.values())), "mean")
        for arm, names in seeds.items():
            for selection in _selections(file, names):
                rows.append(_row(file, (rung, arm, selection), names, base=base, resamples=resamples, alone=alone))
    if SHIPPED in file.made:
        rows.append(_row(file, (SHIPPED, "beta-nll", "mean"), [SHIPPED], base=None, resamples=resamples))
    return rows


def _selections(file: ScoreFile, names: Sequence[str]) -> list[str]:
    """The mean, and every use of a variance that the file has of these networks."""
    kinds = {"learned": "sd", "epistemic": "epistemic"}
    scored = [one.variants[names[0]] for one in file.sets]
    return [
        selection
        for selection in SELECTIONS
        if selection == "mean" or all(getattr(one, kinds[selection.split(", ")[1]]) is not None for one in scored)
    ]


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
    file: ScoreFile,
    label: tuple[str, str, str],
    names: Sequence[str],
    *,
    base: Floats | None,
    resamples: int,
    alone: bool = False,
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
    picked = None
    if selection == "mean":
        picked = np.mean([np.concatenate([one.variants[name].picked for one in file.sets]) for name in names], axis=0)
    elif alone and not selection.startswith("shrink"):  # shrinking leans on the pool's mean
        picked = np.mean([best_of_n(utility, score, n) for score in by_seed], axis=0)
    if picked is not None:
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
        beyond=_beyond(pools, four.share.value, n[-1]),
        by_seed=tuple(float(_gain(file, [name], selection).sum() / oracle[:, -1].sum()) for name in names),
    )


def _beyond(pools: Pools, share: float, largest: int) -> float:
    if largest >= BEYOND:
        return float("nan")
    skewness = pools.skewness()
    return float(skewed_share([BEYOND], share, score_skewness=skewness.score, utility_skewness=skewness.utility)[0])


def _share(gain: Floats, oracle: Floats, user: npt.NDArray[np.int64], resamples: int) -> Estimate:
    groups = int(user.max()) + 1
    above, below = (np.bincount(user, weights=one, minlength=groups) for one in (gain, oracle))
    drawn = np.array([(times @ above) / (times @ below) for times in resampled(groups, resamples, 0)])
    return interval(drawn, float(above.sum() / below.sum()), groups)


def reproduced(rows: Sequence[LadderRow]) -> Mapping[str, bool]:
    """Whether collapse (c) and hacking (h) appear for mse on the bottom rung."""
    bottom = next(row for row in rows if (row.rung, row.arm, row.selection) == (BOTTOM, "mse", "mean"))
    return {name: bool(getattr(bottom, name).known and getattr(bottom, name).value >= APPEARS) for name in ("c", "h")}


def appears(one: Estimate) -> str:
    """In words, whether a failure of this rate does."""
    if not one.known:
        return "cannot be told"
    if one.value < APPEARS:
        return f"is **not reproduced on these data** (below {APPEARS:g})"
    return "appears" if one.low > 0 else "cannot be told from none"


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
