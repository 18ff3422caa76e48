from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import jsonl
from edge_ttp.exchange.jsonl import LineReading, line_of, parse, records
from edge_ttp.exchange.records import BadRecord, Numbered
from edge_ttp.history.importing import checked
from edge_ttp.schema import HistoryItem

NOW = datetime(2026, 5, 1, tzinfo=UTC)
HOW = LineReading(user=None, fallback="me", now=NOW)


def one(**fields: object) -> HistoryItem:
    record = parse(json.dumps({"input": "in", "output": "out", **fields}).encode(), HOW)
    assert isinstance(record, HistoryItem)
    return record


def read(content: bytes, how: LineReading = HOW) -> list[Numbered | BadRecord]:
    stream = io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]
    return list(checked(lambda: records(stream, "file", how)))


def reason(line: bytes) -> str:
    [bad] = read(line)
    assert isinstance(bad, BadRecord)
    return bad.reason


def test_a_plain_line_becomes_an_item() -> None:
    item = one(user_id="ann", category="NEWS", paper_id=7, order=3, date="2015-11-21", kind="headline")
    assert (item.user_id, item.input, item.output, item.kind, item.source) == ("ann", "in", "out", "headline", "jsonl")
    assert item.metadata == {"category": "NEWS", "paper_id": 7}


def test_the_owner_is_the_users_option_then_the_line_then_the_default() -> None:
    line = b'{"user_id": "ann", "input": "", "output": "x"}'
    assert parse(line, LineReading(user="bob", fallback="me")).user_id == "bob"  # type: ignore[union-attr]
    assert parse(line, HOW).user_id == "ann"  # type: ignore[union-attr]
    assert one().user_id == "me"


def test_the_kind_option_wins_over_the_line() -> None:
    record = parse(b'{"input": "", "output": "x", "kind": "a"}', LineReading(user="u", fallback="me", kind="b"))
    assert isinstance(record, HistoryItem)
    assert record.kind == "b"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, NOW),
        ({"date": "2015-11-21"}, datetime(2015, 11, 21, tzinfo=UTC)),
        ({"date": "2015-11-21T10:30:00Z"}, datetime(2015, 11, 21, 10, 30, tzinfo=UTC)),
        ({"date": "2015-11-21 10:30:00+02:00"}, datetime(2015, 11, 21, 8, 30, tzinfo=UTC)),
        ({"date": "2015-11-21T10:30:00.123456"}, datetime(2015, 11, 21, 10, 30, 0, 123456, tzinfo=UTC)),
        ({"date": "2015-11"}, datetime(2015, 11, 1, tzinfo=UTC)),
        ({"date": "2015"}, datetime(2015, 1, 1, tzinfo=UTC)),
        ({"date": 2015}, datetime(2015, 1, 1, tzinfo=UTC)),
        ({"date": 1448064000}, datetime(2015, 11, 21, tzinfo=UTC)),
        ({"date": 1448064000.25}, datetime(2015, 11, 21, 0, 0, 0, 250000, tzinfo=UTC)),
        ({"date": -86400}, datetime(1969, 12, 31, tzinfo=UTC)),
        ({"date": "2015-11-21", "order": 7}, datetime(2015, 11, 21, 0, 0, 0, 7000, tzinfo=UTC)),
        ({"date": "2015-11-21T10:30:00Z", "order": 7}, datetime(2015, 11, 21, 10, 30, tzinfo=UTC)),
        ({"order": 0}, datetime(2000, 1, 1, tzinfo=UTC)),
        ({"order": 61}, datetime(2000, 1, 1, 0, 1, 1, tzinfo=UTC)),
        ({"order": -0.5}, datetime(1999, 12, 31, 23, 59, 59, 500000, tzinfo=UTC)),
        ({"created_at": "2020-01-01", "date": "1999-01-01"}, datetime(2020, 1, 1, tzinfo=UTC)),
        ({"date": None, "order": None}, NOW),
    ],
)
def test_times(fields: dict[str, object], expected: datetime) -> None:
    assert one(**fields).created_at == expected


