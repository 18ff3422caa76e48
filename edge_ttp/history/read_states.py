"""Where a policy keeps what it has read of a user's examples: a folder of each user's own, beside the database.

Such a file holds what the user wrote, in another form. It goes with the user's texts: whatever is forgotten of them,
all of these files are. Beside an encrypted history there are none, since they would not be encrypted.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from edge_ttp.history.work_files import wipe

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
            if not file.is_dir():  # none of ours
                wipe(file)
        with suppress(OSError):
            folder.rmdir()
    with suppress(OSError):
        parent.rmdir()  # where nothing else is in it
