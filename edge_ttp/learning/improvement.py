"""Whether learning from a user made the choice among candidates better: on their own texts, by weights that have not
seen them.

For every past text that candidates were drawn for, the candidate that the stock weights choose is compared with the one
that the user's weights choose, fitted without that text (reward/posterior.py, `unseen`). Utility is agreement with what
the user really wrote, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, sqrt

import numpy as np
import numpy.typing as npt

from edge_ttp.history import History
from edge_ttp.learning.evidence import as_evidence
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.posterior import MAX_EVIDENCE, Evidence, Weights, fit_user

LEAST_TEXTS = 8
"""With fewer of the user's own texts nothing is said: one lucky pick would decide."""

SURE = 0.9
"""Probability from which a difference is called one."""


@dataclass(frozen=True)
class Improvement:
    """What the user's own weights choose beside what the stock model's do, on texts they have not seen."""

    texts: int
    """The user's own texts that were compared."""
    random: float
    """Mean utility of a candidate taken at random; nan without texts, as the others."""
    before: float
    """Mean utility of what the stock weights choose."""
    after: float
    """Mean utility of what the user's weights choose."""
    sure: float
    """Probability that they choose better: of a mean difference above 0 (normal). .5 where they choose alike."""

    @property
    def known(self) -> bool:
        """Whether there are enough texts to say anything."""
        return self.texts >= LEAST_TEXTS


def improvement(history: History, user: str, reward: RewardModel) -> Improvement:
    """What learning brought this user so far. Raises HistoryUnavailable."""
    size = len(reward.stock.mean)
    _, rows = history.evidence(user, reward.fingerprint, MAX_EVIDENCE)
    evidence = [as_evidence(row) for row in rows if row.layer.features.shape[1] == size]
    return compared(evidence, reward.stock)


def compared(evidence: Sequence[Evidence], stock: Weights) -> Improvement:
    """The comparison over `evidence`, newest first."""
    unseen = fit_user(stock, evidence).unseen
    rows = [
        (told.utility, told.features @ stock.mean, told.features @ own)
        for told, own in zip(evidence, unseen, strict=False)
        if told.utility is not None and len(told.utility) > 1
    ]
    if not rows:
        return Improvement(0, float("nan"), float("nan"), float("nan"), 0.5)
    random = np.array([utility.mean() for utility, _, _ in rows])
    before = np.array([_chosen(utility, scores) for utility, scores, _ in rows])
    after = np.array([_chosen(utility, scores) for utility, _, scores in rows])
    return Improvement(
        len(rows), float(random.mean()), float(before.mean()), float(after.mean()), _sure(after - before)
    )


def _chosen(utility: npt.NDArray[np.float64], scores: npt.NDArray[np.float64]) -> float:
    """Utility of the candidate with the highest score, the mean over those that share it."""
    return float(utility[scores == scores.max()].mean())


def _sure(difference: npt.NDArray[np.float64]) -> float:
    deviation = float(difference.std(ddof=1)) if len(difference) > 1 else 0.0
    if deviation == 0:
        return 0.5
    return 0.5 * (1 + erf(float(difference.mean()) / (deviation / sqrt(len(difference))) / sqrt(2)))
