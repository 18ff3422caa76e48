"""What `export reward evaluate` measures is what `generate` does by default."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")  # the export extra; `make test-export` installs it

from edge_ttp.reward.model import Scores
from edge_ttp_export.evaluate import by_default_rule, cold_start, evaluate
from edge_ttp_export.examples import LabelledPool
from tests.export.test_train import SIGNAL, pool

pytestmark = pytest.mark.export

POOLS = [replace(pool(seed), part="report", user_id=f"user {seed}") for seed in range(12)]


def scores(mean: np.ndarray, epistemic: np.ndarray, similarity: np.ndarray, *, familiar: bool = True) -> Scores:
    noise = np.full(len(mean), 0.01)
    return Scores(
        mean=mean,
        aleatoric=noise,
        epistemic=epistemic,
        variance=noise + epistemic,
        similarity=similarity,
        features=np.zeros((len(mean), 2)),
        offset=float(mean.mean()),
        offset_variance=0.01,
        familiar=familiar,
    )


class Model:
    """Knows the signal where it knows the user, and is unsure of the first candidate."""

    def score(self, profile: Any, source: Any, encoded: Any) -> Scores:
        owner = next(one for one in POOLS if one.source is source)
        rows = [int(one.text.split()[1]) for one in encoded.candidates]
        mean = owner.table[rows, SIGNAL].astype(np.float64) * (0.05 if profile.items else -0.05)
        epistemic = np.where(np.array(rows) == 0, 4.0, 1e-6)
        return scores(mean, epistemic, encoded.similarity)


class Task:
    """A task whose users' profiles are as long as asked."""

    name = "made"

    def __init__(self) -> None:
        self.users = {one.user_id: [0, 1, 2] for one in POOLS}

    def profile(self, user_id: str, before: int, shown_as: str | None = None) -> Any:
        return replace(
            POOLS[0].profile, inputs=POOLS[0].profile.inputs[:before], outputs=POOLS[0].profile.outputs[:before]
        )


def test_the_default_rule_is_the_lower_bound_or_consensus() -> None:
    mean, epistemic = np.array([0.3, 0.2, 0.1]), np.array([0.09, 0.0, 0.0])
    similarity = np.array([[1.0, 0.1, 0.2], [0.1, 1.0, 0.9], [0.2, 0.9, 1.0]])
    assert by_default_rule(scores(mean, epistemic, similarity)).argmax() == 1  # .3 - .3 is the least
    assert by_default_rule(scores(mean, epistemic, similarity, familiar=False)).argmax() == 2


def test_a_model_is_measured_by_its_default_rule_and_by_its_mean_apart() -> None:
    found = evaluate(Model(), POOLS, [Task()], "p", str)  # type: ignore[arg-type, list-item]
    rows = {row["selector"]: row for row in found["rows"] if row["n"] == 8 and row["task"] == "all"}
    mean = np.mean([one.utility[one.table[:, SIGNAL].argmax()] for one in POOLS])
    bound = np.mean([one.utility[1 + one.table[1:, SIGNAL].argmax()] for one in POOLS])
    assert rows["model, mean"]["utility"] == pytest.approx(mean)
    assert rows["model"]["utility"] == pytest.approx(bound)
    against = {row["against"] for row in found["paired"] if row["n"] == 8 and row["task"] == "all"}
    assert against == {"sum", "consensus", "model, mean"}
    assert all(row["p"] <= row["p_holm"] <= 1 for row in found["paired"])


def test_a_cold_start_is_measured_with_no_to_three_items() -> None:
    found = cold_start(Model(), POOLS, [Task()], "p")  # type: ignore[arg-type, list-item]
    by_items = {row["items"]: row for row in found if row["task"] == "all"}
    assert sorted(by_items) == [0, 1, 2, 3]
    assert by_items[0]["share"] < 0 < by_items[1]["share"]
    assert {row["n"] for row in found} == {8}


def test_pools_belong_to_the_tests_own_users() -> None:
    assert len({one.user_id for one in POOLS}) == len(POOLS)
    assert all(isinstance(one, LabelledPool) for one in POOLS)
