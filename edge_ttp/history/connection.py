"""Connections to one database file: private, prepared, pooled between threads, and with errors a person can act on.

Every write is one BEGIN IMMEDIATE transaction in WAL mode with synchronous=FULL: what was acknowledged survives
kill -9 and a power failure. The WAL and its index take the file's own mode from SQLite, 0600.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_ttp.errors import HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.history import driver, migrations
from edge_ttp.paths import private_folder

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables came with 3.37."""

MAX_IDLE = 8
"""Connections kept open between calls; more are opened while more threads are inside, and closed after."""

_PRIVATE = 0o600

_LOG_INDEX = 32_768
"""Bytes of the smallest index of a write-ahead log."""
_POLL_S = (0.001, 0.008)
"""Shortest and longest pause before a waiting writer tries again."""


class Connections:
    """The connections of this process to one file. Safe from several threads, and usable again after a fork."""

    def __init__(self, path: Path, *, create: bool, busy_timeout_s: float) -> None:
        self.path = path
        self.busy_timeout_s = busy_timeout_s
        self._idle: list[sqlite3.Connection] = []
        self._inherited: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._writer = threading.Lock()
        self._process = os.getpid()
        self._closed = False
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise HistoryUnavailable(
                f"SQLite {sqlite3.sqlite_version} is too old", "use a Python built with SQLite 3.37 or newer"
            )
        _provide(path, create)
        self._key = None if driver.is_plain(path) else driver.key_of(path)
        self.read_only = not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
        with translated(path):
            self._address = self._find_address()
            self._prepare_file()

    def _find_address(self) -> str:
        address = self.path.absolute().as_uri()
        if not self.read_only:
            return f"{address}?mode=rw"
        try:
            with _closing(self._connect(f"{address}?mode=ro")) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except driver.error_types() as error:
            wal = Path(f"{self.path}-wal")
            if primary_code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
            if wal.exists() and wal.stat().st_size:
                raise  # immutable=1 would show the file without the newest rows, which are in the WAL
            return f"{address}?mode=ro&immutable=1"
        return f"{address}?mode=ro"

    def _prepare_file(self) -> None:
        """WAL mode and the tables. Several processes may be first at once; the write lock decides."""
        with self.connection() as db:
            due = migrations.pending(db, str(self.path))
            if due and self.read_only:
                raise HistoryUnavailable(
                    f"the history {self.path} is of an older version and read-only",
                    "make it writable once to upgrade it",
                )
            if not self.read_only and db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                self._switch_to_wal(db)
        if not due:
            return
        with self.writing() as db:
            if migrations.pending(db, str(self.path)):
                migrations.migrate(db)

    def _switch_to_wal(self, db: sqlite3.Connection) -> None:
        # SQLite does not call its busy handler for this switch, so waiting is up to us.
        deadline = time.monotonic() + self.busy_timeout_s
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL").fetchone()
            except driver.error_types() as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _connect(self, address: str, key: str | None = None) -> sqlite3.Connection:
        connection = driver.connect(
            address,
            self._key if key is None else key,
            timeout=self.busy_timeout_s,
            isolation_level=None,  # transactions are begun here, never by the driver
            check_same_thread=False,  # the pool hands a connection to one thread at a time
            cached_statements=256,
        )
        for pragma in (
            "foreign_keys = ON",
            "secure_delete = ON",
            "synchronous = FULL",
            "fullfsync = ON",  # on macOS, fsync alone leaves rows in the drive's cache
            "cell_size_check = ON",
            "temp_store = MEMORY",  # sorting must not leave a user's texts in /tmp
            "cache_size = -16000",
            "journal_size_limit = 67108864",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """One connection for the block, outside any transaction. Errors of SQLite become HistoryUnavailable."""
        with translated(self.path):
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One connection in a read transaction: all statements of the block see the same moment."""
        with self.connection() as db:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def writing(self, wait_s: float | None = None) -> Iterator[sqlite3.Connection]:
        """One connection in a write transaction: committed at the end of the block, rolled back if it raises.

        `wait_s`: how long to wait for another writer, where that is less than the busy timeout.
        """
        if self.read_only:
            raise _read_only(self.path)
        # Threads of one process queue here; SQLite's own waiting is by polling and is left to other processes.
        patience = self.busy_timeout_s if wait_s is None else min(max(wait_s, 0.0), self.busy_timeout_s)
        if not self._writer.acquire(timeout=patience):
            raise _locked(self.path)
        try:
            with self.connection() as db:
                _begin_writing(db, patience, self.busy_timeout_s)
                try:
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
        finally:
            self._writer.release()

    @property
    def encrypted(self) -> bool:
        """Whether the file is read and written through SQLCipher."""
        return self._key is not None

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """One connection outside any transaction, while no other thread of this process writes."""
        if self.read_only:
            raise _read_only(self.path)
        with self._writer, self.connection() as db:
            yield db

    @contextmanager
    def replacing(self) -> Iterator[sqlite3.Connection]:
        """As `alone`, for a block that overwrites the file; it is prepared anew at the end."""
        with self.alone() as db:
            yield db
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        with translated(self.path):
            self._prepare_file()

    def other(self, path: Path) -> sqlite3.Connection:
        """A connection to another file of this history, to read from it: plain or encrypted with the same key."""
        if driver.is_plain(path) != (self._key is None):
            fact = "is not encrypted" if self._key is not None else "is encrypted, or no database"
            raise HistoryUnavailable(f"{path} {fact}", "use a backup made of the history as it is now")
        return self._connect(f"{path.absolute().as_uri()}?mode=ro")

    def _take(self) -> sqlite3.Connection:
        with self._guard:
            if self._closed:
                raise HistoryUnavailable(f"the history {self.path} was closed", "open it again with History.open")
            if self._process != os.getpid():
                # A connection must not be used, nor closed, on the other side of a fork.
                self._inherited += self._idle
                self._idle = []
                self._process = os.getpid()
            if self._idle:
                return self._idle.pop()
        return self._connect(self._address)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._guard:
            if not self._closed and not connection.in_transaction and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Closes what is idle now, and what is still in use when it is given back. May be called twice."""
        with self._guard:
            self._closed = True
            idle, self._idle = self._idle, []
            if self._process != os.getpid():
                self._inherited += idle
                return
        for connection in idle:
            connection.close()


def _begin_writing(db: sqlite3.Connection, patience_s: float, usual_s: float) -> None:
    """Begins a write transaction, waiting up to `patience_s` for other processes."""
    # SQLite's own waiting polls ever more rarely, so that beside busy writers those who have waited longest would
    # starve. Here every waiter has the same chance each time.
    deadline = time.monotonic() + patience_s
    db.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                db.execute("BEGIN IMMEDIATE")
            except driver.error_types() as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(random.uniform(*_POLL_S))
            else:
                return
    finally:
        db.execute(f"PRAGMA busy_timeout = {round(usual_s * 1000)}")


@contextmanager
def _closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    finally:
        connection.close()


def _provide(path: Path, create: bool) -> None:
    """Makes `path` exist with mode 0600, or tightens an existing file that is ours."""
    try:
        if path.is_dir():
            raise HistoryUnavailable(f"{path} is a folder", "name a file for the history")
        if path.exists():
            for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
                _tighten(file)
            return
        if not create:
            raise NotFound(f"there is no history at {path} yet", "add something first: edge-ttp history add")
        private_folder(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _PRIVATE))
    except FileExistsError:
        if not path.exists():  # so it is a link to nowhere, or the folder's name is taken
            fact = f"{path} leads nowhere" if path.is_symlink() else f"{path.parent} is not a folder"
            raise HistoryUnavailable(fact, "name another place for the history") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(path) from error
        raise HistoryUnavailable(
            f"the history {path} cannot be opened ({error.strerror})", "check the path and the rights of its folder"
        ) from error


