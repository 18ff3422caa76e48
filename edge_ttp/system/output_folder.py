"""The one way a folder of results that somebody asked for is written: complete, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.system.output_file import refuse_kept, unwritable


@contextmanager
def output_folder(path: Path, *, force: bool = False) -> Iterator[Path]:
    """An empty private folder beside `path`; what the block left in it lies in `path` at the end.

    Other files of `path` stay: with `force` those of the same names are replaced, each at once. Raises InvalidInput,
    before anything is written, where `path` is no folder, is not empty and `force` is not set, or belongs to the
    installation's data; and where it cannot be written.
    """
    target = checked_folder(path, force=force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".edge-ttp-", suffix=".part", dir=target.parent))
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield made
        _move(made, target, path)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def checked_folder(path: Path, *, force: bool = False) -> Path:
    """Where a folder named `path` would be written, links followed. Raises InvalidInput as `output_folder`."""
    try:
        target = Path(os.path.realpath(path))
        refuse_kept(path, target / "file", None)
        if not target.exists():
            return target
        if not target.is_dir():
            raise InvalidInput(f"{path} is no folder", "name a new one")
        if not force and any(target.iterdir()):
            raise InvalidInput(f"{path} is there already", "add --force to replace its files, or name a new folder")
    except (OSError, ValueError) as error:  # a name too long, a null byte
        raise unwritable(path, error) from error
    return target


def _move(made: Path, target: Path, path: Path) -> None:
    try:
        if not target.exists():
            os.replace(made, target)
            return
        for file in sorted(one for one in made.rglob("*") if one.is_file()):
            to = target / file.relative_to(made)
            to.parent.mkdir(parents=True, exist_ok=True)
            if to.is_symlink() or (to.exists() and not to.is_file()):
                raise InvalidInput(f"{to} is no regular file", "name a new folder")
            os.replace(file, to)
    except OSError as error:
        raise unwritable(path, error) from error
