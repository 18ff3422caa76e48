"""What a history holds, counted."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from edge_ttp.history import History
from edge_ttp.schema import Feedback

from .conftest import START, new_generation, new_item


def test_stats_count_one_user_or_all(history: History) -> None:
    history.add_many([new_item("four", given="ab", day=1), new_item("sixsix", day=2, kind="email", source="jsonl")])
    history.add(new_item("x", user="bob"))
    history.record(new_generation("g1"))
    history.put_vectors("e", {1: np.ones(3)})
    ann = history.stats("ann")
    assert (ann.users, ann.items, ann.generations, ann.candidates, ann.vectors) == (1, 2, 1, 3, 1)
    assert ann.kinds == {"email": 1, "text": 1}
    assert ann.sources == {"api": 1, "jsonl": 1}
    assert (ann.oldest, ann.newest) == (START + timedelta(days=1), START + timedelta(days=2))
    assert (ann.mean_input, ann.mean_output) == (1.0, 5.0)
    assert (history.stats().users, history.stats().items) == (2, 3)
    nobody = history.stats("eve")
    assert (nobody.users, nobody.items, nobody.oldest, nobody.mean_output) == (0, 0, None, 0.0)


def test_a_damaged_row_is_counted_and_spoils_no_date(history: History) -> None:
    history.add_many([new_item("a", day=1), new_item("b", day=2)])
    with history._connections.writing() as db:
        db.execute("UPDATE items SET created_at = 9e18, kind = ? WHERE id = 2", ("a\x1b[31m",))
    found = history.stats("ann")
    assert found.items == 2
    assert found.newest == START + timedelta(days=1)
    assert all(label.isprintable() for label in found.kinds)


def test_judgments_are_counted_by_kind_the_most_frequent_first(history: History) -> None:
    for name, kind in (("g1", "accept"), ("g2", "reject"), ("g3", "reject")):
        history.record(new_generation(name))
        history.add_feedback(Feedback(generation_id=name, user_id="ann", kind=kind, candidate=0))  # type: ignore[arg-type]
    assert list(history.stats("ann").feedback.items()) == [("reject", 2), ("accept", 1)]
