"""A copy of the whole history in one file, and the history as such a copy says it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from edge_ttp.errors import HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.history import driver, migrations
from edge_ttp.history.connection import Connections
from edge_ttp.history.faults import primary_code, translated
from edge_ttp.output_file import output_path


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


def restore_file(connections: Connections, path: Path) -> None:
    """Replaces the whole history by the backup at `path`, in one transaction.

    NotFound if it is missing; HistoryUnavailable if it is no sound history or of a newer version: nothing changes then.
    """
    if not path.is_file():
        raise NotFound(f"there is no backup at {path}", "name a file made by `edge-ttp history backup`")
    with translated(path), closing(connections.other(path)) as source:
        migrations.pending(source, str(path))
        if source.execute("PRAGMA application_id").fetchone()[0] != migrations.APPLICATION_ID:
            raise HistoryUnavailable(f"{path} is no history", "name a file made by `edge-ttp history backup`")
        found = source.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise HistoryUnavailable(f"{path} is damaged ({found})", "use another backup")
        with connections.replacing() as db:
            source.backup(db)
