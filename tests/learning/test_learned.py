"""What is known of a user: from their evidence, kept, made again when it changes, and used when scoring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from fakes import FakeReward, rooms

from edge_ttp.answer import generate
from edge_ttp.answer.ask import Ask
from edge_ttp.history import History
from edge_ttp.learning.calibration import POPULATION
from edge_ttp.learning.evidence import judged, written
from edge_ttp.learning.learned import learned
from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import Feedback, HistoryItem, Sampling

from .three_texts import REWARD, TEXTS, drawn, layer


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History.open(tmp_path / "history.db") as opened:
        yield opened


def write_long(history: History, count: int, user: str = "ann") -> None:
    """A user who always writes the longest candidate."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for day in range(count):
        output = f"{TEXTS[2]} {day}"
        item = history.add(
            HistoryItem(user_id=user, input="say", output=output, created_at=start + timedelta(days=day))
        )
        assert history.calibrate(item, "tiny", drawn(), written(item, layer(), TEXTS))


def test_a_user_without_evidence_has_the_stock_weights_and_the_populations_record(history: History) -> None:
    found = learned(history, "ann", REWARD)
    assert found.weights is REWARD.stock
    assert (found.trust, found.evidence, found.record) == (0.0, 0, POPULATION)


def test_written_texts_move_the_weights_and_are_remembered(history: History) -> None:
    write_long(history, 12)
    found = learned(history, "ann", REWARD)
    assert found.evidence == 12
    assert found.trust > 0.9
    assert found.weights.mean[1] > REWARD.stock.mean[1]  # the second feature is length
    assert found.record.queries == 12
    stored = history.posterior("ann", REWARD.fingerprint)
    assert stored is not None
    np.testing.assert_array_equal(stored.mean, found.weights.mean)
    again = learned(history, "ann", REWARD)
    assert again.weights.mean.tobytes() == found.weights.mean.tobytes()
    assert again.record == found.record


def test_the_kept_posterior_is_the_rebuilt_one_to_the_bit(history: History) -> None:
    write_long(history, 7)
    kept = learned(history, "ann", REWARD)
    with history._connections.writing() as db:
        db.execute("DELETE FROM posteriors")
    rebuilt = learned(history, "ann", REWARD)
    assert kept.weights.mean.tobytes() == rebuilt.weights.mean.tobytes()
    assert kept.weights.covariance.tobytes() == rebuilt.weights.covariance.tobytes()


def test_new_evidence_is_seen_at_once_and_another_user_learns_nothing(history: History) -> None:
    write_long(history, 5)
    before = learned(history, "ann", REWARD)
    item = history.add(HistoryItem(user_id="ann", input="say", output="other words"))
    history.calibrate(item, "tiny", drawn(), written(item, layer(), TEXTS))
    after = learned(history, "ann", REWARD)
    assert (before.evidence, after.evidence) == (5, 6)
    assert after.version > before.version
    assert learned(history, "bob", REWARD).evidence == 0


def test_what_another_reward_model_left_is_not_used(history: History) -> None:
    write_long(history, 5)
    other = cast(RewardModel, FakeReward(fingerprint="other"))
    assert learned(history, "ann", other).weights is other.stock


def test_generations_are_scored_with_what_was_learned(history: History) -> None:
    def chosen(reward: FakeReward) -> int:
        ask = Ask(prompt="what grows here", user="ann", n=8, seed=3, sampling=Sampling(max_tokens=8), store=False)
        return len(generate(rooms(history, reward=reward), ask).text)

    short: Callable[[str], float] = lambda text: -len(text) / 1e6  # noqa: E731
    reward = FakeReward(judge=short)
    before = chosen(reward)
    for _ in range(3):
        asked = generate(rooms(history, reward=reward), Ask(prompt="what grows here", user="ann", n=8, seed=5))
        texts = [one.text for one in asked.candidates]
        longest = max(range(8), key=lambda index: len(texts[index]))
        kept = history.layer(asked.generation_id)
        assert kept is not None
        given = Feedback(generation_id=asked.generation_id, user_id="ann", kind="prefer", candidate=longest)
        history.add_feedback(given, judged(given, kept, texts))
    assert chosen(reward) > before
