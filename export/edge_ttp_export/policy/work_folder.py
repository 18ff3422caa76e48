"""Where an export keeps what it has done so far, so that an interrupted run goes on and nothing else stays behind."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_ttp.errors import Cancelled, OutOfCapacity
from edge_ttp.paths import Paths, private_folder
from edge_ttp.registry.folder import write_private
from edge_ttp.registry.integrity import bytes_below
from edge_ttp.registry.locking import exclusive

_FOLDER, _DONE = "export", "done.json"
_MIB = 1 << 20


class WorkFolder:
    """The files of one export. What has its final name is complete; the notes say what was measured."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def file(self, name: str) -> Path:
        """Where the file `name` belongs."""
        return self.path / name

    def made(self, name: str, make: Callable[[Path], None]) -> Path:
        """The file `name`, made with `make` unless it is there from an earlier run."""
        path = self.file(name)
        if not path.exists():
            partial = self.file(f"partial-{name}")
            if partial.is_dir():
                shutil.rmtree(partial)
            partial.unlink(missing_ok=True)
            make(partial)
            os.replace(partial, path)
        return path

    def noted(self, key: str, find: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The JSON object noted under `key`, found with `find` unless an earlier run did."""
        notes = self._notes()
        if key not in notes:
            notes[key] = dict(find())
            write_private(self.path / _DONE, json.dumps(notes))
        found: dict[str, Any] = notes[key]
        return found

    def note(self, key: str, facts: Mapping[str, Any]) -> None:
        """Notes an object under `key`, in place of what was noted there."""
        write_private(self.path / _DONE, json.dumps({**self._notes(), key: dict(facts)}))

    def _notes(self) -> dict[str, dict[str, Any]]:
        try:
            notes = json.loads((self.path / _DONE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return notes if isinstance(notes, dict) else {}

    def need(self, size: int, what: str) -> None:
        """Raises OutOfCapacity unless the disk has `size` bytes more than what is here already."""
        size = max(0, size - bytes_below(self.path))
        free = shutil.disk_usage(self.path).free
        if free < size:
            raise OutOfCapacity(
                f"{what} needs {size // _MIB} MiB, {free // _MIB} MiB are free in {str(self.path.parent)!r}",
                "make room, or set EDGE_TTP_HOME to a folder on a larger disk",
            )


@contextmanager
def work_folder(paths: Paths, parts: Mapping[str, str], note: Callable[[str], None]) -> Iterator[WorkFolder]:
    """The folder of the export that `parts` describe, for this process alone.

    It is kept where the run is interrupted, and removed when the run succeeds or fails.
    """
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    path = paths.cache / _FOLDER / key
    lock = paths.cache / "locks" / f"export-{key}.lock"
    with exclusive(lock, lambda: note("another process makes the same export; waiting for it"), None):
        if path.exists():
            note("going on with an export that was interrupted")
        private_folder(path.parent)
        private_folder(path)
        kept = False
        try:
            yield WorkFolder(path)
        except (Cancelled, KeyboardInterrupt) as stopped:
            kept = True
            raise Cancelled(
                "the export was interrupted",
                "run the same command again to go on, or `edge-ttp export discard` to remove what is done",
            ) from stopped
        except OSError as error:
            raise OutOfCapacity(f"the export cannot be stored: {error.strerror or error}", "make room") from error
        finally:
            if not kept:
                shutil.rmtree(path, ignore_errors=True)


def discard(paths: Paths) -> int:
    """Removes what interrupted exports have kept; returns the bytes freed."""
    folder = paths.cache / _FOLDER
    freed = bytes_below(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return freed
