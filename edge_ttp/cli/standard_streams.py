"""Standard streams that may be closed, full, narrow or gone: made such that nothing ends in a traceback."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from contextlib import suppress
from typing import Any

LEAST_COLUMNS = 20
"""Narrower terminals get lines of this many columns: tables would be empty."""


MOST_COLUMNS = 1_000


class _Closed(io.RawIOBase):
    """Standard output that was closed: writing fails, as it does on a full disk."""

    abandoned = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self.abandoned:
            raise OSError(errno.EBADF, "it is closed")
        return len(data)


def prepare() -> None:
    """Gives the process three standard streams, whatever it was started with.

    Files opened later must not get the number of a closed stream: what a library prints would be written into them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BytesIO())
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  for as long as the process lives
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Closed()), encoding="utf-8", write_through=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a narrow terminal encoding must not end in a traceback
    columns = os.environ.get("COLUMNS")
    if columns is not None:
        if columns.isascii() and columns.isdigit() and len(columns) < 10 and int(columns) > 0:
            os.environ["COLUMNS"] = str(min(max(int(columns), LEAST_COLUMNS), MOST_COLUMNS))
        else:
            del os.environ["COLUMNS"]  # 0 columns would print nothing


def warn_in_one_line() -> None:
    """Lets every warning of Python and its libraries be one line, once, instead of a source line with its place."""

    def show(message: object, category: type, filename: str, *rest: object) -> None:
        complain("note: " + " ".join(str(message).split()))

    warnings.showwarning = show  # type: ignore[assignment]
    warnings.simplefilter("once")
    for category in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning, ImportWarning):
        warnings.simplefilter("ignore", category)


def flush() -> OSError | None:
    """Writes out what is still buffered; the error where that fails."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    except ValueError:  # closed in the meantime
        return None
    return None


def abandon() -> None:
    """Lets what standard output still holds go nowhere, or Python would complain at exit."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Closed):
        raw.abandoned = True
        return
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    with suppress(OSError, ValueError):
        sys.stdout.flush()


def complain(line: str) -> None:
    """Prints one line on standard error, if that takes it."""
    with suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
