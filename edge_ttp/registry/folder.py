"""Writing into the store: private folders, files that appear whole or not at all, links."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from edge_ttp.paths import Paths, private_folder


def model_folder(paths: Paths, name: str) -> Path:
    """The store's folder of the model `name`, created with its parents, all with mode 0700 where they were missing."""
    private_folder(paths.data)
    private_folder(paths.models)
    return private_folder(paths.models / name)


def parent_of(path: Path) -> Path:
    """The folder of the file `path`, created with mode 0700 if it was missing."""
    return private_folder(path.parent)


def write_private(path: Path, text: str) -> None:
    """Makes `text` the content of the file `path` (mode 0600), whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def settle(partial: Path, path: Path) -> None:
    """Gives the complete file `partial` its final name `path`, lastingly."""
    os.replace(partial, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Writes the folder's list of names to the disk. Systems that cannot open a folder do it by themselves."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def link_file(original: Path, path: Path) -> None:
    """Makes `path` another name of the file `original`: a hard link, or a symbolic one where disks differ.

    Where `original` is itself a symbolic link (as in the Hugging Face cache), the file behind it is meant.
    """
    original = original.resolve()
    try:
        os.link(original, path)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        os.symlink(original, path)