@given(st.lists(st.integers(-(10**6), 10**6), unique=True, min_size=2))
def test_order_alone_keeps_the_order(orders: list[int]) -> None:
    times = {order: one(order=order).created_at for order in orders}
    assert sorted(orders) == sorted(orders, key=lambda order: times[order])
    assert len(set(times.values())) == len(orders)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"hello", "not JSON: Expecting value at character 1"),
        (b'{"input": "a", "output": "b"', "not JSON"),
        (b"[1, 2]", "a JSON list, not an object"),
        (b"null", "a JSON null, not an object"),
        (b'{"input": "a"}', "output is missing"),
        (b'{"output": "a"}', "input is missing"),
        (b'{"input": 3, "output": "a"}', "input is a number, not a string"),
        (b'{"input": "a", "output": null}', "output is a null, not a string"),
        (b'{"input": "a", "output": " "}', "the output is empty"),
        (b'{"input": "a", "output": "\\ud800"}', "the output is not valid Unicode at character 1"),
        (b'{"input": "a", "output": "b\xff"}', "not UTF-8 at byte 28"),
        (b'{"input": "a", "output": "b", "user_id": 5}', "user_id is a number, not a string"),
        (b'{"input": "a", "output": "b", "user_id": ""}', "the user id is empty"),
        (b'{"input": "a", "output": "b", "kind": 5}', "kind is a number, not a string"),
        (b'{"input": "a", "output": "b", "kind": ""}', "kind '' is no label"),
        (b'{"input": "a", "output": "b", "source": []}', "source is a list, not a string"),
        (b'{"input": "a", "output": "b", "metadata": 1}', "metadata is a number, not an object"),
        (b'{"input": "a", "output": "b", "other": "\\udc00"}', "the metadata cannot be written as JSON"),
        (b'{"input": "a", "output": "b", "other": NaN}', "the metadata cannot be written as JSON"),
        (b'{"input": "a", "output": "b", "order": "x"}', "order is not a number"),
        (b'{"input": "a", "output": "b", "order": true}', "order is not a number"),
        (b'{"input": "a", "output": "b", "order": 1e300}', "order is not a number up to 1e9"),
        (b'{"input": "a", "output": "b", "order": NaN}', "order is not a number"),
        (b'{"input": "a", "output": "b", "date": "yesterday"}', 'date is "yesterday": not a date'),
        (b'{"input": "a", "output": "b", "date": 1e20}', "not a date"),
        (b'{"input": "a", "output": "b", "date": Infinity}', "not a date"),
        (b'{"input": "a", "output": "b", "date": true}', "not a date"),
        (b'{"input": "a", "output": "b", "date": "0000"}', "not a date"),
        (b'{"input": "a", "output": "b", "record": "x"}', 'record is "x", not item'),
        (b'{"input": "a", "output": "b", "record": []}', "record is [], not item"),
        (b'{"record": "feedback"}', "feedback: "),
        (b'{"record": "generation", "text": 3}', "generation: "),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"input": ' + b"9" * 10_000 + b"}", "too many digits"),
        (b'{"input": "a", "output": "' + b"x" * 200_001 + b'"}', "the output has 200001 characters"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(line: bytes, expected: str) -> None:
    assert expected in reason(line)
    assert reason(line).isprintable()


@given(st.binary(max_size=200).filter(lambda data: b"\0" not in data))
def test_any_bytes_are_read_or_refused_without_a_crash(data: bytes) -> None:
    try:
        found = read(data)
    except InvalidInput:
        return
    assert all(isinstance(entry, BadRecord) or entry.record for entry in found)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["input", "output", "date", "order"]), inner),
    )
)
def test_any_json_is_read_or_refused_without_a_crash(value: object) -> None:
    for line in (
        value,
        {"input": "a", "output": "b", "date": value},
        {"input": "a", "output": value, "metadata": value},
    ):
        found = read(json.dumps(line).encode())
        assert len(found) == 1


def test_lines_are_numbered_and_blank_ones_passed_over() -> None:
    good = b'{"input": "a", "output": "b"}'
    found = read(b"\xef\xbb\xbf" + good + b"\r\n\n   \nbad\n" + good)
    assert [entry.number for entry in found] == [1, 4, 5]
    assert [isinstance(entry, BadRecord) for entry in found] == [False, True, False]


class Endless(io.RawIOBase):
    """A file of one giant line and a good one, made while it is read; remembers the largest piece asked for."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.tail = b'\n{"input": "a", "output": "b"}\n'
        self.largest = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self.largest = max(self.largest, len(buffer))
        if self.left:
            count = min(len(buffer), self.left)
            buffer[:count] = b"x" * count
            self.left -= count
            return count
        count = min(len(buffer), len(self.tail))
        buffer[:count] = self.tail[:count]
        self.tail = self.tail[count:]
        return count


def test_a_giant_line_is_reported_and_never_loaded_whole() -> None:
    source = Endless(200_000_000)
    done: list[float] = []
    found = list(records(io.BufferedReader(source), "file", HOW, done.append))
    assert [entry.number for entry in found] == [1, 2]
    assert found[0] == BadRecord(1, "the line is longer than 4 MiB (200000001 bytes)")
    assert isinstance(found[1], Numbered)
    assert source.largest <= jsonl.MAX_LINE + 1
    assert done == [200_000_001, 200_000_031]


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"\x7fELF\x02\x01\0\0", "is a binary file"),
        (b"SQLite format 3\0", "is a binary file"),
        (b"\x1f\x8b\x08abc", "is compressed"),
        (b"PK\x03\x04abc", "is a zip archive"),
        ('{"a"'.encode("utf-16"), "is UTF-16"),
    ],
)
def test_a_file_that_is_no_text_is_refused_whole(content: bytes, fact: str) -> None:
    with pytest.raises(InvalidInput, match=fact):
        read(content)


def test_an_empty_file_holds_nothing() -> None:
    assert read(b"") == []


@given(
    st.builds(
        HistoryItem,
        user_id=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1).filter(str.strip),
        input=st.text(st.characters(exclude_categories=["Cs"])),
        output=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip),
        kind=st.sampled_from(["text", "e-mail"]),
        created_at=st.datetimes(timezones=st.just(UTC)),
        source=st.sampled_from(["api", "git"]),
        metadata=st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"])), st.integers() | st.text(max_size=3)
        ),
    ).filter(lambda item: "\ud800" not in str(item.metadata))
)
def test_an_exported_item_reads_back_the_same(item: HistoryItem) -> None:
    assert parse(line_of(item).encode(), HOW) == item


def test_progress_counts_bytes() -> None:
    def lines() -> Iterator[bytes]:
        for number in range(3):
            yield json.dumps({"input": "", "output": f"{number}"}).encode() + b"\n"

    content = b"".join(lines())
    done: list[float] = []
    list(records(io.BufferedReader(io.BytesIO(content)), "file", HOW, done.append))  # type: ignore[arg-type]
    assert done[-1] == len(content)
    assert done == sorted(done)


def test_mapped_keys_of_json_lines_are_read_by_their_fields() -> None:
    how = LineReading(None, "ann", columns={"output": "completion", "input": "prompt"})
    item = parse(b'{"prompt": "q", "completion": "a", "output": "ignored", "tag": 1}', how)
    assert isinstance(item, HistoryItem)
    assert (item.input, item.output, item.metadata) == ("q", "a", {"tag": 1})
