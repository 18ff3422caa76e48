"""Files already verified: so that a model of hundreds of megabytes is not hashed at every start.

A stamp holds what the file system says about a file (size, times, inode) and the SHA-256 it had then. A file whose
stamp has changed in any part is hashed again. The stamps are a cache: losing them costs time, nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Event

from edge_ttp.paths import private_folder
from edge_ttp.registry.manifest import file_sha256
from edge_ttp.system.private_file import read_small

MAX_STAMPS = 512


class Stamps:
    """The SHA-256 of files, remembered in one JSON file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def sha256(
        self,
        path: Path,
        *,
        fresh: bool = False,
        advance: Callable[[int], None] | None = None,
        cancel: Event | None = None,
    ) -> str:
        """SHA-256 of the file at `path`, from memory where the file has not changed. `fresh` always reads the file."""
        mark = _mark(path)
        known = self._load()
        entry = known.get(str(path))
        if not fresh and entry is not None and entry[:-1] == mark:
            return str(entry[-1])
        digest = file_sha256(path, advance, cancel)
        if _mark(path) == mark:  # unchanged while it was read
            self._store({**known, str(path): [*mark, digest]})
        return digest

    def remember(self, path: Path, sha256: str) -> None:
        """Notes the SHA-256 of a file just written."""
        self._store({**self._load(), str(path): [*_mark(path), sha256]})

    def _load(self) -> dict[str, list[int | str]]:
        try:
            found = json.loads(read_small(self._file))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {path: entry for path, entry in found.items() if isinstance(entry, list) and len(entry) == 5}

    def _store(self, stamps: dict[str, list[int | str]]) -> None:
        living = [(path, entry) for path, entry in stamps.items() if os.path.exists(path)][-MAX_STAMPS:]
        # On a read-only or full disk the file is hashed again next time; that must not stop a request.
        with contextlib.suppress(OSError):
            private_folder(self._file.parent)
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=".verified-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(dict(living), file)
                os.replace(name, self._file)
            except OSError:
                os.unlink(name)
                raise


def _mark(path: Path) -> list[int | str]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