def _tighten(file: Path) -> None:
    """Takes the rights of group and others away from `file`, if it exists and belongs to this user."""
    try:
        status = file.stat()
        if os.name == "posix" and status.st_mode & 0o077 and os.geteuid() in (0, status.st_uid):
            file.chmod(_PRIVATE)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EROFS, errno.EPERM):
            raise


def primary_code(error: BaseException) -> int:
    """SQLite's result code without its extension; 0 where the error is the driver's own."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _read_only(path: Path) -> HistoryUnavailable:
    return HistoryUnavailable(
        f"the history {path} is read-only", f"make the file and its folder writable: chmod u+w {path.parent} {path}"
    )


def _locked(path: Path) -> HistoryUnavailable:
    return HistoryUnavailable(
        f"the history {path} is locked by another process", "try again, or end the program that holds it"
    )


def _full(path: Path) -> HistoryUnavailable:
    return HistoryUnavailable(
        f"the disk is full: nothing more can be written to {path}", "free some space and try again"
    )


def _no_space(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LOG_INDEX
    except OSError:
        return False


def _unsound(path: Path, code: int) -> str:
    """What to do about a file that is no sound database. One that is encrypted looks like no database at all."""
    if code == sqlite3.SQLITE_NOTADB and not driver.is_plain(path):
        return "if it is encrypted, unlock the keyring that has its key; otherwise restore a backup"
    return f"restore a backup, or move it away: mv {path} {path.name}.damaged"


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns what SQLite reports about the file `path` into HistoryUnavailable. Programming errors pass."""
    try:
        yield
    except driver.error_types() as error:
        code = primary_code(error)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise _locked(path) from error
        if code == sqlite3.SQLITE_FULL:
            raise _full(path) from error
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            raise HistoryUnavailable(
                f"the history {path} is read-only", f"make the file and its folder writable: chmod u+w {path}"
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise HistoryUnavailable(
                f"the history {path} is not a sound database ({error})",
                _unsound(path, code),
            ) from error
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
            if _no_space(path):  # not even for the index of the log, which reading needs too
                raise _full(path) from error
            raise HistoryUnavailable(
                f"the history {path} cannot be read or written ({error})", "check the disk and the rights of its folder"
            ) from error
        raise
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{error.object[:40]!a} is not valid Unicode", "re-encode it as UTF-8") from None
    except OverflowError:
        raise InvalidInput("a number does not fit into the history", "use numbers below 2**63") from None
