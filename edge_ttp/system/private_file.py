"""Small files that only their owner may read; whatever is in their place is read as a file or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import BinaryIO

from edge_ttp.paths import private_folder

MAX_BYTES = 16 << 20
"""Longest small file that is read."""


def open_regular(path: Path) -> BinaryIO:
    """The file at `path`, opened to be read. Raises OSError for a folder, a pipe or a device: a pipe has no end."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_small(path: Path) -> str:
    """The text of a small file. Raises OSError for what is no regular file or long, UnicodeDecodeError."""
    with open_regular(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise OSError(errno.EFBIG, "too long", str(path))
    return data.decode("utf-8")


def write_private(path: Path, text: str) -> None:
    """Writes a file of mode 0600, whole or not at all."""
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
