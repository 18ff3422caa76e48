"""The SQLite that a file is opened with: Python's own, or SQLCipher with a key from the keyring for an encrypted one.

SQLCipher and the keyring come with the extra `encrypted`; without them, only plain files can be opened.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from edge_ttp.errors import ExtraMissing, HistoryUnavailable, InvalidInput

KEY_VARIABLE = "EDGE_TTP_HISTORY_KEY"
"""A recovery key to open the history with where no keyring has it."""

SERVICE = "edge-ttp history"
"""The name under which keys stand in the keyring."""

_DIGITS = 64
_CURE = "install the extra: pip install 'edge-ttp[encrypted]'"


def error_types() -> tuple[type[BaseException], ...]:
    """What the drivers loaded so far raise; for `except`."""
    cipher = sys.modules.get("sqlcipher3.dbapi2")
    return (sqlite3.Error,) if cipher is None else (sqlite3.Error, cipher.Error)


def is_plain(path: Path) -> bool:
    """Whether the file is empty, missing or begins as an unencrypted database does.

    SQLite looks, not we: closing a file takes away all locks that this process has on it, those of other connections
    among them (fcntl(2)).
    """
    if not path.is_file():
        return True
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)) as db:
            db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        return getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_NOTADB
    return True


def key_of(path: Path) -> str | None:
    """The key of the file (64 hexadecimal digits): from EDGE_TTP_HISTORY_KEY, else from the keyring; None without one.

    InvalidInput if the variable holds no key.
    """
    given = os.environ.get(KEY_VARIABLE)
    return kept_key(path) if not given else key_from(given)


def kept_key(path: Path) -> str | None:
    """What the keyring has for the file; None where there is nothing, or no keyring to read."""
    try:
        found = _keyring().get_password(SERVICE, str(path.absolute()))
    except Exception:  # noqa: BLE001  a keyring's backend raises what it likes
        return None  # opening the file then says that a keyring may have to be unlocked
    return None if found is None else str(found)


def keep_key(path: Path, key: str | None) -> None:
    """Puts the key of the file into the keyring, or takes it out for None."""
    keyring = _keyring()
    name = str(path.absolute())
    try:
        if key is not None:
            keyring.set_password(SERVICE, name, key)
        elif keyring.get_password(SERVICE, name) is not None:
            keyring.delete_password(SERVICE, name)
    except Exception as error:  # a keyring's backend raises what it likes
        raise HistoryUnavailable(
            f"the keyring cannot be used ({str(error)[:80]})", "unlock it, or set one up: see `keyring diagnose`"
        ) from error


def key_from(text: str) -> str:
    """The key meant by a recovery key, in whatever groups and case. InvalidInput if it is none."""
    key = "".join(text.split()).replace("-", "").lower()
    if len(key) != _DIGITS or not set(key) <= set("0123456789abcdef"):
        raise InvalidInput("this is no recovery key", f"give the {_DIGITS} hexadecimal digits that were printed")
    return key


def new_key() -> str:
    """A random key of 256 bits."""
    return secrets.token_hex(32)


def connect(address: str, key: str | None, **options: Any) -> sqlite3.Connection:
    """A connection to the file at `address` (a URI), through SQLCipher where there is a key."""
    if key is None:
        return cast(sqlite3.Connection, sqlite3.connect(address, uri=True, **options))
    connection = cipher().connect(address, uri=True, **options)
    connection.execute(f"PRAGMA key = \"x'{checked_key(key)}'\"")
    return cast(sqlite3.Connection, connection)


def checked_key(key: str) -> str:
    """`key` itself. HistoryUnavailable if it is none."""
    if len(key) != _DIGITS or not set(key) <= set("0123456789abcdef"):
        raise HistoryUnavailable("the key in the keyring is none of this program's", "put back the one that it made")
    return key


def cipher() -> Any:
    """SQLCipher's module. ExtraMissing where it is not installed."""
    try:
        from sqlcipher3 import dbapi2
    except ModuleNotFoundError as missing:
        raise ExtraMissing("an encrypted history needs SQLCipher", _CURE) from missing
    return dbapi2


def _keyring() -> Any:
    try:
        import keyring
        import keyring.errors
    except ModuleNotFoundError as missing:
        raise ExtraMissing("the key of an encrypted history is kept in the keyring", _CURE) from missing
    return keyring
