"""What learning costs on this device: one update, and recall from a large history beside many users."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edge_ttp.history import History
from edge_ttp.history.learned_rows import Layer, StoredEvidence
from edge_ttp.learning.evidence import as_evidence
from edge_ttp.learning.learned import learned
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.posterior import MAX_EVIDENCE, Evidence, fit_user
from edge_ttp.schema import Candidate, HistoryItem

_START = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class UpdateCost:
    """Medians in milliseconds, for an item on top of `items` others."""

    items: int
    posterior_ms: float
    """From evidence in memory to the posterior."""
    stored_ms: float
    """From a calibrated item to the stored posterior and record: two transactions that reach the disk."""


def update_cost(reward: RewardModel, evidence: Sequence[Evidence]) -> UpdateCost:
    """What one more item costs, measured over these pools, each added to those before it in a temporary history."""
    stored_s, posterior_s = [], []
    with TemporaryDirectory(prefix="edge-ttp-adapt-") as folder, History.open(Path(folder) / "history.db") as history:
        for at, one in enumerate(evidence):
            moment = _START + timedelta(minutes=at)
            item = history.add(HistoryItem(user_id="me", input=f"input {at}", output=f"text {at}", created_at=moment))
            drawn = [Candidate(text="text", tokens=3, logprob=-1.0)] * len(one.noise)
            layer = Layer(reward.fingerprint, one.features, one.noise)
            row = StoredEvidence("written", layer, at, one.utility)
            began = time.perf_counter()
            history.calibrate(item, "bench", drawn, row)
            learned(history, "me", reward)
            stored_s.append(time.perf_counter() - began)
        _, rows = history.evidence("me", reward.fingerprint, MAX_EVIDENCE)
    seen = [as_evidence(row) for row in rows]
    for _ in range(20):
        began = time.perf_counter()
        fit_user(reward.stock, seen)
        posterior_s.append(time.perf_counter() - began)
    return UpdateCost(len(evidence), 1e3 * float(np.median(posterior_s)), 1e3 * float(np.median(stored_s)))


@dataclass(frozen=True)
class RecallCost:
    """Recall of 8 items in a file with one large user beside many small ones."""

    items: int
    """Of the large user."""
    users: int
    p50_ms: float
    p95_ms: float
    database_bytes: int


def recall_cost(items: int, users: int, per_user: int = 20, queries: int = 200) -> RecallCost:
    """Measured on made-up texts, in a temporary history. 100,000 items and 10,000 users take some minutes to write."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(20_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]  # as words in texts are distributed (Zipf)

    def text(length: int) -> str:
        return " ".join(rng.choices(words, weights, k=length))

    def texts(user: str, count: int) -> Iterator[HistoryItem]:
        for at in range(count):
            moment = _START + timedelta(minutes=at)
            yield HistoryItem(user_id=user, input=text(60), output=f"{text(12)} {at}", created_at=moment)

    spent = []
    with TemporaryDirectory(prefix="edge-ttp-adapt-") as folder, History.open(Path(folder) / "history.db") as history:
        history.add_many(texts("large", items))
        history.add_many(item for number in range(users) for item in texts(f"user {number}", per_user))
        for _ in range(queries):
            query = text(rng.randint(10, 200))
            began = time.perf_counter()
            history.recall("large", query, 8)
            spent.append(time.perf_counter() - began)
        size = history.health().bytes
    p50, p95 = (1e3 * float(value) for value in np.quantile(spent, (0.5, 0.95)))
    return RecallCost(items, users, p50, p95, size)
