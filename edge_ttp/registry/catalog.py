"""Which models there are: the manifests shipped with this package and those in the user's store."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import edge_ttp
from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.registry.manifest import MANIFEST_NAME, Manifest, read_manifest


@dataclass(frozen=True)
class Entry:
    """A model's manifest and the folder its files belong in."""

    manifest: Manifest
    origin: Path
    """Folder where `bundled` files lie and relative `file` sources begin."""
    folder: Path
    """Folder the files are opened from."""
    shipped: bool
    """The manifest came with this package."""

    @property
    def bundled(self) -> bool:
        """Whether the model came with this package, files and all: it can be neither pulled nor removed."""
        return self.shipped and self.manifest.bundled


def shipped_folder() -> Path:
    """Folder of the manifests shipped with this package: in the wheel `edge_ttp/models`, in the repository `models`."""
    package = Path(edge_ttp.__file__).parent
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


class Catalog:
    """All manifests, read anew at every question: another process may add or remove one at any time."""

    def __init__(self, shipped: Path, store: Path) -> None:
        self._shipped, self._store = shipped, store

    def entries(self) -> list[Entry]:
        """Every model whose manifest can be read, by name. A shipped manifest wins over one in the store."""
        return self._read()[0]

    def problems(self) -> list[str]:
        """One line for every manifest that cannot be used."""
        return self._read()[1]

    def find(self, name: str) -> Entry:
        """The model called `name`. NotFound names what comes close; InvalidInput says why its manifest is malformed."""
        entries = {entry.manifest.name: entry for entry in self.entries()}
        if name in entries:
            return entries[name]
        stored = self._store / name / MANIFEST_NAME
        if "/" not in name and "\\" not in name and not name.startswith(".") and stored.is_file():
            read_manifest(stored)  # says what is wrong with it
        close = get_close_matches(name.lower(), list(entries), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(repr(match) for match in close)}? " if close else ""
        raise NotFound(f"no model is named {name!r}", f"{hint}`edge-ttp models list` shows all")

    def is_shipped(self, name: str) -> bool:
        """Whether `name` is taken by a model of this package."""
        return any(entry.shipped and entry.manifest.name == name for entry in self.entries())

    def _read(self) -> tuple[list[Entry], list[str]]:
        found: dict[str, Entry] = {}
        problems: list[str] = []
        shipped = [*self._shipped.glob("*.toml"), *self._shipped.glob(f"*/{MANIFEST_NAME}")]
        stored = [*self._store.glob(f"*/{MANIFEST_NAME}")]
        for path, is_shipped in [(path, True) for path in sorted(shipped)] + [(path, False) for path in sorted(stored)]:
            try:
                manifest = read_manifest(path)
            except InvalidInput as error:
                problems.append(error.fact)
                continue
            own = path.stem if path.name != MANIFEST_NAME else path.parent.name
            if own != manifest.name:
                problems.append(f"the manifest {str(path)!r} names another model: {manifest.name!r}")
                continue
            if manifest.name not in found:
                beside = (self._shipped if is_shipped else self._store) / manifest.name
                folder = beside if is_shipped and manifest.bundled else self._store / manifest.name
                found[manifest.name] = Entry(manifest, beside, folder, is_shipped)
        return [found[name] for name in sorted(found)], problems
