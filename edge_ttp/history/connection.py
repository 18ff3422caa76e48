"""Connections to one database file: private, prepared, pooled between threads, and with errors a person can act on.

Every write is one BEGIN IMMEDIATE transaction in WAL mode with synchronous=FULL: what was acknowledged survives
kill -9 and a power failure. The WAL and its index take the file's own mode from SQLite, 0600.
"""

from __future__ import annotations

import math
import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_ttp.errors import HistoryUnavailable, InvalidInput
from edge_ttp.history import driver, migrations, shape
from edge_ttp.history.faults import DiskFull, HistoryDamaged, full, locked, primary_code, read_only, translated
from edge_ttp.history.kept import keep_copy
from edge_ttp.history.place import identity, provide

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables came with 3.37."""

MAX_IDLE = 8
"""Connections kept open between calls; more are opened while more threads are inside, and closed after."""

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
        provide(path, create)
        self._identity = identity(path)
        self._key = None if driver.is_plain(path) else driver.key_of(path)
        self.read_only = not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
        self._as_it_was: tuple[int, int, bool] | None = None
        """Where a full disk leaves no room to be beside other processes: what the file was when it was opened."""
        try:
            try:
                with translated(path):
                    self._address = self._find_address()
                    self._prepare_file()
            except DiskFull:
                if not self._open_without_index():
                    raise
        except BaseException:
            self.close()  # or the file would stay open until somebody collects this
            raise

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

    def _open_without_index(self) -> bool:
        """Opens the file for reading alone, as one that nobody changes: that needs no room. False where it cannot be.

        A file whose newest rows are still in the write-ahead log cannot be read so.
        """
        state = _state(self.path)
        if state is None or state[2]:
            return False
        self._idle.clear()
        self.read_only, self._as_it_was = True, state
        self._address = f"{self.path.absolute().as_uri()}?mode=ro&immutable=1"
        with translated(self.path):
            self._prepare_file()
        return True

    def _prepare_file(self) -> None:
        """WAL mode and the tables. Several processes may be first at once; the write lock decides."""
        with self.connection() as db:
            due = migrations.pending(db, str(self.path))
            applied = len(migrations.STEPS) - len(due)
            if applied:
                self._check_shape(db, applied)
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
            due = migrations.pending(db, str(self.path))
            if due and len(due) < len(migrations.STEPS):
                with self.connection() as other:  # the lock is held; copying needs a connection without a transaction
                    keep_copy(other, self.path, due[0])
            if due:
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
        connection.text_factory = text_of
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
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
            raise self._refusal()
        # Threads of one process queue here; SQLite's own waiting is by polling and is left to other processes.
        if wait_s is not None and math.isnan(wait_s):
            raise InvalidInput("wait_s is not a number", "give seconds, or None")
        patience = self.busy_timeout_s if wait_s is None else min(max(wait_s, 0.0), self.busy_timeout_s)
        if not self._writer.acquire(timeout=patience):
            raise locked(self.path)
        try:
            with self.connection() as db:
                _begin_writing(db, patience, self.busy_timeout_s)
                try:
                    self._check_identity()
                    yield db
                    db.execute("COMMIT")
                except BaseException:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
                    raise
        finally:
            self._writer.release()

    @property
    def key(self) -> str | None:
        """What the file is encrypted with."""
        return self._key

    @property
    def encrypted(self) -> bool:
        """Whether the file is read and written through SQLCipher."""
        return self._key is not None

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """One connection outside any transaction, while no other thread of this process writes."""
        if self.read_only:
            raise self._refusal()
        with self._writer, self.connection() as db:
            self._check_identity()
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

    def _check_shape(self, db: sqlite3.Connection, steps: int) -> None:
        """Raises HistoryUnavailable where the tables are not as this program made them."""
        problems = shape.differences(db, steps)
        if problems:
            raise HistoryDamaged(
                f"the history {self.path} was changed by another program or is damaged: {shape.in_words(problems)}",
                "save what can be read: edge-ttp history doctor --repair",
            )

    def _refusal(self) -> HistoryUnavailable:
        """Why nothing is written."""
        return read_only(self.path) if self._as_it_was is None else full(self.path)

    def _check_identity(self) -> None:
        """Raises HistoryUnavailable where the file has lost its name: rows written to it now would be lost."""
        if identity(self.path) != self._identity:
            raise HistoryUnavailable(
                f"the history {self.path} was moved, deleted or replaced while it was open", "open it again"
            )

    def _take(self) -> sqlite3.Connection:
        with self._guard:
            if self._closed:
                raise HistoryUnavailable(f"the history {self.path} was closed", "open it again with History.open")
            if self._process != os.getpid():
                # A connection must not be used, nor closed, on the other side of a fork.
                self._inherited += self._idle
                self._idle = []
                self._process = os.getpid()
            if self._as_it_was is not None and self._as_it_was != _state(self.path):
                raise HistoryUnavailable(
                    f"the history {self.path} was opened on a full disk and has changed since", "open it again"
                )
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


def _state(path: Path) -> tuple[int, int, bool] | None:
    """When the file was changed, its size, and whether its log holds rows; None where there is none."""
    try:
        status, log = path.stat(), Path(f"{path}-wal")
        return status.st_mtime_ns, status.st_size, log.exists() and log.stat().st_size > 0
    except OSError:
        return None


def text_of(raw: bytes) -> str | bytes:
    """A text of the database; its bytes where they are not UTF-8, so that the row can be told to be damaged."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


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
