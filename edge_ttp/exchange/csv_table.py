"""Tables: CSV files whose columns are items' fields, by name or as mapped by the caller."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import BufferedReader, TextIOWrapper
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.jsonl import MAX_LINE, LineReading, refuse_binary, row_item
from edge_ttp.exchange.records import Advance, BadRecord, Entry, Numbered, no_progress

_HEAD = 65_536


def rows(stream: BufferedReader[Any], name: str, how: LineReading, progress: Advance = no_progress) -> Iterator[Entry]:
    """The rows of an open CSV file with a header, numbered by line. The delimiter is told by the header.

    InvalidInput if it is no such table or lacks the column of the output. progress is called with the bytes read.
    """
    head = stream.peek(_HEAD)[:_HEAD]
    refuse_binary(head, name)
    text = TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    limit = csv.field_size_limit(MAX_LINE)
    try:
        reader = csv.reader(_bounded(text, name), delimiter=_delimiter(head))
        header = next(reader, None)
        wanted = how.columns.get("output", "output")
        if header is None or wanted not in header:
            columns = ", ".join((header or [])[:20])[:200]
            raise InvalidInput(f"{name} has no column {wanted!r} (it has: {columns})", "name it: --map output=COLUMN")
        done = 0
        for row in reader:
            done += sum(len(cell) + 1 for cell in row)
            progress(done)
            if any(cell.strip() for cell in row):
                yield _row(reader.line_num, header, row, how)
    except csv.Error as error:
        raise InvalidInput(
            f"{name} line {reader.line_num} is no CSV ({error})", "correct it, or save it again"
        ) from None
    finally:
        csv.field_size_limit(limit)
        text.detach()  # closing it would close the caller's stream


def _row(number: int, header: list[str], row: list[str], how: LineReading) -> Numbered | BadRecord:
    if len(row) > len(header):
        return BadRecord(number, f"{len(row)} cells under {len(header)} columns")
    values: dict[str, Any] = {column: cell for column, cell in zip(header, row, strict=False) if cell != ""}
    order = values.get(how.columns.get("order", "order"))
    if isinstance(order, str) and order.lstrip("-").isdecimal() and len(order) < 12:
        values[how.columns.get("order", "order")] = int(order)
    values.setdefault(how.columns.get("input", "input"), "")
    try:
        for cell in row:
            cell.encode()
        return Numbered(number, row_item(values, how, "csv"))
    except UnicodeEncodeError:
        return BadRecord(number, "not UTF-8")
    except ValueError as error:
        return BadRecord(number, str(error))


def _delimiter(head: bytes) -> str:
    """The one of , ; tab | that the first line has most of."""
    first = head.split(b"\n", 1)[0]
    return max((",", ";", "\t", "|"), key=lambda one: first.count(one.encode()))


def _bounded(text: TextIOWrapper, name: str) -> Iterator[str]:
    while line := text.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise InvalidInput(f"{name} has a line longer than {MAX_LINE // 2**20} MiB", "give a table of texts")
        yield line
