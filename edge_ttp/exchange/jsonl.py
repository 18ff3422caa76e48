"""JSON lines in and out: one object per line, UTF-8. The format is described in docs/exchange.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from io import BufferedReader
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import openai_messages as chat
from edge_ttp.exchange.dates import NoDate, time_of
from edge_ttp.exchange.files import guarded
from edge_ttp.exchange.openai_messages import Role
from edge_ttp.exchange.records import (
    LEARNED,
    Advance,
    BadRecord,
    Entry,
    LearnedRecord,
    Numbered,
    Record,
    Remark,
    Skipped,
    no_progress,
)
from edge_ttp.exchange.text import plain
from edge_ttp.schema import Feedback, Generation, HistoryItem, utc_now

MAX_LINE = 4 * 1024 * 1024
"""Longest line in bytes; the texts of one item may have 200,000 characters each."""

_HEAD = 4096
_SKIP = 1024 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SIGNATURES = (
    (b"\x1f\x8b", "is compressed (gzip)", "unpack it first: gunzip"),
    (b"PK\x03\x04", "is a zip archive", "unpack it first: unzip"),
    (b"\xff\xfe", "is UTF-16", "convert it first: iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "is UTF-16", "convert it first: iconv -f UTF-16 -t UTF-8"),
)
_OWN = frozenset(
    (
        "record",
        "id",
        "user_id",
        "input",
        "output",
        "kind",
        "created_at",
        "date",
        "order",
        "source",
        "metadata",
        "messages",
    )
)


@dataclass(frozen=True)
class LineReading:
    """How lines are read."""

    user: str | None
    """Owner of every line, whatever the line says. None: the line's own `user_id`, else `fallback`."""
    fallback: str
    kind: str | None = None
    """Kind of every item. None: the line's own, else `text`."""
    now: datetime = field(default_factory=utc_now)
    """Time of items that have none."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Field of an item -> the key or column that holds it, where it has another name."""
    form: str | None = None
    """How dates are written, as strptime takes it."""
    month_first: bool | None = None
    """Of dates such as 01/31/2025; None: they are refused."""
    encoding: str | None = None
    """Of a table. None: told by the bytes. JSON lines are UTF-8."""
    role: Role = "user"
    """Of lines with `messages`: whose messages the user wrote."""


class _Unreadable(ValueError):
    """Why a line cannot be an item."""


def records(
    stream: BufferedReader[Any], name: str, how: LineReading, progress: Advance = no_progress
) -> Iterator[Entry]:
    """The records of an open file, line by line; blank lines are passed over. No line longer than MAX_LINE is loaded.

    InvalidInput if it is no text file at all. progress is called with the bytes read so far.
    """
    refuse_binary(stream.peek(_HEAD)[:_HEAD], name)
    done = 0
    for number, (line, length) in enumerate(_lines(stream), start=1):
        done += length
        progress(done)
        if line is None:
            yield BadRecord(number, f"the line is longer than {MAX_LINE // 1024**2} MiB ({length} bytes)")
            continue
        text = line.removeprefix(_BYTE_ORDER_MARK).strip() if number == 1 else line.strip()
        if text:
            yield from guarded(number, partial(_entries, number, text, how))


def _entries(number: int, line: bytes, how: LineReading) -> Iterator[Entry]:
    try:
        value = _object(line)
        if chat.is_chat(value):
            yield Remark(chat.REMARKS[how.role])
            said = list(chat.written(value, how.role))
            items = [_item({**value, **one}, how) for one in said]
            yield from (Numbered(number, item) for item in items)
            if not items:
                yield Skipped(number, chat.UNSAID)
        else:
            yield Numbered(number, _record(value, how))
    except (_Unreadable, NoDate) as error:
        yield BadRecord(number, str(error))


def refuse_binary(head: bytes, name: str) -> None:
    """Raises InvalidInput for the first bytes of a file that is no text."""
    for signature, fact, cure in _SIGNATURES:
        if head.startswith(signature) and (len(signature) > 2 or signature == b"\x1f\x8b" or b"\0" in head):
            raise InvalidInput(f"{name} {fact}", cure)
    if b"\0" in head:
        raise InvalidInput(f"{name} is a binary file", "give a text file with one JSON object per line")


def _lines(stream: BufferedReader[Any]) -> Iterator[tuple[bytes | None, int]]:
    """(line, length in bytes) of every line; None instead of one that is too long, which is read past in pieces."""
    while line := stream.readline(MAX_LINE + 1):
        if len(line) <= MAX_LINE or line.endswith(b"\n"):
            yield line, len(line)
            continue
        length = len(line)
        while piece := stream.readline(_SKIP):
            length += len(piece)
            if piece.endswith(b"\n"):
                break
        yield None, length


