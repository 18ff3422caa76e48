"""Whether a policy's fastest format is to be looked for, and how far that is. Light: every command asks."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge_ttp.budget import device
from edge_ttp.errors import OutOfCapacity
from edge_ttp.paths import Paths, private_folder
from edge_ttp.registry import Located, Registry
from edge_ttp.registry.folder import write_private
from edge_ttp.system.private_file import read_small

LARGEST = 1_500_000_000
"""Bytes of a file that formats are looked for by themselves: a larger one costs minutes and gigabytes."""
TRIES = 3
"""Searches of one file that may be cut off before none is begun by itself any more."""


@dataclass(frozen=True)
class SearchState:
    """How far the search for one model's fastest format is. In the cache: losing it costs time, nothing else."""

    source: str = ""
    """SHA-256 of the model's own file."""
    made: tuple[str, ...] = ()
    """Formats made for the search alone."""
    tries: int = 0
    """Times that it was begun by itself."""
    said: tuple[str, ...] = ()
    """What the user was told, and need not hear again."""

    @classmethod
    def read(cls, paths: Paths, name: str, source: str) -> SearchState:
        """What is known; nothing where it was of another file, or cannot be read."""
        with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            found: Any = json.loads(read_small(_file(paths, name)))
            state = cls(str(found["source"]), _words(found["made"]), int(found["tries"]), _words(found["said"]))
            if state.source == source:
                return state
        return cls(source)

    @classmethod
    def count_try(cls, paths: Paths, name: str, source: str) -> None:
        """Notes that a search begins."""
        state = cls.read(paths, name, source)
        replace(state, tries=state.tries + 1).write(paths, name)

    def write(self, paths: Paths, name: str) -> None:
        """Keeps it. A cache that cannot be written means that it is said, or begun, again."""
        with suppress(OSError):
            private_folder(_file(paths, name).parent)
            write_private(_file(paths, name), json.dumps(asdict(self)) + "\n")


def open_question(registry: Registry, paths: Paths, located: Located) -> bool:
    """Whether nobody knows yet which format of this policy (its own file) is fastest here, and it may be looked for.

    Not for a file that is no model of the store, one that may not be derived from, large files, and searches that were
    cut off TRIES times.
    """
    manifest = located.manifest
    if manifest is None or not manifest.derivable or not located.format:
        return False
    if registry.choice(manifest.name) is not None or manifest.size > LARGEST:
        return False
    return SearchState.read(paths, manifest.name, located.sha256).tries < TRIES


def check_room(paths: Paths, size: int) -> None:
    """Raises OutOfCapacity unless disk and memory hold the search over a file of `size` bytes."""
    need = 4 * size
    folder = private_folder(paths.models)
    if shutil.disk_usage(folder).free < need:
        raise OutOfCapacity(f"looking for the fastest format needs {need >> 20} MiB of the disk", "make room")
    if device.available_memory() < need:
        raise OutOfCapacity(f"looking for the fastest format needs {need >> 20} MiB of memory", "close other programs")


def _file(paths: Paths, name: str) -> Path:
    return paths.cache / "formats" / f"{name}.json"


def _words(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
