from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.history import Counts, History
from edge_ttp.schema import MAX_TEXT, HistoryItem

from .conftest import START, new_generation, new_item


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


def test_times_without_a_zone_count_as_utc_and_others_are_converted(history: History) -> None:
    plain = history.add(new_item("a", created_at=datetime(2026, 3, 1, 12, 0)))
    zoned = history.add(new_item("b", created_at=datetime(2026, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))))
    assert plain.created_at == datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert zoned.created_at == datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"text": " \n"},
        {"text": "x" * (MAX_TEXT + 1)},
        {"text": "x", "given": "x" * (MAX_TEXT + 1)},
        {"text": "\ud800"},
        {"text": "x", "given": "\udfff"},
        {"text": "x", "user": ""},
        {"text": "x", "user": "a\nb"},
        {"text": "x", "kind": ""},
        {"text": "x", "kind": "k" * 65},
        {"text": "x", "source": "a\x1b"},
        {"text": "x", "metadata": {"a": float("nan")}},
        {"text": "x", "metadata": {"a": object()}},
        {"text": "x", "metadata": {"a": "\ud800"}},
        {"text": "x", "metadata": {"a": "x" * 70_000}},
    ],
)
def test_items_that_cannot_be_kept_are_refused(history: History, fields: dict[str, object]) -> None:
    text = fields.pop("text")
    with pytest.raises(InvalidInput) as caught:
        history.add(new_item(str(text), **fields))  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    assert history.users() == []


def test_the_longest_texts_are_kept(history: History) -> None:
    stored = history.add(new_item("ü" * MAX_TEXT, given="word " * (MAX_TEXT // 5)))
    assert len(stored.output) == MAX_TEXT
    assert history.health(full=True).sound


def test_items_of_other_users_are_out_of_reach(history: History) -> None:
    stored = history.add(new_item("secret"))
    assert stored.id is not None
    with pytest.raises(NotFound):
        history.item(stored.id, "bob")
    with pytest.raises(NotFound):
        history.item(99)


@pytest.mark.parametrize("number", [2**63, -(2**70)])
def test_numbers_beyond_the_database_are_refused(history: History, number: int) -> None:
    with pytest.raises(InvalidInput, match="does not fit"):
        history.item(number)


def test_names_that_are_not_unicode_are_refused_when_reading_too(history: History) -> None:
    for call in (history.items, history.count, history.stats, history.retention, history.generation):
        with pytest.raises(InvalidInput, match="not valid Unicode"):
            call("caf\udce9")


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


def test_iterating_sees_one_moment(history: History) -> None:
    history.add_many(new_item(f"text {number}") for number in range(1500))
    iterator = history.iterate_items("ann")
    first = next(iterator)
    history.add(new_item("later"))
    rest = list(iterator)
    assert [first.output, rest[-1].output, len(rest)] == ["text 0", "text 1499", 1499]
    assert len(list(history.iterate_items())) == 1501


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
