"""A copy of the whole history in one file, and the history as such a copy says it was."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from edge_ttp.errors import HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.history import migrations
from edge_ttp.history.connection import Connections, translated


def backup(connections: Connections, path: Path) -> int:
    """Writes a copy of the file to `path` (mode 0600, in place of what was there); returns its size in bytes.

    The copy is of one moment, is packed (VACUUM INTO) and holds nothing that was deleted. InvalidInput where it cannot
    be written.
    """
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder", "name a file for the backup")
    if path.exists() and connections.path.exists() and path.samefile(connections.path):
        raise InvalidInput(f"{path} is the history itself", "name another file for the backup")
    with _temporary(path) as copy:
        with connections.connection() as db:
            db.execute("VACUUM INTO ?", (str(copy),))
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        size = copy.stat().st_size
        os.replace(copy, path)
    return size


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """An empty file of mode 0600 beside `path`, removed at the end unless it was moved away."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written ({error.strerror})", "name a file in a folder that can be written"
        ) from error
    try:
        yield Path(name)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


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
