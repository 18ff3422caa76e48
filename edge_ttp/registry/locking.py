"""One process at a time: an exclusive lock on a file, released by the operating system if its holder dies."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from edge_ttp.errors import Cancelled
from edge_ttp.paths import private_folder
from edge_ttp.system.file_lock import try_lock

_POLL_S = 0.1


@contextmanager
def exclusive(path: Path, on_wait: Callable[[], None] | None = None, cancel: Event | None = None) -> Iterator[None]:
    """Holds the lock file `path` while the block runs, other threads of this process included.

    `on_wait` is called once if somebody else holds it. Raises Cancelled if `cancel` is set while waiting.
    """
    private_folder(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        waited = False
        while not try_lock(handle):
            if not waited and on_wait is not None:
                on_wait()
            waited = True
            if cancel is not None and cancel.is_set():
                raise Cancelled("waiting for another process was cancelled")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(handle)  # closing also unlocks
