"""Trained networks as ways to choose: every rule on their means and variances, constants chosen on tune users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from edge_ttp_export.checkpoint import Checkpoint
from edge_ttp_export.examples import Pool
from edge_ttp_export.network import Batch
from edge_ttp_export.train import Member, collate

PROBABILISTIC = "beta-nll"
"""The loss whose variance is learned through the mean: networks of this loss get every selection rule."""

KAPPAS = (-1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0)
"""Standard deviations taken off a mean; below 0 they are added."""

T2 = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1)
"""Squared utility units (edge_ttp.selection, shrink)."""

_BATCH = 64

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """What one network says of the candidates of one (cut) pool, (n,) each, in utility units and their squares."""

    mean: Floats
    """Difference from the pool's mean."""
    aleatoric: Floats
    epistemic: Floats


@dataclass(frozen=True)
class Fixed:
    """A selection rule with its constant."""

    rule: str
    """mean; lcb: mean - kappa sd of the mean's own error; shrink, by that error; noise: mean - kappa sd of noise."""
    constant: float = 0.0

    def __call__(self, judged: Judged) -> Floats:
        """(n,) scores; the largest is chosen."""
        mean = judged.mean
        if self.rule == "lcb":
            return np.asarray(mean - self.constant * np.sqrt(judged.epistemic))
        if self.rule == "noise":
            return np.asarray(mean - self.constant * np.sqrt(judged.aleatoric))
        if self.rule == "shrink":
            return np.asarray(mean.mean() + self.constant / (self.constant + judged.epistemic) * (mean - mean.mean()))
        return mean


RULES: Mapping[str, tuple[Fixed, ...]] = {
    "mean": (Fixed("mean"),),
    "lcb": tuple(Fixed("lcb", kappa) for kappa in KAPPAS),
    "shrink": tuple(Fixed("shrink", t2) for t2 in T2),
    "noise": tuple(Fixed("noise", kappa) for kappa in KAPPAS),
}
"""Every rule with the constants it may have."""


def judge(checkpoint: Checkpoint, members: Sequence[Member]) -> list[Judged]:
    """What the network of `checkpoint` says of each member, which sees only its own candidates."""
    found = []
    for start in range(0, len(members), _BATCH):
        part = members[start : start + _BATCH]
        batch, _ = collate(part)
        judged, _ = judge_batch(checkpoint, batch)
        for row, (_, rows) in enumerate(part):
            size = len(rows)
            values = (judged.mean, judged.aleatoric, judged.epistemic)
            found.append(Judged(*(value[row, :size] for value in values)))
    return found


def judge_batch(checkpoint: Checkpoint, batch: Batch) -> tuple[Judged, Floats]:
    """What the network says of a batch, (B, N) each, and the offsets (B,). Rows outside the pool mask mean nothing.

    As the runtime's scorer reckons (edge_ttp.reward.model), in FP32 and without files.
    """
    with torch.no_grad():
        heads = checkpoint.network(batch)
    phi = heads.phi.double().numpy()
    known = np.einsum("bnd,de,bne->bn", phi, checkpoint.covariance, phi)
    beyond = np.maximum(0.0, heads.distance.double().numpy() / checkpoint.usual_distance - 1)
    judged = Judged(
        mean=heads.difference.double().numpy(),
        aleatoric=np.exp(heads.log_variance.double().numpy()),
        epistemic=np.maximum(known, 0) + checkpoint.signal_variance * beyond,
    )
    return judged, np.asarray(heads.offset.double().numpy())


def share_of(members: Sequence[Member], scores: Sequence[Floats]) -> float:
    """Mean over tasks of (sum chosen - sum mean) / (sum best - sum mean) where the largest score is chosen."""
    sums: dict[str, list[float]] = {}
    for (pool, rows), score in zip(members, scores, strict=True):
        values = pool.utility[list(rows)]
        one = sums.setdefault(pool.task, [0.0, 0.0])
        one[0] += float(values[int(np.argmax(score))] - values.mean())
        one[1] += float(values.max() - values.mean())
    return float(np.mean([gain / max(headroom, 1e-9) for gain, headroom in sums.values()]))


def fix_rules(checkpoints: Sequence[Checkpoint], tune: Sequence[Pool]) -> dict[str, tuple[Fixed, float]]:
    """For each rule its best constant on whole tune pools, and the share it has there, averaged over the networks.

    "probabilistic" is the best rule of all, `mean` wherever no other is better.
    """
    members = [(pool, range(pool.size)) for pool in tune]
    judged = [judge(one, members) for one in checkpoints]

    def share(fixed: Fixed) -> float:
        return float(np.mean([share_of(members, [fixed(one) for one in each]) for each in judged]))

    found: dict[str, tuple[Fixed, float]] = {}
    for rule, choices in RULES.items():
        shares = [share(fixed) for fixed in choices]
        best = int(np.argmax(shares))
        found[rule] = choices[best], shares[best]
    best_rule = max(RULES, key=lambda rule: found[rule][1])  # the first of equals: mean
    return {**found, "probabilistic": found[best_rule]}
