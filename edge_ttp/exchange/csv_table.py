"""Tables: CSV files whose columns are items' fields, by name or as mapped by the caller."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from io import BufferedReader
from itertools import chain
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.dates import months_first
from edge_ttp.exchange.files import guarded
from edge_ttp.exchange.jsonl import MAX_LINE, LineReading, refuse_binary, row_item
from edge_ttp.exchange.records import Advance, BadRecord, Entry, Numbered, Remark, no_progress
from edge_ttp.exchange.text import decoded, plain

_HEAD = 65_536
_FIELDS = ("output", "input", "kind", "date", "created_at", "user_id", "order", "source")
_DELIMITERS = (",", ";", "\t", "|")


def rows(stream: BufferedReader[Any], name: str, how: LineReading, progress: Advance = no_progress) -> Iterator[Entry]:
    """The rows of an open CSV file with a header, numbered by line. The header tells the delimiter, the bytes the
    encoding, which is said where it was guessed.

    InvalidInput if it is no such table or lacks the column of the output. progress is called with the bytes read.
    """
    head = stream.peek(_HEAD)[:_HEAD]
    if not (head.startswith((b"\xff\xfe", b"\xfe\xff")) or _is_wide(how.encoding or "")):
        refuse_binary(head, name)
    sample = _sample(stream)
    encoding, guessed = _encoding(sample, how)
    if guessed:
        yield Remark(f"{name} was read as {encoding}, by its bytes; --encoding says otherwise")
    # Wide encodings know no escape for what cannot be decoded; the others keep it, so that its row is named.
    errors = "replace" if _is_wide(encoding) else "surrogateescape"
    text = io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline="")
    limit = csv.field_size_limit(MAX_LINE)
    try:
        lines = _Lines(text)
        reader, header = _begun(lines, name)
        header = _named(header, how)
        wanted = how.columns.get("output", "output")
        if wanted not in header:
            raise _no_column(name, wanted, header)
        if how.form is None:
            how = replace(how, month_first=_months_first(sample.decode(encoding, errors="replace"), name, how))
            if how.month_first is not None:
                form = "month/day" if how.month_first else "day/month"
                yield Remark(f"dates with slashes or hyphens were read as {form}; --date-format says otherwise")
        number = 1
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                number = lines.number
                yield BadRecord(number, f"no CSV ({error})")
                continue
            if row is None:
                return
            number = lines.number
            progress(lines.done)
            if any(cell.strip() for cell in row):
                yield from guarded(number, partial(_row, number, header, row, how))
    finally:
        csv.field_size_limit(limit)
        text.detach()  # closing it would close the caller's stream


def _begun(lines: _Lines, name: str) -> tuple[Iterator[list[str]], list[str]]:
    """(the rows below the header, the header)."""
    try:
        first = next(lines, "")
        delimiter = _declared(first)
        if delimiter is not None:
            first = next(lines, "")
        reader = csv.reader(chain([first], lines), delimiter=delimiter or _delimiter(first))
        return reader, [plain(column).strip() for column in next(reader, [])]
    except csv.Error as error:
        raise InvalidInput(f"{name} is no table ({error})", "give a CSV file with a header") from None


def _named(header: list[str], how: LineReading) -> list[str]:
    """The header with `Output` or `DATE` as the fields are called, where no column is called so exactly."""
    fields = {name for name in _FIELDS if name not in how.columns and name not in header}
    return [one.lower() if one.lower() in fields and one not in how.columns.values() else one for one in header]


def _sample(stream: BufferedReader[Any]) -> bytes:
    """The beginning of the file, whole lines of it; more of one that can be read twice."""
    if stream.seekable():
        place = stream.tell()
        sample = stream.read(4 * MAX_LINE)
        stream.seek(place)
    else:
        sample = stream.peek(_HEAD)
    return sample[: sample.rfind(b"\n") + 1] or sample  # no character is cut in two


def _encoding(sample: bytes, how: LineReading) -> tuple[str, bool]:
    """(the file's encoding, whether it was guessed)."""
    if how.encoding is not None:
        return how.encoding, False
    found = decoded(sample)
    return ("utf-8-sig" if found.encoding == "utf-8" else found.encoding), found.guessed


def _months_first(sample: str, name: str, how: LineReading) -> bool | None:
    """What the dates of a file that begins so say of the order of day and month."""
    reader, header = _begun(_Lines(io.StringIO(sample, newline="")), name)
    header = _named(header, how)
    wanted = {how.columns.get(field, field) for field in ("date", "created_at")}
    columns = [place for place, column in enumerate(header) if column in wanted]
    dates: list[str] = []
    with suppress(csv.Error):
        for row in reader if columns else ():
            dates += [row[place] for place in columns if place < len(row)]
    return months_first(dates)


def _is_wide(encoding: str) -> bool:
    return encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32"))


class _Lines:
    """The lines of a table, none longer than MAX_LINE, with their number and the characters read so far."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self.number = 0
        self.done = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.done += len(line)
        if len(line) > MAX_LINE:
            while not line.endswith("\n") and (line := self._text.readline(MAX_LINE)):
                self.done += len(line)
            raise csv.Error(f"a line longer than {MAX_LINE // 2**20} MiB")
        return line


def _declared(first: str) -> str | None:
    """The delimiter that Excel's first line `sep=;` names."""
    bare = first.strip().strip('"').lower()
    return bare[4] if bare.startswith("sep=") and len(bare) == 5 else None


def _delimiter(header: str) -> str:
    """The one of , ; tab | that the header has most of, outside of quotes."""
    outside = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=outside.count)


