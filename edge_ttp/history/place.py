"""The files of a history on the disk: made private, regular files only, and still the ones that were opened."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from edge_ttp.errors import HistoryUnavailable, InvalidInput, NotFound, checked_type, is_full
from edge_ttp.history.faults import full
from edge_ttp.paths import private_folder
from edge_ttp.system.output_file import DATABASE_ENDINGS

PRIVATE = 0o600

Identity = tuple[int, int]
"""Device and number of a file: what stays the same while it has another name, and changes when another takes its."""


def checked_path(path: Path | str) -> Path:
    """`path` itself. InvalidInput for what cannot be the name of a file."""
    checked_type("path", path, str, Path, optional=False)
    try:
        if b"\0" not in os.fsencode(path):
            return Path(path)
    except UnicodeEncodeError:
        pass
    raise InvalidInput(f"{str(path)[:80]!a} cannot be the name of a file", "name another one")


def files_of(path: Path) -> tuple[Path, ...]:
    """The database `path` and what SQLite keeps beside it."""
    return tuple(Path(f"{path}{ending}") for ending in DATABASE_ENDINGS)


def identity(path: Path) -> Identity | None:
    """Which file `path` names now, None for no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def provide(path: Path, create: bool) -> None:
    """Makes `path` exist with mode 0600, or tightens an existing file that is ours. Refuses what is no regular file."""
    try:
        for file in files_of(path):
            _refuse_irregular(file)  # before it is opened: a pipe would block for ever
        if path.exists():
            for file in files_of(path):
                _tighten(file)
            return
        if not create:
            raise NotFound(f"there is no history at {path} yet", "add something first: edge-ttp history add")
        private_folder(path.parent)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE))
    except FileExistsError:
        if not path.exists():  # so it is a link to nowhere, or the folder's name is taken
            fact = f"{path} leads nowhere" if path.is_symlink() else f"{path.parent} is not a folder"
            raise HistoryUnavailable(fact, "name another place for the history") from None
    except OSError as error:
        if is_full(error):
            raise full(path) from error
        raise HistoryUnavailable(
            f"the history {path} cannot be opened ({error.strerror})", "check the path and the rights of its folder"
        ) from error


def _refuse_irregular(file: Path) -> None:
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(mode):
        raise HistoryUnavailable(f"{file} is a folder", "name a file for the history")
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"))
        kind = next((name for test, name in kinds if test(mode)), "a device")
        raise HistoryUnavailable(f"{file} is {kind}, no file", f"move it away: mv {file} {file.name}.away")


def _tighten(file: Path) -> None:
    """Takes the rights of group and others away from `file`, if it exists and belongs to this user."""
    try:
        status = file.stat()
        if os.name == "posix" and status.st_mode & 0o077 and os.geteuid() in (0, status.st_uid):
            file.chmod(PRIVATE)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EROFS, errno.EPERM):
            raise
