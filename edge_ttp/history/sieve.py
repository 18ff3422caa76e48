"""Rows that this program cannot have written: each is named and left out, so that the others can be used.

A file of the history may have been damaged by a disk or changed by another program while its tables look sound. Whoever
reads rows reads them through a Sieve; what it left out stands in History.damaged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from edge_ttp.errors import HistoryUnavailable, InvalidInput

CURE = "set such rows aside: edge-ttp history doctor --repair"

MOST_KEPT = 1_000
"""Damaged rows that are remembered; more are only counted."""

UNREADABLE = (
    InvalidInput,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What making a record of a row raises where the row is none."""

_LONGEST = 120

Row = TypeVar("Row")
Made = TypeVar("Made")


@dataclass(frozen=True)
class DamagedRow:
    """A row that was left out."""

    table: str
    row: str
    """Its number or id."""
    reason: str

    def __str__(self) -> str:
        return f"{self.table} {self.row}: {self.reason}"


class RowUnavailable(HistoryUnavailable):
    """A single row that was asked for is damaged."""

    def __init__(self, damaged: DamagedRow) -> None:
        self.damaged = damaged
        super().__init__(f"a row of the history is damaged: {damaged}", CURE)


class Sieve:
    """Makes records of rows and remembers the rows that are none. Safe from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._found: dict[tuple[str, str], DamagedRow] = {}

    @property
    def left_out(self) -> tuple[DamagedRow, ...]:
        """The rows left out so far, each once, in the order in which they were met."""
        with self._guard:
            return tuple(self._found.values())

    def sift(self, table: str, rows: Iterable[Row], make: Callable[[Row], Made]) -> Iterator[Made]:
        """What `make` makes of each row; rows of which it makes nothing are left out. A row's first value names it."""
        for row in rows:
            try:
                made = make(row)
            except UNREADABLE as error:
                self.leave_out(table, row[0], error)  # type: ignore[index]
            else:
                yield made

    def leave_out(self, table: str, key: object, why: BaseException | str) -> DamagedRow:
        """Remembers the row as damaged."""
        damaged = DamagedRow(table, printable(key), why if isinstance(why, str) else reason(why))
        with self._guard:
            if len(self._found) < MOST_KEPT:
                damaged = self._found.setdefault((damaged.table, damaged.row), damaged)
        return damaged


def only(table: str, row: Row, make: Callable[[Row], Made]) -> Made:
    """What `make` makes of a single row that was asked for. HistoryUnavailable if it is damaged."""
    try:
        return make(row)
    except UNREADABLE as error:
        damaged = DamagedRow(table, printable(row[0]), reason(error))  # type: ignore[index]
        raise RowUnavailable(damaged) from error


def reason(error: BaseException) -> str:
    """Why a row is damaged, on one line."""
    details = getattr(error, "errors", None)
    if callable(details):  # pydantic's
        first = details()[0]
        return printable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, OverflowError):
        return "a number out of range"
    if isinstance(error, KeyError):
        return printable(f"{error.args[0] if error.args else 'a field'} is missing")
    return printable(getattr(error, "fact", None) or error) or type(error).__name__


def printable(value: object) -> str:
    """`value` on one line, shortened, for a message; whatever a hostile file holds."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    text = "".join(one if one.isprintable() else " " for one in text[: 4 * _LONGEST])
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 3]}..."
