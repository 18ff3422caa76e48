"""Files that are kept beside a history on purpose: copies from before an upgrade, rows set aside, damaged files.

All are private, and all hold what users wrote: forgetting takes the copies away, and out of the rows set aside those of
the user who forgets and those of nobody known.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_ttp.history.place import PRIVATE
from edge_ttp.history.salvage import SetAside
from edge_ttp.history.work_files import wipe

MOST_COPIES = 2
"""Copies from before an upgrade that are kept."""

_BEFORE, _DAMAGED, _ASIDE = "before", "damaged", "set-aside"


def keep_copy(db: sqlite3.Connection, path: Path, step: str) -> Path:
    """Keeps a packed copy of the history (encrypted as it is) from before the upgrade step; the oldest ones go."""
    copy = path.with_name(f"{path.name}.{_BEFORE}-{step}")
    partial = path.with_name(f".{copy.name}.part")
    wipe(partial)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE))
    try:
        db.execute("VACUUM INTO ?", (str(partial),))
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, copy)
    finally:
        wipe(partial)
    copies = sorted(_kept(path, _BEFORE), key=lambda file: file.stat().st_mtime_ns)
    for old in copies[:-MOST_COPIES]:
        wipe(old)
    return copy


def keep_damaged(path: Path) -> Path:
    """Gives the damaged file of the history another name, which it keeps until somebody forgets or deletes it."""
    kept = _free(path, f"{_DAMAGED}-")
    os.replace(path, kept)
    with suppress(FileNotFoundError):
        os.replace(f"{path}-wal", f"{kept}-wal")
    with suppress(FileNotFoundError):
        os.unlink(f"{path}-shm")
    return kept


def keep_aside(path: Path, rows: Iterable[SetAside]) -> Path | None:
    """Writes the rows into a new file of JSON lines beside the history; None where there are none."""
    lines = [json.dumps(_as_object(row)) + "\n" for row in rows]
    if not lines:
        return None
    kept = _free(path, f"{_ASIDE}-", ".jsonl")
    _write(kept, lines)
    return kept


def forget_kept(path: Path, user_id: str | None) -> None:
    """Takes away what kept files hold of a user (None: of all): copies whole, rows that are theirs or nobody's."""
    for sort in (_BEFORE, _DAMAGED):
        for file in _kept(path, sort):
            wipe(file)
    for file in _kept(path, _ASIDE):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        stay = [line for line in lines if user_id is not None and _owner(line) not in (None, user_id)]
        if len(stay) < len(lines):
            if stay:
                partial = file.with_name(f".{file.name}.part")
                try:
                    _write(partial, stay)
                    wipe(file)
                    os.replace(partial, file)
                except BaseException:  # a full disk: what others wrote is not to lie around twice
                    if file.exists():
                        wipe(partial)
                    raise
            else:
                wipe(file)


def _kept(path: Path, sort: str) -> list[Path]:
    prefixes = (f"{path.name}.{sort}-", f".{path.name}.{sort}-")  # the second: one that was being made
    return sorted(file for file in path.parent.iterdir() if file.name.startswith(prefixes))


def _free(path: Path, middle: str, ending: str = "") -> Path:
    number = 1
    while (file := path.with_name(f"{path.name}.{middle}{number}{ending}")).exists():
        number += 1
    return file


def _write(file: Path, lines: list[str]) -> None:
    handle = os.open(file, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, PRIVATE)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.writelines(lines)
        opened.flush()
        os.fsync(opened.fileno())


def _owner(line: str) -> str | None:
    try:
        user = json.loads(line)["user"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return user if isinstance(user, str) else None


def _as_object(row: SetAside) -> dict[str, Any]:
    damaged = row.damaged
    values = {name: _plain(value) for name, value in row.values.items()}
    return {
        "table": damaged.table,
        "row": damaged.row,
        "reason": damaged.reason,
        "user": row.user,
        "values": values,
    }


def _plain(value: Any) -> Any:
    """A value of a column for JSON; bytes as {"base64": ...}."""
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
