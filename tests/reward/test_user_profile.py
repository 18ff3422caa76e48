"""Profiles: which items count, and vectors that are computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_ttp.history.store import History
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.user_profile import HISTORY_ITEMS, RECENT_ITEMS
from edge_ttp.schema import HistoryItem
from tests.reward.conftest import history_of

pytestmark = pytest.mark.real


class Cache:
    """A VectorCache that remembers what was asked of it."""

    def __init__(self) -> None:
        self.stored: dict[int, npt.NDArray[np.float32]] = {}
        self.put_ids: list[int] = []

    def get(self, item_ids: Sequence[int], encoder: str) -> Mapping[int, npt.NDArray[np.float32]]:
        return {key: self.stored[key] for key in item_ids if key in self.stored}

    def put(self, encoder: str, vectors: Mapping[int, npt.NDArray[np.float32]]) -> None:
        self.put_ids += vectors
        self.stored.update(vectors)


def test_vectors_are_computed_once_and_only_for_new_items(model: RewardModel) -> None:
    cache = Cache()
    items = history_of(["one", "two", "three"], first_id=10)
    first = model.profile(items, cache)
    assert sorted(cache.put_ids) == [10, 11, 12]
    model.profile(items, cache)
    assert len(cache.put_ids) == 3
    grown = model.profile([*items, *history_of(["four"], first_id=13)], cache)
    assert cache.put_ids[3:] == [13]
    assert grown.items == 4
    np.testing.assert_allclose(model.profile(items).outputs, first.outputs, atol=1e-6)


def test_a_damaged_vector_in_the_cache_is_computed_again(model: RewardModel) -> None:
    cache = Cache()
    items = history_of(["one", "two"], first_id=1)
    expected = model.profile(items, cache).outputs
    cache.stored = {1: np.zeros(3, np.float32), 2: np.full(2 * model.encoder.width, np.nan, np.float32)}
    np.testing.assert_allclose(model.profile(items, cache).outputs, expected, atol=1e-6)


def test_items_without_an_id_are_never_cached(model: RewardModel) -> None:
    cache = Cache()
    assert model.profile(history_of(["one"]), cache).items == 1
    assert cache.put_ids == []


def test_the_newest_items_count_whatever_the_order_given(model: RewardModel) -> None:
    items = history_of([f"output number {index}" for index in range(HISTORY_ITEMS + 20)])
    profile = model.profile(items)
    turned = model.profile(items[::-1])
    assert profile.items == HISTORY_ITEMS
    assert len(profile.recent) == RECENT_ITEMS
    np.testing.assert_array_equal(profile.outputs, turned.outputs)
    newest = model.encoder.encode([items[-1].output])[0]
    np.testing.assert_allclose(profile.outputs[0], newest, atol=1e-5)


def test_items_of_one_moment_are_ordered_by_id(model: RewardModel) -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    items = [
        HistoryItem(id=number, user_id="a", input="", output=f"text {number}", created_at=moment)
        for number in (2, 1, 3)
    ]
    assert model.profile(items).recent[0] == ("text", "3")


def test_the_history_keeps_the_vectors(model: RewardModel, tmp_path: Path) -> None:
    with History.open(tmp_path / "history.db") as history:
        for item in history_of(["one", "two"]):
            history.add(item)
        items = history.items("anna")

        class Stored:
            def get(self, item_ids: Sequence[int], encoder: str) -> Mapping[int, npt.NDArray[np.float32]]:
                return history.vectors(item_ids, encoder)

            def put(self, encoder: str, vectors: Mapping[int, npt.NDArray[np.float32]]) -> None:
                history.put_vectors(encoder, vectors)

        first = model.profile(items, Stored())
        kept = history.vectors([item.id for item in items if item.id is not None], model.encoder.fingerprint)
        assert len(kept) == 2
        np.testing.assert_array_equal(model.profile(items, Stored()).outputs, first.outputs)


def test_habits_are_means_over_the_outputs(model: RewardModel) -> None:
    profile = model.profile(history_of(["All Words Capital.", "none here"]))
    assert profile.habit.capitals == pytest.approx(0.5)
    assert profile.habit.full_stop == pytest.approx(0.5)
    assert profile.length_spread >= 0.2
