"""What a user typed in `edge-ttp chat`, kept for the arrow keys: a file of their own beside the database.

It goes with the user's texts: whatever is forgotten of them, these lines are forgotten whole.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from edge_ttp.paths import private_folder

FOLDER = "typed"
MAX_BYTES = 512 << 10
"""Of a longer file only the end is kept."""


def typed_file(database: Path, user_id: str) -> Path:
    """Where the lines of this user lie, whose history is in `database`. The file need not be there."""
    return database.parent / FOLDER / hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def prepare_typed(file: Path) -> Path:
    """`file`, made with mode 0600 if it was missing, and cut to its last entries if it has grown long."""
    private_folder(file.parent)
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(handle, "r+b") as opened:
        os.chmod(file, 0o600)
        size = opened.seek(0, 2)
        if size > MAX_BYTES:
            opened.seek(size - MAX_BYTES // 2)
            rest = opened.read()
            rest = rest[rest.find(b"\n# ") + 1 :]  # an entry begins with its time behind a `#`
            opened.seek(0)
            opened.write(rest)
            opened.truncate()
    return file


def forget_typed(database: Path, user_id: str) -> None:
    """Overwrites and removes the lines of this user, if there are any."""
    file = typed_file(database, user_id)
    with suppress(FileNotFoundError):
        with file.open("r+b") as opened:
            opened.write(bytes(os.fstat(opened.fileno()).st_size))
            opened.flush()
            os.fsync(opened.fileno())
        file.unlink()
