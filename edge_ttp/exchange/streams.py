"""Opening what is imported: a file by name, stdin by `-`, and a stream that has to be read twice."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from edge_ttp.errors import HistoryUnavailable, InvalidInput, write_cure

STDIN = "-"


@contextmanager
def opened(name: str) -> Iterator[BufferedReader[Any]]:
    """The file called `name`, or stdin for `-`, to read bytes from. InvalidInput if it cannot be read."""
    stream: BufferedReader[Any]
    if name == STDIN:
        raw: Any = sys.stdin.buffer
        stream = BufferedReader(raw)
        try:
            yield stream
        finally:
            stream.detach()  # closing it would close stdin
        return
    try:
        stream = open(name, "rb")  # noqa: SIM115
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from error
    with stream:
        yield stream


def check_reachable(name: str) -> None:
    """Raises InvalidInput where there is no file or folder of that name, or it cannot be looked at."""
    try:
        Path(name).stat()
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError | ValueError) -> InvalidInput:
    reason = error.strerror if isinstance(error, OSError) else "no file name"
    shown = name if len(name) <= 200 else f"{name[:100]}..."
    return InvalidInput(f"{shown!a} cannot be read ({reason})", "name a file or folder that you may read")


def size_of(name: str) -> float | None:
    """Bytes of the file called `name`; None where that is not known before it was read."""
    path = Path(name)
    return path.stat().st_size if name != STDIN and path.is_file() else None


class Twice:
    """A stream that is read more than once. A pipe is first copied to a nameless file in `folder`."""

    def __init__(self, stream: BufferedReader[Any], folder: Path) -> None:
        self._stream = stream
        self._folder = folder

    @property
    def stream(self) -> BufferedReader[Any]:
        """The stream where it is."""
        return self._stream

    def from_start(self) -> BufferedReader[Any]:
        """The stream at its beginning. HistoryUnavailable if it cannot be copied."""
        if not self._stream.seekable():
            self._stream = self._copied()
        self._stream.seek(0)
        return self._stream

    def _copied(self) -> BufferedReader[Any]:
        try:
            spool = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
            shutil.copyfileobj(self._stream, spool)
        except OSError as error:
            raise HistoryUnavailable(
                f"stdin cannot be copied to {self._folder} ({error.strerror})", write_cure(error)
            ) from error
        return BufferedReader(spool)
