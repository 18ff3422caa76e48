from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.history import History
from edge_ttp.schema import MAX_TEXT

from .conftest import new_item


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


@pytest.mark.parametrize("number", [2**63, -(2**70)])
def test_numbers_beyond_the_database_are_refused(history: History, number: int) -> None:
    with pytest.raises(InvalidInput, match=r"does not fit|too many digits"):
        history.item(number)


def test_names_that_are_not_unicode_are_refused_when_reading_too(history: History) -> None:
    for call in (history.items, history.count, history.stats, history.retention, history.generation):
        with pytest.raises(InvalidInput, match="not valid Unicode"):
            call("caf\udce9")


def test_iterating_sees_one_moment(history: History) -> None:
    history.add_many(new_item(f"text {number}") for number in range(1500))
    iterator = history.iterate_items("ann")
    first = next(iterator)
    history.add(new_item("later"))
    rest = list(iterator)
    assert [first.output, rest[-1].output, len(rest)] == ["text 0", "text 1499", 1499]
    assert len(list(history.iterate_items())) == 1501
