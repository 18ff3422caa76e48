"""What the learned variance is worth: quantities and shares with and without it in the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.lab.reproduction.cells import REPORT, numbered, rows_of, together
from edge_ttp.lab.reproduction.findings import Bootstrap, by_group, ratios, share_of
from edge_ttp.lab.reproduction.score_file import ScoreFile
from edge_ttp.scaling import Estimate, Pools, Quantities, best_of_n, interval

Floats = npt.NDArray[np.float64]

KAPPAS = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0)
"""Standard deviations taken off the score; which one is chosen on tune users."""


@dataclass(frozen=True)
class VarianceUse:
    """One way of ranking: the variant's score - kappa x standard deviation."""

    variant: str
    by: str = "mean"
    """`mean`, or the `sd` or `epistemic` that is taken off it."""
    kappa: float = 0.0


@dataclass(frozen=True)
class Ranked:
    """One way of ranking at the largest n over all tasks of a policy, on report users."""

    policy: str
    way: VarianceUse
    base: str
    """The variant that it is compared with, by its mean."""
    quantities: Quantities
    share: Estimate
    against: Estimate
    """Its share minus that of the base, by the same resampled users."""


def base_of(file: ScoreFile, policy: str) -> str:
    """What the policy's variants are compared with: squared error, else the first with a variance, else the first."""
    sets = [one for one in file.sets if one.policy == policy]
    here = [name for name in file.made if all(name in one.variants for one in sets)]
    by_error = [name for name in here if file.made[name].get("loss") == "mse"]
    sure = [name for name in here if all(one.variants[name].sd is not None for one in sets)]
    return next(iter([*by_error, *sure, *here]))


def variance_use(file: ScoreFile, bootstrap: Bootstrap) -> list[Ranked]:
    """Ranking by mean, and by mean - kappa x standard deviation with kappa chosen on tune users; all tasks together."""
    rows: list[Ranked] = []
    for policy in dict.fromkeys(one.policy for one in file.sets):
        sets = [one for one in file.sets if one.policy == policy]
        if not any(rows_of(one, REPORT).any() for one in sets):
            continue
        base = base_of(file, policy)
        reference = gains_of(_pools(file, policy, VarianceUse(base), REPORT))
        for variant in file.made:
            if not all(variant in one.variants for one in sets):
                continue
            ways = [VarianceUse(variant)]
            for by in ("sd", "epistemic"):
                if all(getattr(one.variants[variant], by) is not None for one in sets):
                    ways.append(VarianceUse(variant, by, _chosen_kappa(file, policy, variant, by)))
            if len(ways) > 1 or variant == base:
                rows += [_ranked(file, policy, way, (base, reference), bootstrap) for way in ways]
    return rows


def _chosen_kappa(file: ScoreFile, policy: str, variant: str, by: str) -> float:
    """The kappa with the largest share on tune users; the one nearer to 0 where several are equal."""

    def reached(kappa: float) -> float:
        gains = gains_of(_pools(file, policy, VarianceUse(variant, by, kappa), ("tune",)))
        return float(gains[:, 0].sum() / gains[:, 1].sum())

    if not any(rows_of(one, ("tune",)).any() for one in file.sets if one.policy == policy):
        return 0.0  # nobody to choose on

    return max(sorted(KAPPAS, key=abs), key=reached)


def _pools(file: ScoreFile, policy: str, way: VarianceUse, parts: Sequence[str]) -> list[Pools]:
    """The policy's pools of the users of these parts, a set each, scored in this way."""
    found = []
    for one in file.sets:
        rows = rows_of(one, parts)
        if one.policy != policy or not rows.any():
            continue
        scored = one.variants[way.variant]
        spread = {"sd": scored.sd, "epistemic": scored.epistemic}.get(way.by)
        score = scored.score if spread is None else scored.score - way.kappa * spread
        found.append(Pools.from_matrices(one.utility[rows], score[rows], numbered(one.user[rows])))
    return found


def gains_of(many: Sequence[Pools]) -> Floats:
    """(queries, 2): gain of the largest score and of the best candidate, in the whole pool."""
    rows = []
    for pools in many:
        size = int(pools.size[0])
        utility, score = pools.utility.reshape(-1, size), pools.score.reshape(-1, size)
        mean = utility.mean(axis=1)
        rows.append(np.stack([best_of_n(utility, score, [size])[:, 0] - mean, utility.max(axis=1) - mean], axis=1))
    return np.concatenate(rows)


def _ranked(file: ScoreFile, policy: str, way: VarianceUse, base: tuple[str, Floats], bootstrap: Bootstrap) -> Ranked:
    many = _pools(file, policy, way, REPORT)
    pools, ours = together(many), gains_of(many)
    sums = [by_group(gains, pools) for gains in (ours, base[1])]
    value = float(np.subtract(*(part[:, 0].sum() / part[:, 1].sum() for part in sums)))
    return Ranked(
        policy=policy,
        way=way,
        base=base[0],
        quantities=bootstrap.quantities(pools),
        share=share_of(ours, pools, bootstrap),
        against=interval(ratios(sums[0], bootstrap) - ratios(sums[1], bootstrap), value, len(sums[0])),
    )
