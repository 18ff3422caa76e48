"""The one way a file that somebody asked for is written: private, whole or not at all, and never over what must stay.

Every command and method with an output (`--output`, `--html`, `--plot`, `--out`, `backup`) writes through here.
"""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TextIO

from edge_ttp.errors import EdgeTTPError, InvalidInput, is_full
from edge_ttp.paths import Paths, locate

DATABASE_ENDINGS = ("", "-wal", "-shm", "-journal")
"""What SQLite keeps beside a database, after the database's own name."""

_MANIFEST = "manifest.toml"
_MODEL_ENDINGS = (".gguf", ".onnx")
_GGUF = b"GGUF"
_ELSEWHERE = "name another file"


@contextmanager
def text_output(path: Path, *, force: bool = False, database: Path | None = None) -> Iterator[TextIO]:
    """As `output_file`, for text: UTF-8 with `\\n` at the end of a line."""
    with output_file(path, force=force, database=database) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n", write_through=True)
        try:
            yield text
            text.flush()
        finally:
            with suppress(ValueError, OSError):
                text.detach()  # the bytes below are closed where they were opened


@contextmanager
def output_file(path: Path, *, force: bool = False, database: Path | None = None) -> Iterator[IO[bytes]]:
    """A file to write (mode 0600) that takes the place of `path` when the block ends without an error.

    `database`: the history in use, where it is not the installation's own. Raises InvalidInput as `output_path`, or
    where it cannot be written; what stood at `path` before stays then.
    """
    with output_path(path, force=force, database=database) as neighbour:
        try:
            with neighbour.open("r+b") as file:  # closing it writes too, what a full disk refused before
                yield file
        except OSError as error:
            raise unwritable(path, error) from error


@contextmanager
def output_path(path: Path, *, force: bool = False, database: Path | None = None) -> Iterator[Path]:
    """An empty file of mode 0600 beside `path`, for those that write by name; it takes the place of `path` at the end.

    A symbolic link is followed. InvalidInput, before anything is written, if something is there and `force` is not
    set, if that is no regular file, or if it is the history, a model or a manifest, by whatever name or link.
    """
    target = checked_output(path, force=force, database=database)
    try:
        handle, name = tempfile.mkstemp(prefix=".edge-ttp-", suffix=".part", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise unwritable(path, error) from error
    neighbour = Path(name)
    try:
        yield neighbour
        _settle(neighbour, target, path, force)
    finally:
        with suppress(FileNotFoundError):
            neighbour.unlink()


def checked_output(path: Path, *, force: bool = False, database: Path | None = None) -> Path:
    """Where a file named `path` would be written, links followed. Raises InvalidInput as `output_path`."""
    try:
        target = Path(os.path.realpath(path))
        refuse_kept(path, target, database)
        status = _status(target)
    except EdgeTTPError:
        raise
    except (OSError, ValueError) as error:  # a name too long, a null byte
        raise unwritable(path, error) from error
    if status is None:
        return target
    if stat.S_ISDIR(status.st_mode):
        raise InvalidInput(f"{path} is a folder", "name a file")
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"{path} is no regular file", "name one; without it, results go to stdout where they can")
    if not force:
        raise _taken(path)
    return target


def prepared_output(path: Path, *, force: bool = False) -> Path:
    """As `checked_output`, and makes the folder: for what takes hours before it is written. Raises InvalidInput."""
    target = checked_output(path, force=force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    return target


def refuse_kept(path: Path, target: Path, database: Path | None) -> None:
    """Raises InvalidInput where `target` is, or would become, something that the installation lives on."""
    paths = locate()
    for history in {paths.database, database or paths.database}:
        for ending in DATABASE_ENDINGS:
            if _same(target, Path(f"{history}{ending}")):
                raise InvalidInput(f"{path} is the history itself", _ELSEWHERE)
    if target.is_relative_to(os.path.realpath(paths.data)):
        raise InvalidInput(f"{path} lies among the data of this program", "name a file elsewhere")
    if target.name == _MANIFEST or (target.parent / _MANIFEST).exists():
        raise InvalidInput(f"{path} belongs to a model", _ELSEWHERE)
    status = _status(target)
    if status is None or not stat.S_ISREG(status.st_mode):
        return
    if target.suffix in _MODEL_ENDINGS or _begins_with(target, _GGUF) or _is_stored(status, paths):
        raise InvalidInput(f"{path} is a model", _ELSEWHERE)


def _same(target: Path, kept: Path) -> bool:
    """Whether both names mean one file, through whatever links; also where it does not exist yet."""
    if str(target) == os.path.realpath(kept):
        return True
    with suppress(OSError):
        return target.samefile(kept)
    return False


def _is_stored(status: os.stat_result, paths: Paths) -> bool:
    """Whether the file is a further hard link to one in the store."""
    if status.st_nlink < 2:
        return False
    ours = (Path(folder) / name for folder, _, names in os.walk(paths.models) for name in names)
    return any(os.path.samestat(status, one) for one in map(_status, ours) if one is not None)


def _begins_with(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _settle(neighbour: Path, target: Path, path: Path, force: bool) -> None:
    """Gives the complete file its name, lastingly. Without `force` never over a file that came in the meantime."""
    try:
        _sync(neighbour)
        if force:
            os.replace(neighbour, target)
        else:
            _name_once(neighbour, target)
        if os.name != "nt":
            _sync(target.parent)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise unwritable(path, error) from error


def _name_once(neighbour: Path, target: Path) -> None:
    try:
        os.link(neighbour, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(target) from None
        os.replace(neighbour, target)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _taken(path: Path) -> InvalidInput:
    return InvalidInput(f"{path} is there already", "add --force to replace it, or name another file")


def unwritable(path: Path, error: OSError | ValueError) -> InvalidInput:
    """What a path that cannot be written is answered with: why, and the cure."""
    cure = "free some space" if is_full(error) else "name a file in a folder that can be written"
    why = getattr(error, "strerror", None) or error
    return InvalidInput(f"{str(path)[:300]} cannot be written ({why})", cure)
