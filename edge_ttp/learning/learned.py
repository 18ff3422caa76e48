"""What is known of one user's weights: read from the history, made again from the evidence where that has changed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history import History
from edge_ttp.history.learned_rows import StoredPosterior
from edge_ttp.learning.calibration import POPULATION, Calibration
from edge_ttp.learning.estimate import calibration
from edge_ttp.learning.evidence import as_evidence
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.posterior import MAX_EVIDENCE, Weights, fit_user

_SAVE_WAIT_S = 0.25
"""Longest wait for another writer before a posterior is not kept; it can be made again."""


@dataclass(frozen=True)
class Learned:
    """One user's posterior and calibration record under one reward model."""

    weights: Weights
    """The stock model's where nothing was learned."""
    trust: float
    """Share of the user's own weights in them, 0 to 1."""
    evidence: int
    """Pools behind them."""
    version: int
    """Count of changes to the user's evidence that they were made from."""
    record: Calibration


def learned(history: History, user: str, reward: RewardModel) -> Learned:
    """What the user's evidence under `reward` says; stored for the next time where the history can be written.

    The stock weights and the population's record for a user without evidence.
    """
    stored = history.posterior(user, reward.fingerprint)
    if stored is not None and stored.mean.shape == reward.stock.mean.shape:
        return _read(stored)
    version, rows = history.evidence(user, reward.fingerprint, MAX_EVIDENCE)
    size = len(reward.stock.mean)
    evidence = [as_evidence(row) for row in rows if row.layer.features.shape[1] == size]
    if not evidence:
        return Learned(reward.stock, 0.0, 0, version, POPULATION)
    made = fit_user(reward.stock, evidence)
    record = calibration(evidence, made.unseen)
    stored = StoredPosterior(
        reward=reward.fingerprint,
        version=version,
        evidence=made.evidence,
        trust=made.trust,
        mean=made.weights.mean,
        covariance=made.weights.covariance,
        record=json.dumps(asdict(record)),
    )
    if not history.read_only:
        # A locked history or a full disk must not cost the answer.
        with suppress(HistoryUnavailable):
            history.save_posterior(user, stored, wait_s=_SAVE_WAIT_S)
    return _read(stored)


def _read(stored: StoredPosterior) -> Learned:
    return Learned(
        weights=Weights(stored.mean, stored.covariance),
        trust=stored.trust,
        evidence=stored.evidence,
        version=stored.version,
        record=Calibration(**json.loads(stored.record)),
    )
