"""What SQLite reports about a history file, as errors a person can act on."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_ttp.errors import HistoryUnavailable, InvalidInput, OutOfCapacity
from edge_ttp.history import driver

REPAIR = "see `edge-ttp history doctor`"

_LOG_INDEX = 32_768
"""Bytes of the smallest index of a write-ahead log."""
_FULL = "database or disk is full"
"""SQLite's message for SQLITE_FULL (sqlite3ErrStr in its main.c)."""

_LONGEST = 200


class HistoryDamaged(HistoryUnavailable):
    """A file that is no sound history: repairing it, or restoring a backup over it, is the way on."""


class HistoryBlocked(HistoryUnavailable):
    """A full disk or another process is in the way: the file itself may be sound, and repairing it helps nobody."""


class DiskFull(HistoryBlocked):
    """A disk without room for what reading or writing a history needs."""


def primary_code(error: BaseException) -> int:
    """SQLite's result code without its extension; 0 where the error is the driver's own."""
    code = int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    # What a function ran within a statement (sqlcipher_export) keeps its message and loses its code.
    return sqlite3.SQLITE_FULL if code == sqlite3.SQLITE_ERROR and str(error) == _FULL else code


def read_only(path: Path) -> HistoryUnavailable:
    """A file that may not be written."""
    return HistoryUnavailable(
        f"the history {path} is read-only", f"make the file and its folder writable: chmod u+w {path.parent} {path}"
    )


def locked(path: Path) -> HistoryUnavailable:
    """A file that another process holds."""
    return HistoryBlocked(
        f"the history {path} is locked by another process", "try again, or end the program that holds it"
    )


def full(path: Path) -> HistoryUnavailable:
    """A disk without room."""
    return DiskFull(f"the disk is full: nothing more can be written to {path}", "free some space and try again")


def _no_space(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LOG_INDEX
    except OSError:
        return False


def _unsound(path: Path, code: int) -> str:
    """What to do about a file that is no sound database. One that is encrypted looks like no database at all."""
    if code == sqlite3.SQLITE_NOTADB and not driver.is_plain(path):
        return "if it is encrypted, unlock the keyring that has its key; otherwise restore a backup"
    return "save what can be read: edge-ttp history doctor --repair; or restore a backup: edge-ttp history restore FILE"


def _line(error: BaseException) -> str:
    """The message of SQLite on one line, which may quote what a hostile file holds."""
    text = " ".join(str(error).split())[:_LONGEST]
    return "".join(character if character.isprintable() else "?" for character in text)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns what SQLite reports about the file `path` into an EdgeTTPError."""
    try:
        yield
    except driver.error_types() as error:
        code = primary_code(error)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise locked(path) from error
        if code == sqlite3.SQLITE_FULL:
            raise full(path) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            raise HistoryUnavailable(
                f"the history {path} is read-only", f"make the file and its folder writable: chmod u+w {path}"
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise HistoryDamaged(
                f"the history {path} is not a sound database ({_line(error)})",
                _unsound(path, code),
            ) from error
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
            if _no_space(path):  # not even for the index of the log, which reading needs too
                raise full(path) from error
            raise HistoryUnavailable(
                f"the history {path} cannot be read or written ({_line(error)})",
                "check the disk and the rights of its folder",
            ) from error
        if code == sqlite3.SQLITE_NOMEM:
            raise OutOfCapacity(f"not enough memory to read {path}", "free some memory and try again") from error
        # What is left is SQL that does not fit the tables: the file was changed by somebody else while it was open.
        raise HistoryUnavailable(f"the history {path} cannot be used ({_line(error)})", REPAIR) from error
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{error.object[:40]!a} is not valid Unicode", "re-encode it as UTF-8") from None
    except OverflowError:
        raise InvalidInput("a number does not fit into the history", "use numbers below 2**63") from None
