"""Who has right of way: requests of people before self-calibration, in this process and beside other processes.

A request holds a shared lock on a file while it runs; the operating system releases it if its holder dies. Looking
takes the lock exclusively for a moment, so it also sees requests of other processes. Without file locks (Windows),
or where the folder cannot be written, only requests of this process are seen.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_ttp.paths import private_folder


class Foreground:
    """The requests under way on this device."""

    def __init__(self, path: Path) -> None:
        """`path` is the lock file, made when first needed."""
        self._path = path
        self._guard = threading.Lock()
        self._here = 0

    @contextmanager
    def active(self) -> Iterator[None]:
        """A request runs while the block does."""
        with self._guard:
            self._here += 1
        handle = _shared(self._path)
        try:
            yield
        finally:
            if handle is not None:
                os.close(handle)  # closing also unlocks
            with self._guard:
                self._here -= 1

    def busy(self) -> bool:
        """Whether a request runs now, here or in another process."""
        return self._here > 0 or _held(self._path)


if sys.platform == "win32":  # pragma: no cover

    def _shared(path: Path) -> int | None:
        return None

    def _held(path: Path) -> bool:
        return False

else:
    import fcntl

    def _shared(path: Path) -> int | None:
        """A handle that holds the lock beside others; None where the file cannot be made."""
        try:
            handle = _open(path)
        except OSError:
            return None
        fcntl.flock(handle, fcntl.LOCK_SH)
        return handle

    def _held(path: Path) -> bool:
        """Whether anybody holds the lock. Makes nothing: without a file there is no request."""
        try:
            handle = os.open(path, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def _open(path: Path) -> int:
        private_folder(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
