"""A copy of the whole history in one file, and the history as such a copy says it was."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from edge_ttp.errors import HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.history import driver
from edge_ttp.history.connection import Connections
from edge_ttp.history.faults import primary_code, translated
from edge_ttp.history.kept import keep_aside
from edge_ttp.history.read_states import forget_states
from edge_ttp.history.renewal import Advance, make_new, put_new
from edge_ttp.history.salvage import SetAside
from edge_ttp.history.sieve import DamagedRow
from edge_ttp.history.work_files import working
from edge_ttp.system.output_file import output_path


def backup(connections: Connections, path: Path, *, force: bool) -> int:
    """Writes a copy of the file to `path` (mode 0600; over what is there only under `force`); returns its bytes.

    The copy is of one moment, is packed (VACUUM INTO) and holds nothing that was deleted. InvalidInput where it cannot
    be written.
    """
    with output_path(path, force=force, database=connections.path) as copy, connections.connection() as db:
        try:
            db.execute("VACUUM INTO ?", (str(copy),))
        except driver.error_types() as error:
            if primary_code(error) not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
                raise
            raise InvalidInput(
                f"{path} cannot be written ({error})", "free some space, or name another file"
            ) from error
        return copy.stat().st_size


def restore_file(
    connections: Connections, path: Path, *, salvage: bool = False, advance: Advance = lambda done: None
) -> tuple[DamagedRow, ...]:
    """Replaces the whole history by what the backup at `path` holds, in one transaction.

    Its rows are checked and copied into new tables; the file itself is not adopted. NotFound if it is missing;
    HistoryUnavailable if it is no history, of a newer version, or damaged: nothing changes then. With `salvage`,
    damaged rows are set aside in a file beside the history and returned, and the rest is restored. `advance` is told
    the rows done.
    """
    key = checked_backup(connections.path, connections.key, path)
    lost: list[SetAside] = []
    with working(connections.path):
        with translated(path):
            make_new(path, connections.path, key, aside=lost.append, advance=advance)
        refuse_loss(path, lost, salvage)
        keep_aside(connections.path, lost)
        with connections.replacing() as db:
            put_new(connections.path, key, db)
        forget_states(connections.path, None)
    return tuple(row.damaged for row in lost)


def checked_backup(history: Path, key: str | None, path: Path) -> str | None:
    """`key` itself. Raises where `path` cannot be a backup of the history: missing, itself, encrypted otherwise."""
    if not path.is_file():
        raise NotFound(f"there is no backup at {path}", "name a file made by `edge-ttp history backup`")
    if history.exists() and path.samefile(history):
        raise InvalidInput(f"{path} is the history itself", "name a file made by `edge-ttp history backup`")
    if driver.is_plain(path) != (key is None):
        fact = "is not encrypted" if key is not None else "is encrypted, or no database"
        raise HistoryUnavailable(f"{path} {fact}", "use a backup made of the history as it is now")
    return key


def refuse_loss(path: Path, lost: list[SetAside], salvage: bool) -> None:
    """Raises HistoryUnavailable where something of the backup would be lost and nobody agreed to that."""
    if lost and not salvage:
        rows = "1 row" if len(lost) == 1 else f"{len(lost)} rows"
        raise HistoryUnavailable(
            f"{path} is damaged: {rows} cannot be restored (the first: {lost[0].damaged})",
            "use another backup, or restore the rest with --salvage",
        )