def parse(line: bytes, how: LineReading) -> Record:
    """The record that a line describes. Raises ValueError with the reason if it describes none."""
    return _record(_object(line), how)


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise _Unreadable(f"not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise _Unreadable(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except (RecursionError, ValueError):
        raise _Unreadable("not JSON that can be read: nested too deeply, or a number with too many digits") from None
    if not isinstance(value, dict):
        raise _Unreadable(f"a JSON {_json_type(value)}, not an object")
    return value


def _record(value: dict[str, Any], how: LineReading) -> Record:
    sort = value.get("record", "item")
    if sort == "item":
        return _item(_renamed(value, how), how)
    if sort in ("generation", "feedback"):
        return _judged(sort, value, how)
    if isinstance(sort, str) and sort in LEARNED:
        fields = {key: inner for key, inner in value.items() if key not in ("record", "user_id")}
        return LearnedRecord(sort, _owner(value, "user_id", how), fields)
    raise _Unreadable(f"record is {json.dumps(sort)[:40]}, not item, generation, feedback or what is learned")


def row_item(value: dict[str, Any], how: LineReading, source: str) -> HistoryItem:
    """The item of one row of a table. Raises ValueError with the reason if it is none."""
    return _item({"source": source, **_renamed(value, how)}, how)


def _renamed(value: dict[str, Any], how: LineReading) -> dict[str, Any]:
    """`value` with the mapped keys under their fields' names."""
    if not how.columns:
        return value
    mapped = set(how.columns.values())
    rest = {key: inner for key, inner in value.items() if key not in mapped and key not in how.columns}
    return rest | {name: value[key] for name, key in how.columns.items() if key in value}


def _item(value: dict[str, Any], how: LineReading) -> HistoryItem:
    metadata = value.get("metadata", {})
    if not isinstance(metadata, dict):
        raise _Unreadable(f"metadata is a {_json_type(metadata)}, not an object")
    kind = how.kind or (_text(value, "kind") if value.get("kind") is not None else "text")
    # What an export wrote comes back as it was, to the byte; editors' marks go from what others wrote.
    clean = (lambda text: text) if "record" in value else plain
    return HistoryItem(
        user_id=_owner(value, "user_id", how),
        input=clean(_text(value, "input")),
        output=clean(_text(value, "output")),
        kind=kind,
        created_at=time_of(value, how.now, how.form, month_first=how.month_first),
        source=_text(value, "source") if value.get("source") is not None else "jsonl",
        metadata={**{key: inner for key, inner in value.items() if key not in _OWN}, **metadata},
    )


def _judged(sort: str, value: dict[str, Any], how: LineReading) -> Generation | Feedback:
    owner = "user" if sort == "generation" else "user_id"
    fields = {key: inner for key, inner in value.items() if key not in ("record", "id")}
    fields[owner] = _owner(value, owner, how)
    try:
        return Generation.model_validate(fields) if sort == "generation" else Feedback.model_validate(fields)
    except InvalidInput as error:
        raise _Unreadable(f"{sort}: {error.fact}") from None


def _owner(value: dict[str, Any], key: str, how: LineReading) -> str:
    if how.user is not None:
        return how.user
    return _text(value, key) if value.get(key) is not None else how.fallback


def _text(value: dict[str, Any], key: str) -> str:
    if key not in value:
        raise _Unreadable(f"{key} is missing")
    text = value[key]
    if not isinstance(text, str):
        raise _Unreadable(f"{key} is a {_json_type(text)}, not a string")
    return text


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    for kind, name in ((str, "string"), (list, "list"), (dict, "object"), (int | float, "number")):
        if isinstance(value, kind):
            return name
    return "null"


def line_of(record: Record) -> str:
    """The line of an export for this record. Reading it gives the record back, ids of items and feedback anew."""
    if isinstance(record, LearnedRecord):
        value = {"record": record.sort, "user_id": record.user_id, **record.values}
    elif isinstance(record, Generation):
        value = {"record": "generation", **record.model_dump(mode="json")}
    else:
        sort = "item" if isinstance(record, HistoryItem) else "feedback"
        value = {"record": sort, **record.model_dump(mode="json", exclude={"id"})}
    return json.dumps(value, ensure_ascii=False) + "\n"
