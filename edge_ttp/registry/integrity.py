"""Whether a model's files are what its manifest says: present, whole, unaltered."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event

from edge_ttp.errors import ModelUnavailable
from edge_ttp.registry.manifest import Manifest, ModelFile
from edge_ttp.registry.stamps import Stamps


class Integrity:
    """Checks files against manifests, with a memory of files already hashed."""

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps

    def check(
        self, manifest: Manifest, folder: Path, *, cure: str, fresh: bool = False, cancel: Event | None = None
    ) -> None:
        """Raises ModelUnavailable unless every file is in `folder`, whole and unaltered. `fresh` reads every byte."""
        sizes = {file.path: size_of(folder / file.path) for file in manifest.files}
        if not any(size is not None for size in sizes.values()):
            raise ModelUnavailable(f"the model {manifest.name!r} is not on this device", cure)
        for file in manifest.files:
            size = sizes[file.path]
            if size is None:
                problem = "is missing"
            elif size != file.size:
                problem = f"is {'truncated' if size < file.size else 'altered'}: {size} bytes, not {file.size}"
            elif self.digest(folder / file.path, fresh=fresh, cancel=cancel) != file.sha256:
                problem = "is altered: its SHA-256 is not that of the manifest"
            else:
                continue
            raise ModelUnavailable(f"the file {file.path!r} of the model {manifest.name!r} {problem}", cure)

    def is_sound(self, manifest: Manifest, folder: Path, cancel: Event | None = None) -> bool:
        """Whether `check` finds nothing wrong."""
        return all(self.has(folder, file, cancel) for file in manifest.files)

    def has(self, folder: Path, file: ModelFile, cancel: Event | None = None) -> bool:
        """Whether this one file is in `folder`, whole and unaltered."""
        path = folder / file.path
        return size_of(path) == file.size and self.digest(path, cancel=cancel) == file.sha256

    def digest(self, path: Path, *, fresh: bool = False, cancel: Event | None = None) -> str:
        """SHA-256 of the file at `path`. Raises ModelUnavailable where it cannot be read."""
        try:
            return self._stamps.sha256(path, fresh=fresh, cancel=cancel)
        except OSError as error:
            raise ModelUnavailable(
                f"cannot read {str(path)!r}: {error.strerror or error}", "check the file's permissions"
            ) from error

    def remember(self, path: Path, sha256: str) -> None:
        """Notes that the file at `path` was just written with this SHA-256."""
        self._stamps.remember(path, sha256)


def size_of(path: Path) -> int | None:
    """Bytes of the file at `path`, links followed; None where there is no such file."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def bytes_below(folder: Path) -> int:
    """Bytes of all files below `folder`; links count nothing. 0 where the folder is missing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                total += size_of(path) or 0
    return total
