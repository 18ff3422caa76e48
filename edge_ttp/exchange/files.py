"""Files of a folder that are imported, and what becomes of one that cannot be read."""

from __future__ import annotations

import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from edge_ttp.errors import EdgeTTPError, InvalidInput
from edge_ttp.exchange.records import BadRecord, Entry

MAX_FILES = 200_000

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    KeyError,
)
"""What zipfile raises on an archive that is broken, locked or made to mislead."""


def files_below(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """The files below `folder` with one of these endings, by name. Hidden ones are left out, links not followed."""
    found: list[Path] = []
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name.lower().endswith(endings):
                path = Path(at, name)
                if path.is_file() and not path.is_symlink():
                    found.append(path)
        if len(found) > MAX_FILES:
            raise InvalidInput(f"{folder} holds more than {MAX_FILES} files", "name a smaller folder")
    return found


def guarded(number: int, read: Callable[[], Iterable[Entry]]) -> Iterator[Entry]:
    """What `read` yields of one record; whatever goes wrong in it makes it a bad record, and never ends an import."""
    try:
        yield from read()
    except EdgeTTPError as error:
        yield BadRecord(number, error.fact)
    except OSError as error:
        yield BadRecord(number, f"cannot be read ({error.strerror or type(error).__name__})")
    except Exception as error:  # noqa: BLE001  # a record is hostile, and what parsers raise on it is not documented
        yield BadRecord(number, f"cannot be read ({type(error).__name__})")
