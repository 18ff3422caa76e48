"""Which models there are: the manifests shipped with this package and those in the user's store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from edge_ttp.errors import InvalidInput, ModelUnavailable, NotFound
from edge_ttp.registry.gguf import read_header
from edge_ttp.registry.manifest import MANIFEST_NAME, Manifest, read_manifest
from edge_ttp.registry.variants import Variants, split_name

_LONGEST_NAME = 255
"""Bytes of a part of a path that file systems take."""


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
    variant: bool = False
    """A format made on this device of a model that has an entry of its own."""
    stale: bool = False
    """A variant that was made from another file than the model's own of today."""

    @property
    def label(self) -> str:
        """What this entry is asked for by: a variant with its format, `name:format`; a model's own file by its name."""
        return self.manifest.label if self.variant else self.manifest.name

    @property
    def format(self) -> str:
        """Quantization of a policy's weights: from the manifest, else from the file; empty where neither says."""
        manifest = self.manifest
        if manifest.format or manifest.kind != "policy":
            return manifest.format
        try:
            return read_header(manifest.place(self.folder)).file_type
        except ModelUnavailable:
            return ""

    @property
    def repair(self) -> str:
        """The cure for missing or altered files."""
        if self.bundled:
            return "install edge-ttp again"
        if self.variant:
            return f"run `edge-ttp models derive {self.manifest.name} --format {self.manifest.format} --force`"
        if self.manifest.bundled:
            return f"it was made on this device: `edge-ttp models rm {self.manifest.name}`, then make it again"
        return f"run `edge-ttp models pull {self.manifest.name}`"

    @property
    def bundled(self) -> bool:
        """Whether the model came with this package, files and all: it can be neither pulled nor removed."""
        return self.shipped and self.manifest.bundled


def shipped_folder() -> Path:
    """Folder of the manifests shipped with this package: in the wheel `edge_ttp/models`, in the repository `models`."""
    package = Path(__file__).parents[1]
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def check_usable(name: str) -> None:
    """Raises InvalidInput for what no file system takes for a name or a path."""
    if not name.strip() or "\0" in name:
        raise InvalidInput("the model's name is empty", "give a name from `edge-ttp models list`")
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        raise InvalidInput("the model's name is not valid Unicode", "re-encode it as UTF-8") from None
    if max(len(os.fsencode(part)) for part in name.split("/")) > _LONGEST_NAME:
        raise InvalidInput(f"the model's name has {len(name)} characters", f"give one of at most {_LONGEST_NAME} bytes")


class Catalog:
    """All manifests, read anew at every question: another process may add or remove one at any time."""

    def __init__(self, shipped: Path, store: Path) -> None:
        self._shipped, self._store = shipped, store
        self.variants_of = Variants(store)

    def entries(self) -> list[Entry]:
        """Every model whose manifest can be read, by name. A shipped manifest wins over one in the store."""
        return self._read()[0]

    def problems(self) -> list[str]:
        """One line for every manifest that cannot be used."""
        entries, problems = self._read()
        return problems + [line for entry in entries for line in self.variants_of.all(entry.manifest.name)[1]]

    def variants(self, entry: Entry) -> list[Entry]:
        """The formats of the model `entry` made on this device, by format."""
        name = entry.manifest.name
        return [self._variant(entry, manifest) for manifest in self.variants_of.all(name)[0]]

    def find(self, name: str) -> Entry:
        """The model called `name`, or with `name:format` that format of it.

        NotFound names what comes close; InvalidInput says why its manifest is malformed.
        """
        name, format = split_name(name)
        entry = self._find_model(name)
        if format is None or format == entry.format:
            return entry
        manifest = self.variants_of.find(name, format)
        if manifest is None:
            here = [entry.format, *(variant.format for variant in self.variants(entry))]
            derive = f"`edge-ttp models derive {name} --format {format}` makes it" if entry.manifest.derivable else ""
            raise NotFound(
                f"the model {name!r} has no format {format!r} here, only {', '.join(filter(None, here)) or 'its own'}",
                derive,
            )
        return self._variant(entry, manifest)

    def preferred(self, entry: Entry) -> Entry:
        """The format of the model `entry` that this device prefers; `entry` itself where nothing else was chosen.

        A choice made for another file of the model is void.
        """
        choice = self.variants_of.choice(entry.manifest.name)
        if choice is None or choice.source_sha256 != entry.manifest.sha256 or choice.format == entry.format:
            return entry
        manifest = self.variants_of.find(entry.manifest.name, choice.format)
        variant = self._variant(entry, manifest) if manifest is not None else entry
        return entry if variant.stale else variant

    def _variant(self, own: Entry, manifest: Manifest) -> Entry:
        folder = self.variants_of.folder(manifest.name, manifest.format)
        stale = manifest.recipe.get("source_sha256") != own.manifest.sha256
        return Entry(manifest, folder, folder, shipped=False, variant=True, stale=stale)

    def _find_model(self, name: str) -> Entry:
        check_usable(name)
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

    def shipped_digests(self) -> frozenset[str]:
        """The SHA-256s, each of a whole model, in the manifests of this package."""
        return frozenset(entry.manifest.sha256 for entry in self.entries() if entry.shipped)

    def _read(self) -> tuple[list[Entry], list[str]]:
        entries: dict[str, Entry] = {}
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
            if manifest.name not in entries:
                beside = (self._shipped if is_shipped else self._store) / manifest.name
                folder = beside if is_shipped and manifest.bundled else self._store / manifest.name
                entries[manifest.name] = Entry(manifest, beside, folder, is_shipped)
        return [entries[name] for name in sorted(entries)], problems
