"""Files that stand beside a history while it is encrypted, restored or repaired, and what a killed process left.

They hold what the history holds, so none may stay: whoever makes them holds a lock, and an opening history that finds
some without the lock overwrites and deletes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_ttp.errors import HistoryUnavailable, is_full, write_cure
from edge_ttp.history.faults import DiskFull, HistoryBlocked, full
from edge_ttp.history.place import PRIVATE, files_of
from edge_ttp.system.file_lock import try_lock

_SORTS = ("new", "old", "read", "copy")
_BLOCK = 2**20


def work_file(path: Path, sort: str) -> Path:
    """The file of this sort beside the history: `new` takes its place, `old` was replaced, `read` is a copy to read."""
    return path.with_name(f".{path.name}.{sort}")


@contextmanager
def working(path: Path) -> Iterator[None]:
    """Keeps other processes from working on the history at `path`; no work file is there before and after.

    HistoryBlocked where another process is at it, or nothing (more) can be written beside it.
    """
    try:
        handle = os.open(_lock_file(path), os.O_RDWR | os.O_CREAT, PRIVATE)
    except OSError as error:
        why = error.strerror or type(error).__name__
        fact = f"nothing can be written beside the history {path} ({why})"
        raise full(path) if is_full(error) else HistoryBlocked(fact, write_cure(error)) from error
    try:
        if not try_lock(handle):
            raise HistoryBlocked(f"another process is at work on {path}", "try again when it is done")
        try:  # only now: without the lock the files are another's, who still needs them
            _wipe_all(path)
            yield
        except DiskFull as error:  # whatever file was read: it is the work files that have no room
            raise full(path) from error
        except OSError as error:
            why = error.strerror or type(error).__name__
            fact = f"{error.filename or path} cannot be read or written ({why})"
            raise full(path) if is_full(error) else HistoryBlocked(fact, "check its rights") from error
        finally:
            _wipe_all(path)
    finally:
        os.close(handle)  # closing also unlocks


def clear(path: Path) -> None:
    """Wipes what a killed process left beside the history; nothing while another one is at work."""
    if not path.name or not any(file.exists() for sort in _SORTS for file in files_of(work_file(path, sort))):
        return
    with suppress(HistoryUnavailable, OSError), working(path):
        pass


def create(file: Path) -> Path:
    """`file`, made empty and private."""
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE))
    return file


def wipe(file: Path) -> None:
    """Overwrites the file, if it exists, before it is deleted; a drive may still keep blocks aside.

    What has another name too is not overwritten: a process may have been killed while the history had two. Where it
    cannot be overwritten (some file systems need room for that on a full disk; a link, a file without rights) it is
    deleted all the same.
    """
    with suppress(OSError):
        handle = os.open(file, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "r+b") as opened:
            status = os.fstat(opened.fileno())
            left = status.st_size if status.st_nlink == 1 else 0
            while left > 0:
                opened.write(bytes(min(left, _BLOCK)))
                left -= _BLOCK
            opened.flush()
            os.fsync(opened.fileno())
    with suppress(FileNotFoundError):
        file.unlink()


def _wipe_all(path: Path) -> None:
    for sort in _SORTS:
        for file in files_of(work_file(path, sort)):
            wipe(file)


def _lock_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")