def _no_column(name: str, wanted: str, header: list[str]) -> InvalidInput:
    short = ["".join(one if one.isprintable() else "?" for one in column[:40]) for column in header[:20]]
    columns = ", ".join(short)[:200]
    return InvalidInput(f"{name} has no column {wanted!r} (it has: {columns})", _mapping(short))


_CALLED = {
    "output": r"answer|antwort|repl(?:y|ies)|response|respuesta|réponse|risposta|text|message|body|content|nachricht",
    "input": r"question|frage|prompt|pregunta|domanda|subject|betreff|title|titel|request|anfrage",
    "date": r"date|datum|time|zeit|fecha|data\b",
}
"""What columns are called that hold a field, in the order in which they are looked for."""


def _mapping(header: list[str]) -> str:
    """A cure that names the columns by what they are called, else by their places."""
    found: dict[str, str] = {}
    left = [column for column in header if column]
    for field, pattern in _CALLED.items():
        column = next((one for one in left if re.search(pattern, one, re.IGNORECASE)), None)
        if column is not None:
            found[field] = column
            left.remove(column)
    if "output" not in found and left:
        found["output"] = left.pop(1 if len(left) > 1 and "input" not in found else 0)
    if "input" not in found and left:
        found["input"] = left[0]
    pairs = [f"{field}={found.get(field, 'COLUMN')}" for field in ("output", "input", "date") if field in found]
    named = " ".join(f"--map {shlex.quote(pair)}" for pair in pairs or ["output=COLUMN"])
    return f"say which column is what, such as: {named}"


def _row(number: int, header: list[str], row: list[str], how: LineReading) -> Iterator[Entry]:
    if len(row) > len(header):
        if any(cell.strip() for cell in row[len(header) :]):
            yield BadRecord(number, f"{len(row)} cells under {len(header)} columns")
            return
        row = row[: len(header)]
    values: dict[str, Any] = {
        column: plain(cell) for column, cell in zip(header, row, strict=False) if cell.strip() and column
    }
    order = how.columns.get("order", "order")
    if isinstance(values.get(order), str) and values[order].lstrip("-").isdecimal() and len(values[order]) < 12:
        values[order] = int(values[order])
    values.setdefault(how.columns.get("input", "input"), "")
    try:
        for cell in row:
            cell.encode()
        yield Numbered(number, row_item(values, how, "csv"))
    except UnicodeEncodeError:
        yield BadRecord(number, "not UTF-8" if how.encoding is None else f"not {how.encoding}")
    except ValueError as error:
        yield BadRecord(number, str(error))
