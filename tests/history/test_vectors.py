"""Encoder vectors of items."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.history import History

from .conftest import new_item


def test_vectors_are_kept_per_item_and_encoder(history: History) -> None:
    history.add_many([new_item("a"), new_item("b")])
    assert history.put_vectors("enc-1", {1: np.array([0.1, -2.5]), 2: [1, 2], 77: [3, 4]}) == 2
    assert history.put_vectors("enc-2", {1: np.zeros(4, np.float32)}) == 1
    assert history.put_vectors("enc-1", {2: [5, 6]}) == 1
    found = history.vectors([1, 2, 77], "enc-1")
    assert found.keys() == {1, 2}
    assert found[1].dtype == np.float32
    np.testing.assert_array_equal(found[1], np.array([0.1, -2.5], np.float32))
    np.testing.assert_array_equal(found[2], [5, 6])
    assert history.vectors([1], "enc-2")[1].shape == (4,)
    assert history.vectors([], "enc-1") == {}
    found[1][0] = 3.0  # a copy of the caller's own


@pytest.mark.parametrize("vector", [[], [[1, 2]], [float("nan")], [1, float("inf")], 3.0])
def test_vectors_that_are_no_row_of_numbers_are_refused(history: History, vector: object) -> None:
    history.add_many([new_item("a"), new_item("b")])
    with pytest.raises(InvalidInput):
        history.put_vectors("e", {1: [1.0], 2: vector})  # type: ignore[dict-item]
    assert history.vectors([1, 2], "e") == {}


def test_vectors_go_with_their_item(history: History) -> None:
    history.add(new_item("a"))
    history.put_vectors("e", {1: [1.0]})
    with history._connections.writing() as db:
        db.execute("DELETE FROM items")
    assert history.vectors([1], "e") == {}
