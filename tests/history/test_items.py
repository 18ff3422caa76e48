"""Rows of past items: kept once, in order, of their owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.history import Counts, History, items
from edge_ttp.history.items import delete_items
from edge_ttp.schema import HistoryItem

from .conftest import START, new_item


def test_an_item_comes_back_as_it_was_stored(history: History) -> None:
    item = HistoryItem(
        user_id="zoë",
        input='a\0b "c" \r\n',
        output=" Züge 😀\n",
        kind="e-mail",
        created_at=datetime(1913, 5, 29, 20, 15, 0, 123000, tzinfo=UTC),
        source="test",
        metadata={"a": [1, None, {"b": "ü"}], "2": 0.1},
    )
    stored = history.add(item)
    assert stored == item.model_copy(update={"id": 1})
    assert history.item(1) == stored
    assert history.items("zoë") == [stored]


def test_an_identical_item_is_kept_once(history: History) -> None:
    first = history.add(new_item("hello", given="greet"))
    again = history.add(new_item("hello", given="greet", day=5, kind="email", source="other"))
    assert again == first
    assert history.count("ann") == 1
    assert history.add(new_item("hello", given="greet", user="bob")).id != first.id
    assert history.add(new_item("hello", given="greeting")).id != first.id


def test_moving_text_between_input_and_output_is_not_identical(history: History) -> None:
    history.add(new_item("bc", given="a"))
    history.add(new_item("c", given="ab"))
    assert history.count("ann") == 2


def test_add_many_counts_new_and_known(history: History) -> None:
    history.add(new_item("one"))
    assert history.add_many([new_item("one"), new_item("two"), new_item("two"), new_item("two", user="bob")]) == Counts(
        2, 2
    )
    assert history.users() == ["ann", "bob"]


def test_add_many_stores_all_or_nothing(history: History) -> None:
    many = [new_item(f"text {number}") for number in range(1200)] + [new_item("  ")]
    with pytest.raises(InvalidInput, match="output is empty"):
        history.add_many(many)
    assert history.count("ann") == 0
    assert history.users() == []
    assert history.recall("ann", "text", 5) == []


def test_items_are_ordered_by_time_and_limited(history: History) -> None:
    history.add_many(new_item(f"day {day}", day=day, kind="even" if day % 2 == 0 else "odd") for day in (3, 1, 2, 4))
    assert [item.output for item in history.items("ann")] == ["day 4", "day 3", "day 2", "day 1"]
    assert [item.output for item in history.items("ann", limit=2, newest_first=False)] == ["day 1", "day 2"]
    assert [item.output for item in history.items("ann", kind="odd", limit=1)] == ["day 3"]
    assert [item.output for item in history.items("ann", before=START + timedelta(days=3))] == ["day 2", "day 1"]
    assert history.items("ann", limit=0) == []
    assert history.items("bob") == []


def test_items_of_other_users_are_out_of_reach(history: History) -> None:
    stored = history.add(new_item("secret"))
    assert stored.id is not None
    with pytest.raises(NotFound):
        history.item(stored.id, "bob")
    with pytest.raises(NotFound):
        history.item(99)


def test_what_a_judgment_brought_becomes_the_users_own_when_they_wrote_it(history: History) -> None:
    history.add(new_item("a text", source="accept"))
    assert history.add(new_item("a text", source="jsonl")).source == "jsonl"
    assert history.add(new_item("a text", source="edit")).source == "jsonl"


def test_counts_add_up() -> None:
    assert Counts(1, 2) + Counts(3, 4) == Counts(4, 6)


def test_deleting_leaves_the_statistics_of_what_is_left(history: History) -> None:
    history.add_many([new_item("red green"), new_item("green blue"), new_item("blue", user="bob")])
    with history._connections.writing() as db:
        delete_items(db, [2])
        query = "SELECT term, terms.items FROM terms JOIN users ON users.id = user ORDER BY name, term"
        assert db.execute(query).fetchall() == [("green", 1), ("red", 1), ("blue", 1)]
        assert db.execute("SELECT items, words FROM users WHERE name = 'ann'").fetchone() == (1, 2)
    assert history.health(full=True).sound


def test_statistics_are_counted_anew_where_a_deleted_row_says_other_words_than_it_was_indexed_with(
    history: History,
) -> None:
    history.add_many([new_item("red green"), new_item("green blue")])
    with history._connections.writing() as db:
        db.execute("UPDATE items SET output = 'something else altogether' WHERE id = 1")
        delete_items(db, [1])
        assert db.execute("SELECT term, items FROM terms ORDER BY term").fetchall() == [("blue", 1), ("green", 1)]
        assert db.execute("SELECT items, words FROM users").fetchone() == (1, 2)


def test_items_beyond_a_page_are_all_iterated(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "PAGE", 3)
    history.add_many(new_item(f"text {number}", user="ann" if number % 2 else "bob") for number in range(13))
    assert [item.output for item in history.iterate_items("bob")] == [f"text {number}" for number in range(0, 13, 2)]
    assert len(list(history.iterate_items())) == 13
