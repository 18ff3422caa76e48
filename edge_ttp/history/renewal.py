"""A new history file made of what can be read of another file, and how it takes the place of the history."""

from __future__ import annotations

import difflib
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history import driver, migrations, shape
from edge_ttp.history.connection import text_of
from edge_ttp.history.salvage import Aside, copy_rows
from edge_ttp.history.work_files import create, work_file

Advance = Callable[[float], None]

_PAGE = 4096
_MAGIC = b"SQLite format 3\0"
_LIKE = 0.85
"""How like one of ours an entry of the schema has to be to be taken for it."""


def make_new(
    file: Path,
    path: Path,
    key: str | None,
    *,
    aside: Aside,
    advance: Advance,
    live: sqlite3.Connection | None = None,
) -> dict[str, int]:
    """Copies what can be read of `file` into the work file `new` of the history `path`; rows by table.

    Both have the key `key`. `live`: a connection to `file` where it is open in this process. HistoryUnavailable if
    `file` is no history, or of a newer version. The caller is `working`.
    """
    read = create(work_file(path, "read"))
    _copy(file, read, key, live)
    if key is None:
        _mend_header(read)
    new = create(work_file(path, "new"))
    with closing(open_file(read, key)) as source, closing(open_file(new, key)) as target:
        target.execute("PRAGMA journal_mode = MEMORY")
        target.execute("PRAGMA synchronous = OFF")  # it is synced once, when it is whole
        target.execute("PRAGMA secure_delete = ON")
        target.execute("BEGIN IMMEDIATE")
        migrations.migrate(target)
        source.execute("PRAGMA trusted_schema = OFF")
        source.execute("PRAGMA cell_size_check = ON")
        source.execute("PRAGMA writable_schema = ON")  # a schema that makes no sense is passed over, not refused
        steps = _check_ours(source, file)
        _mend_schema(source)
        later = shape.expected(migrations.STEPS).keys() - shape.expected(migrations.STEPS[:steps]).keys()
        counts = copy_rows(source, target, aside, advance, later=later)
        target.execute("COMMIT")
        found = target.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise HistoryUnavailable(f"what was read of {file} makes no sound history ({found})", "report this")
    with new.open("rb") as opened:
        os.fsync(opened.fileno())
    return counts


def _copy(file: Path, read: Path, key: str | None, live: sqlite3.Connection | None) -> None:
    """Copies a file with its log, as it is. One that is open here is copied through its connection.

    Closing a file takes away all locks that the process has on it (fcntl(2)), SQLite's among them.
    """
    if live is not None:
        with suppress(*driver.error_types()), closing(open_file(read, key)) as copy:
            live.backup(copy)
            return
    shutil.copyfile(file, read)
    with suppress(FileNotFoundError):
        shutil.copyfile(f"{file}-wal", create(Path(f"{read}-wal")))


def put_new(path: Path, key: str | None, live: sqlite3.Connection) -> None:
    """Makes the work file `new` the content of the open history, in one transaction."""
    with closing(open_file(work_file(path, "new"), key)) as new:
        new.backup(live)
    live.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def open_file(file: Path, key: str | None) -> sqlite3.Connection:
    """A connection to a file of this kind, whatever state it is in."""
    db = driver.connect(f"{file.absolute().as_uri()}?mode=rw", key, timeout=2.0, isolation_level=None)
    db.text_factory = text_of
    db.execute("PRAGMA temp_store = MEMORY")
    return db


def _check_ours(source: sqlite3.Connection, file: Path) -> int:
    """The upgrade steps that the file had. HistoryUnavailable where it is another program's, or of a newer version."""
    application = source.execute("PRAGMA application_id").fetchone()[0]
    names = {row[0] for row in source.execute("SELECT name FROM sqlite_master")}
    ours = shape.expected(migrations.STEPS).keys()
    if application != migrations.APPLICATION_ID and len(names & ours) < len(ours) // 2:
        raise HistoryUnavailable(f"{file} is no history", "name a file made by `edge-ttp history backup`")
    with suppress(*driver.error_types()):
        if application == migrations.APPLICATION_ID and migrations.is_table(source, migrations.BOOKKEEPING):
            due = migrations.pending(source, str(file))  # refuses a newer version
            return [step.__name__ for step in migrations.STEPS].index(due[0]) if due else len(migrations.STEPS)
    return len(migrations.STEPS)


def _mend_header(file: Path) -> None:
    """Sets the fields of a plain database's header right that are the same in all of ours, if it was one of ours."""
    with file.open("r+b") as opened:
        header = bytearray(opened.read(100))
        alike = sum(mine == theirs for mine, theirs in zip(header, _MAGIC, strict=False))
        if len(header) < 100 or alike < len(_MAGIC) - 4:
            return
        header[:16] = _MAGIC
        header[16:18] = _PAGE.to_bytes(2, "big") if header[16:18] != b"\0\1" else header[16:18]
        header[18] = 2 if header[18] not in (1, 2) else header[18]
        header[19] = header[18]
        header[20:24] = bytes((0, 64, 32, 32))  # unused space at the end of a page; fractions that SQLite demands
        header[44:48] = (4).to_bytes(4, "big")  # schema format
        header[56:60] = (1).to_bytes(4, "big")  # UTF-8
        header[28:32] = (file.stat().st_size // _PAGE).to_bytes(4, "big")  # size in pages
        opened.seek(0)
        opened.write(header)


def _mend_schema(source: sqlite3.Connection) -> None:
    """Gives tables their names and columns back where the copy's schema says something that is only like them."""
    rows = source.execute("SELECT rowid, type, name, tbl_name, sql FROM sqlite_master").fetchall()
    wanted = {name: entry for name, entry in shape.expected(migrations.STEPS).items() if entry[0] == "table"}
    spoilt = []
    for row in rows:
        known = wanted.get(row[2]) if isinstance(row[2], str) else None
        if known is not None and tuple(row[1:2]) + tuple(row[3:]) == known:
            del wanted[row[2]]
        else:
            spoilt.append(row)
    mended = False
    for number, _, _, _, sql in spoilt:
        text = sql if isinstance(sql, str) else sql.decode("utf-8", "replace") if isinstance(sql, bytes) else ""
        likest = max(wanted, key=lambda name: _likeness(text, wanted[name][2] or ""), default=None)
        if likest is None or _likeness(text, wanted[likest][2] or "") < _LIKE:
            continue
        kind, table, right = wanted.pop(likest)
        source.execute(
            "UPDATE sqlite_master SET type = ?, name = ?, tbl_name = ?, sql = ? WHERE rowid = ?",
            (kind, likest, table, right, number),
        )
        mended = True
    if mended:
        version = source.execute("PRAGMA schema_version").fetchone()[0]
        source.execute(f"PRAGMA schema_version = {(version + 1) % 2**31}")


def _likeness(one: str, other: str) -> float:
    if abs(len(one) - len(other)) > len(other) // 4:
        return 0.0
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
