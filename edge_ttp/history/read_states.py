"""Where a policy keeps what it has read of a user's examples: a folder of each user's own, beside the database.

Such a file holds what the user wrote, in another form. It goes with the user's texts: whatever is forgotten of them,
all of these files are. Beside an encrypted history there are none, since they would not be encrypted.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

FOLDER = "states"


def states_folder(database: Path) -> Path:
    """Where the folders of all users of this history are. It need not be there."""
    return database.parent / FOLDER


def states_of(database: Path, user_id: str) -> Path:
    """Where the files of this user are. It need not be there."""
    return states_folder(database) / hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def forget_states(database: Path, user_id: str | None) -> None:
    """Overwrites and removes the files of this user (None: of all)."""
    parent = states_folder(database)
    folders = [states_of(database, user_id)] if user_id is not None else sorted(parent.glob("*/"))
    for folder in folders:
        for file in folder.iterdir() if folder.is_dir() and not folder.is_symlink() else ():
            _wipe(file)
        with suppress(OSError):
            folder.rmdir()
    with suppress(OSError):
        parent.rmdir()  # where nothing else is in it


def _wipe(file: Path) -> None:
    with suppress(FileNotFoundError):
        if not file.is_symlink():
            with file.open("r+b") as opened:
                left = os.fstat(opened.fileno()).st_size
                block = bytes(min(left, 1 << 20))
                while left > 0:
                    left -= opened.write(block[:left])
                opened.flush()
                os.fsync(opened.fileno())
        file.unlink()
