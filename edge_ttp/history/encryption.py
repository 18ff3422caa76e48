"""Turning a history into an encrypted one and back: a new file takes the old one's place, nobody else using it.

Before the plain file goes, the key is read back from the keyring, and the encrypted file is opened and read with it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from edge_ttp.errors import HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.history import driver, migrations, shape
from edge_ttp.history.faults import translated
from edge_ttp.history.place import provide
from edge_ttp.history.read_states import forget_states
from edge_ttp.history.work_files import create, wipe, work_file, working

_GROUP = 8


def encrypt(path: Path) -> str:
    """Encrypts the history at `path` with a new key, which is put into the keyring before; the recovery key.

    NotFound, InvalidInput (it is encrypted already), ExtraMissing; HistoryUnavailable where it is in use or unsound, or
    where the keyring does not give back what it was given: nothing has changed then.
    """
    if not _existing(path):
        raise InvalidInput(f"{path} is encrypted already", "see `edge-ttp history recovery-key` and `decrypt`")
    driver.cipher()
    with working(path):
        key = driver.new_key()
        _keep(path, key)
        try:
            _replace(path, None, key)
        finally:
            if driver.is_plain(path):
                driver.keep_key(path, None)
        forget_states(path, None)  # what was written beside a plain history is plain
    return readable(key)


def decrypt(path: Path) -> None:
    """Makes the history at `path` a plain file again and takes its key out of the keyring. Raises as `encrypt`."""
    key = _key(path)
    with working(path):
        _replace(path, key, None)
    driver.keep_key(path, None)


def recovery_key(path: Path) -> str:
    """The key of an encrypted history, to be kept elsewhere. Raises as `decrypt`."""
    return readable(_key(path))


def unlock(path: Path, recovery: str) -> None:
    """Puts the key of an encrypted history into the keyring, once the file was opened with it.

    InvalidInput if it is no key, HistoryUnavailable if it is another one's or the keyring does not keep it.
    """
    if _existing(path):
        raise InvalidInput(f"{path} is not encrypted", "nothing has to be done")
    key = driver.key_from(recovery)
    try:
        with closing(_connect(path, key)) as db:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except driver.error_types():
        raise HistoryUnavailable(f"this is not the key of {path}", "look for the one that was printed for it") from None
    _keep(path, key)


def readable(key: str) -> str:
    """The key in groups, as it is printed."""
    return "-".join(key[at : at + _GROUP] for at in range(0, len(key), _GROUP))


def _existing(path: Path) -> bool:
    """Whether the history is a plain one. NotFound if there is none; HistoryUnavailable if it is no file."""
    if not path.exists():
        raise NotFound(f"there is no history at {path} yet", "add something first: edge-ttp history add")
    provide(path, create=False)
    return driver.is_plain(path)


def _key(path: Path) -> str:
    if _existing(path):
        raise InvalidInput(f"{path} is not encrypted", "nothing has to be done")
    key = driver.key_of(path)
    if key is None:
        raise HistoryUnavailable(
            f"the keyring has no key for {path}",
            "unlock the keyring that it was encrypted with, or use the recovery key: edge-ttp history unlock",
        )
    return driver.checked_key(key)


def _keep(path: Path, key: str) -> None:
    """Puts the key into the keyring and reads it back: some keyrings take everything and keep nothing."""
    driver.keep_key(path, key)
    if driver.kept_key(path) != key:
        raise HistoryUnavailable(
            "the keyring does not keep the key, so nothing was changed", "set up one that does: see `keyring diagnose`"
        )


def _replace(path: Path, key: str | None, new: str | None) -> None:
    """Puts a copy that is encrypted with `new` (None: plain) in the place of the file, whose own key is `key`."""
    copy, old = create(work_file(path, "new")), work_file(path, "old")
    with translated(path), closing(driver.cipher().connect(str(path), isolation_level=None, timeout=5)) as db:
        if key is not None:
            db.execute(f"PRAGMA key = \"x'{driver.checked_key(key)}'\"")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")  # fails where any other connection is open
        before = _counts(db)
        db.execute("COMMIT")
        db.execute("ATTACH DATABASE ? AS other KEY ''" if new is None else _attach(new), (str(copy),))
        db.execute("SELECT sqlcipher_export('other')")
        db.execute(f"PRAGMA other.application_id = {migrations.APPLICATION_ID}")
        db.execute("DETACH DATABASE other")
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        _check_copy(copy, new, before)
        # Without a log of its own beside it, the file can be taken away at one stroke, and nobody takes its log for
        # that of the new file.
        db.execute("PRAGMA journal_mode = DELETE").fetchone()
        db.execute("BEGIN EXCLUSIVE")
        os.link(path, old)
        os.replace(copy, path)
        wipe(old)


def _check_copy(copy: Path, key: str | None, before: dict[str, int]) -> None:
    """Opens the copy anew, with the key alone, and compares it. Raises HistoryUnavailable where it is not the same."""
    with closing(_connect(copy, key)) as db:
        found = [row[0] for row in db.execute("PRAGMA integrity_check(3)")]
        steps = len(migrations.STEPS) - len(migrations.pending(db, str(copy)))  # it may be of an older version
        if found != ["ok"] or _counts(db) != before or shape.differences(db, steps):
            raise HistoryUnavailable("the new copy of the history is not complete", "free some space and try again")


def _connect(path: Path, key: str | None) -> sqlite3.Connection:
    return driver.connect(f"{path.absolute().as_uri()}?mode=rw", key, isolation_level=None, timeout=5)


def _attach(key: str) -> str:
    return f"ATTACH DATABASE ? AS other KEY \"x'{driver.checked_key(key)}'\""


def _counts(db: sqlite3.Connection) -> dict[str, int]:
    """Rows by table."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
    names = sorted(row[0] for row in db.execute(query))
    return {name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608
