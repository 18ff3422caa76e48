"""Trained networks as ways to choose: every rule on their means and variances, constants chosen on tune users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from edge_ttp.answer.select import Pool, select
from edge_ttp.schema import Rule
from edge_ttp_export.checkpoint import Checkpoint
from edge_ttp_export.examples import LabelledPool
from edge_ttp_export.network import Batch
from edge_ttp_export.rule_choices import SIZES, RuleChoice, choose, cut, resampled_shares, share_of_headroom
from edge_ttp_export.train import Member, collate
from edge_ttp_export.user_split import tune_half

PROBABILISTIC = "beta-nll"
"""The loss whose variance is learned through the mean: networks of this loss get every selection rule."""

KAPPAS = (-1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0)
"""Standard deviations taken off a mean; below 0 they are added."""

T2 = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 1e-1)
"""Squared utility units (edge_ttp.answer.select, shrink)."""

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
    """A selection rule of the runtime with its constant."""

    rule: Literal["mean", "lcb", "shrink", "noise"]
    """noise: lcb on the noise in the place of the mean's own error."""
    constant: float = 0.0
    """kappa of lcb and noise, t2 of shrink."""

    def __call__(self, judged: Judged) -> Floats:
        """(n,) scores; the largest is chosen."""
        pool = Pool(
            logprob=np.zeros(len(judged.mean)),
            tokens=np.ones(len(judged.mean), dtype=np.int64),
            complete=np.ones(len(judged.mean), dtype=np.bool_),
            mean=judged.mean,
            epistemic=judged.aleatoric if self.rule == "noise" else judged.epistemic,
        )
        rule: Rule = "lcb" if self.rule == "noise" else self.rule
        return select(pool, rule, kappa=self.constant, t2=self.constant).scores


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


@dataclass(frozen=True)
class _Course:
    """What one constant reaches on tune users: all of them, and each half."""

    share: float
    halves: list[float]
    drawn: Floats


def _of_half(by_task: Mapping[str, list[RuleChoice]], half: int) -> dict[str, list[RuleChoice]]:
    kept = {task: [one for one in choices if tune_half(one.user_id) == half] for task, choices in by_task.items()}
    return {task: choices for task, choices in kept.items() if choices}


def fix_rules(checkpoints: Sequence[Checkpoint], tune: Sequence[LabelledPool]) -> dict[str, tuple[Fixed, float]]:
    """For each rule its best constant on tune pools of all sizes above 1, and its mean share there, cross-fitted.

    The share is that of the half of the users (`tune_half`) which the constant was not chosen on, mean of both ways: a
    constant looks better than it is on the users it was chosen on, and more so the more there are to choose from.
    "probabilistic" is the rule that is best by that share if it beats `mean` by more than one standard error over
    users, else `mean` (the one-standard-error rule: of what cannot be told apart, the simplest).
    """
    members = {size: parts for size in SIZES if size > 1 and (parts := cut(tune, size))}
    judged = {size: [judge(one, parts) for one in checkpoints] for size, parts in members.items()}

    def course(fixed: Fixed) -> _Course:
        chosen = [choose(members[size], [[fixed(one) for one in each] for each in judged[size]]) for size in members]
        halves = [[_of_half(by_task, half) for by_task in chosen] for half in (0, 1)]
        return _Course(
            share=float(np.mean([share_of_headroom(by_task) for by_task in chosen])),
            halves=[float(np.mean([share_of_headroom(one) for one in half if one] or [0.0])) for half in halves],
            drawn=np.mean([resampled_shares(by_task) for by_task in chosen], axis=0),
        )

    found: dict[str, tuple[Fixed, float]] = {}
    drawn: dict[str, Floats] = {}
    for rule, choices in RULES.items():
        courses = [course(fixed) for fixed in choices]
        best = int(np.argmax([one.share for one in courses]))
        held_out = [courses[int(np.argmax([one.halves[half] for one in courses]))].halves[1 - half] for half in (0, 1)]
        found[rule], drawn[rule] = (choices[best], float(np.mean(held_out))), courses[best].drawn
    best_rule = max(RULES, key=lambda rule: found[rule][1])
    if found[best_rule][1] - found["mean"][1] <= float(np.std(drawn[best_rule] - drawn["mean"])):
        best_rule = "mean"
    return {**found, "probabilistic": found[best_rule]}
