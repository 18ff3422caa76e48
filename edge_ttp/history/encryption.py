"""Turning a history into an encrypted one and back: a new file takes the old one's place, nobody else using it."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from edge_ttp.errors import HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.history import driver, migrations
from edge_ttp.history.faults import translated

_BLOCK = 2**20


def encrypt(path: Path) -> None:
    """Encrypts the history at `path` with a new key, which is put into the keyring before.

    NotFound, InvalidInput (it is encrypted already), ExtraMissing; HistoryUnavailable where it is in use or unsound.
    """
    if not _existing(path):
        raise InvalidInput(f"{path} is encrypted already", "see `edge-ttp history decrypt`")
    driver.cipher()
    key = driver.new_key()
    driver.keep_key(path, key)
    try:
        _replace(path, None, key)
    finally:
        if driver.is_plain(path):
            driver.keep_key(path, None)


def decrypt(path: Path) -> None:
    """Makes the history at `path` a plain file again and takes its key out of the keyring. Raises as `encrypt`."""
    if _existing(path):
        raise InvalidInput(f"{path} is not encrypted", "nothing has to be done")
    key = driver.key_of(path)
    if key is None:
        raise HistoryUnavailable(f"the keyring has no key for {path}", "unlock the keyring that it was encrypted with")
    _replace(path, key, None)
    driver.keep_key(path, None)


def _existing(path: Path) -> bool:
    if not path.exists():
        raise NotFound(f"there is no history at {path} yet", "add something first: edge-ttp history add")
    return driver.is_plain(path)


def _replace(path: Path, key: str | None, new: str | None) -> None:
    """Puts a copy that is encrypted with `new` (None: plain) in the place of the file, whose own key is `key`."""
    copy = path.with_name(f".{path.name}.copy")
    with suppress(FileNotFoundError):
        copy.unlink()
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with translated(path), closing(driver.cipher().connect(str(path), isolation_level=None, timeout=5)) as db:
            if key is not None:
                db.execute(f"PRAGMA key = \"x'{driver.checked_key(key)}'\"")
            db.execute("PRAGMA temp_store = MEMORY")
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("BEGIN EXCLUSIVE")  # fails where any other connection is open
            before = _counts(db, "main")
            db.execute("COMMIT")
            db.execute("ATTACH DATABASE ? AS other KEY ''" if new is None else _attach(new), (str(copy),))
            db.execute("SELECT sqlcipher_export('other')")
            db.execute(f"PRAGMA other.application_id = {migrations.APPLICATION_ID}")
            if _counts(db, "other") != before:
                raise HistoryUnavailable(f"the copy of {path} is not complete", "free some space and try again")
            db.execute("DETACH DATABASE other")
            with copy.open("rb") as file:
                os.fsync(file.fileno())
            old = path.with_name(f".{path.name}.old")
            with suppress(FileNotFoundError):
                old.unlink()
            os.link(path, old)
            os.replace(copy, path)
        for rest in (f"{path}-wal", f"{path}-shm"):
            with suppress(FileNotFoundError):
                os.unlink(rest)
        _wipe(old)
    finally:
        with suppress(FileNotFoundError):
            copy.unlink()


def _attach(key: str) -> str:
    return f"ATTACH DATABASE ? AS other KEY \"x'{driver.checked_key(key)}'\""


def _counts(db: Any, schema: str) -> dict[str, int]:
    """Rows by table of an attached database. Virtual tables of a copy are not seen before it is opened anew."""
    query = f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"  # noqa: S608
    names = sorted(row[0] for row in db.execute(query))
    return {name: db.execute(f"SELECT count(*) FROM {schema}.{name}").fetchone()[0] for name in names}  # noqa: S608


def _wipe(old: Path) -> None:
    """Overwrites the old file before it is deleted; a drive may still keep blocks aside."""
    with old.open("r+b") as file:
        left = old.stat().st_size
        while left > 0:
            file.write(bytes(min(left, _BLOCK)))
            left -= _BLOCK
        file.flush()
        os.fsync(file.fileno())
    old.unlink()
