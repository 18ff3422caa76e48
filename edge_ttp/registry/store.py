"""The model store: which models this device has, where their files are, and that they are what their manifests say."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from edge_ttp.errors import DownloadFailed, InvalidInput, ModelUnavailable
from edge_ttp.paths import Paths
from edge_ttp.registry.adopt import Adoption, guess_prompt_style, prepare, refuse_unsuitable, take_in
from edge_ttp.registry.catalog import Catalog, Entry, shipped_folder
from edge_ttp.registry.download import Downloader
from edge_ttp.registry.gguf import read_header
from edge_ttp.registry.integrity import Integrity, bytes_below, size_of
from edge_ttp.registry.locking import exclusive
from edge_ttp.registry.manifest import MANIFEST_NAME, Kind, Manifest, PromptStyle, read_manifest
from edge_ttp.registry.pull import Note, Progress, Puller
from edge_ttp.registry.sources import package_index
from edge_ttp.registry.stamps import Stamps

DEFAULT_POLICY = "smollm2-135m-instruct"
"""Policy used where none is named."""
DEFAULT_REWARD = "reward-minilm-1"
"""Reward model used where none is named. It comes with the package."""


@dataclass(frozen=True)
class ModelEntry:
    """One line of `edge-ttp models list`."""

    name: str
    kind: Kind
    installed: bool
    """Files present with the right sizes. `verify` looks into them."""
    bundled: bool
    """Came with the package; cannot be removed."""
    size: int
    """Bytes of all files, as announced."""
    licence: str
    licence_url: str
    description: str
    path: Path | None
    """What a room opens; None while not installed."""
    default: bool


@dataclass(frozen=True)
class Located:
    """A model on this device, verified."""

    name: str
    """Its name in the store, or a bare file's name without ending."""
    kind: Kind
    path: Path
    """A policy's .gguf file, or a reward model's folder."""
    sha256: str
    """Of the file; for several files, of the list of their SHA-256s."""
    prompt_style: PromptStyle | None
    """Policies only. For a bare file it is guessed: chat where the file carries a chat template."""
    context: int | None
    """Policies only: longest context in tokens; None where a bare file does not say."""
    manifest: Manifest | None
    """None for a bare file."""


@dataclass(frozen=True)
class Verification:
    """Whether a model's files are what its manifest says."""

    name: str
    ok: bool
    problem: str = ""


class Registry:
    """The models of one installation. Safe to use from several threads and processes at once.

    `shipped` is the folder of the manifests that came with the package. `index` is the package index to pull wheels
    from; None takes it from the environment, else PyPI. `allow_http_localhost` is for tests only.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        shipped: Path | None = None,
        index: str | None = None,
        allow_http_localhost: bool = False,
        backoff_s: float = 0.5,
    ) -> None:
        self._paths = paths
        self._catalog = Catalog(shipped or shipped_folder(), paths.models)
        self._integrity = Integrity(Stamps(paths.cache / "verified.json"))
        self._index = index
        self._allow_http_localhost = allow_http_localhost
        self._backoff_s = backoff_s

    def list(self) -> tuple[ModelEntry, ...]:
        """Every known model, installed or not, by name. Looks at file sizes only."""
        return tuple(self._line(entry) for entry in self._catalog.entries())

    def problems(self) -> tuple[str, ...]:
        """One line for every manifest in the store that cannot be used."""
        return tuple(self._catalog.problems())

    def manifest(self, name: str) -> Manifest:
        """The manifest of the model `name`. Raises NotFound."""
        return self._catalog.find(name).manifest

    def locate(self, name_or_path: str | Path, *, kind: Kind | None = None, cancel: Event | None = None) -> Located:
        """The model's place on this device, after its size and SHA-256 were checked (from memory if nothing changed).

        Takes a name, the path of a .gguf file that need not be in the store, or the path of a folder with a manifest.
        Raises NotFound for an unknown name, ModelUnavailable for files that are missing, truncated, altered or of
        another kind than `kind`, InvalidInput for an empty name.
        """
        text = str(name_or_path)
        if not text.strip() or "\0" in text:
            raise InvalidInput("the model's name is empty", "give a name from `edge-ttp models list`")
        if isinstance(name_or_path, Path) or "/" in text or os.sep in text or text.lower().endswith(".gguf"):
            return self._locate_path(Path(text).expanduser().absolute(), kind, cancel)
        entry = self._catalog.find(text)
        _refuse_kind(text, entry.manifest.kind, kind)
        self._check(entry, cancel=cancel)
        return _located(entry.manifest, entry.folder)

    def pull(
        self,
        name: str,
        *,
        progress: Progress | None = None,
        cancel: Event | None = None,
        note: Note | None = None,
    ) -> Path:
        """Path of the model `name`, fetched from its sources if it is missing or not what it should be.

        An interrupted pull goes on where it stopped. Two processes may pull the same model: one waits for the other.
        Raises NotFound, DownloadFailed (no source, no space), Cancelled.
        """
        entry = self._catalog.find(name)
        report, tell = progress or (lambda done, total: None), note or (lambda text: None)
        if self._integrity.is_sound(entry.manifest, entry.folder, cancel):
            report(entry.manifest.size, entry.manifest.size)
            return entry.manifest.place(entry.folder)
        if entry.bundled:
            self._check(entry)  # raises: there is nothing to pull it from
        try:
            with (
                self._lock(name, lambda: tell(f"another process is busy with {name}; waiting for it"), cancel),
                Downloader(allow_http_localhost=self._allow_http_localhost, backoff_s=self._backoff_s) as downloader,
            ):
                index = self._index or package_index()
                Puller(self._paths, self._integrity, downloader, index, progress=report, note=tell, cancel=cancel).pull(
                    entry
                )
        except OSError as error:
            raise DownloadFailed(
                f"cannot store the model {name!r}: {error.strerror or error}",
                "make room or fix the folder's permissions, then pull again",
            ) from error
        return entry.manifest.place(entry.folder)

    def add(
        self,
        path: Path,
        *,
        name: str | None = None,
        kind: Kind | None = None,
        prompt_style: PromptStyle | None = None,
        context: int | None = None,
        licence: str | None = None,
        licence_url: str = "",
        description: str | None = None,
        link: bool = False,
        progress: Progress | None = None,
        cancel: Event | None = None,
    ) -> ModelEntry:
        """Takes the model at `path` into the store; returns its line in the list.

        `path` is a .gguf file (what is not given is read from its header), a folder with a manifest and the files it
        names, or a manifest alone, whose files `pull` then fetches. `link` links to the files where they are instead of
        copying. Raises InvalidInput for a taken name or a wrong option, ModelUnavailable for a file that is no usable
        model.
        """
        report = progress or (lambda done, total: None)
        adoption = prepare(
            path.expanduser().absolute(),
            name=name,
            kind=kind,
            prompt_style=prompt_style,
            context=context,
            licence=licence,
            licence_url=licence_url,
            description=description,
            cancel=cancel,
        )
        try:
            with self._lock(adoption.manifest.name, None, cancel):
                known = self._refuse_taken(adoption)
                if known is not None:
                    return known
                size = adoption.manifest.size
                folder = take_in(
                    adoption, self._paths, link=link, advance=lambda done: report(done, size), cancel=cancel
                )
        except OSError as error:
            raise ModelUnavailable(
                f"cannot store the model {adoption.manifest.name!r}: {error.strerror or error}",
                "make room or fix the folder's permissions",
            ) from error
        return self._line(Entry(adoption.manifest, folder, folder, shipped=False))

    def verify(self, name: str | None = None, *, cancel: Event | None = None) -> tuple[Verification, ...]:
        """Reads every byte of the model `name`, or of all that have files here, and compares with the manifest."""
        entries = [self._catalog.find(name)] if name is not None else self._catalog.entries()
        results = []
        for entry in entries:
            if name is None and not any((entry.folder / file.path).exists() for file in entry.manifest.files):
                continue
            try:
                self._check(entry, fresh=True, cancel=cancel)
                results.append(Verification(entry.manifest.name, True))
            except ModelUnavailable as error:
                results.append(Verification(entry.manifest.name, False, str(error)))
        return tuple(results)

    def remove(self, name: str) -> int:
        """Deletes the model's files from the store; returns the bytes freed. An added model's manifest goes too.

        Raises NotFound, InvalidInput for a model that came with the package, ModelUnavailable if it is not on this
        device.
        """
        entry = self._catalog.find(name)
        if entry.bundled:
            raise InvalidInput(f"{name!r} is part of edge-ttp and cannot be removed", "use another with --reward")
        folder = self._paths.models / name
        try:
            with self._lock(name, None, None):
                if not folder.exists():
                    raise ModelUnavailable(f"the model {name!r} is not on this device")
                freed = bytes_below(folder)
                shutil.rmtree(folder)
        except OSError as error:
            raise ModelUnavailable(
                f"cannot remove the model {name!r}: {error.strerror or error}", f"delete {str(folder)!r} by hand"
            ) from error
        return freed

    def clear_downloads(self) -> int:
        """Deletes what interrupted pulls have kept to go on with; returns the bytes freed."""
        freed = bytes_below(self._downloads)
        try:
            if self._downloads.exists():
                shutil.rmtree(self._downloads)
        except OSError as error:
            raise ModelUnavailable(
                f"cannot delete the downloads: {error.strerror or error}", f"delete {str(self._downloads)!r} by hand"
            ) from error
        return freed

    def sizes(self) -> dict[str, int]:
        """Bytes on this device: of each model that has files here, and as `downloads` what interrupted pulls kept."""
        found = {entry.manifest.name: bytes_below(entry.folder) for entry in self._catalog.entries()}
        found["downloads"] = bytes_below(self._downloads)
        return {name: size for name, size in found.items() if size}

    @property
    def _downloads(self) -> Path:
        return self._paths.cache / "downloads"

    def _lock(
        self, name: str, on_wait: Callable[[], None] | None, cancel: Event | None
    ) -> AbstractContextManager[None]:
        return exclusive(self._paths.cache / "locks" / f"{name}.lock", on_wait, cancel)

    def _line(self, entry: Entry) -> ModelEntry:
        manifest = entry.manifest
        installed = all(size_of(entry.folder / file.path) == file.size for file in manifest.files)
        return ModelEntry(
            name=manifest.name,
            kind=manifest.kind,
            installed=installed,
            bundled=entry.bundled,
            size=manifest.size,
            licence=manifest.licence,
            licence_url=manifest.licence_url,
            description=manifest.description,
            path=manifest.place(entry.folder) if installed else None,
            default=manifest.name in (DEFAULT_POLICY, DEFAULT_REWARD),
        )

    def _check(self, entry: Entry, *, fresh: bool = False, cancel: Event | None = None) -> None:
        """Raises ModelUnavailable unless every file of `entry` is there, whole and unaltered."""
        cure = "install edge-ttp again" if entry.bundled else f"run `edge-ttp models pull {entry.manifest.name}`"
        self._integrity.check(entry.manifest, entry.folder, cure=cure, fresh=fresh, cancel=cancel)

    def _locate_path(self, path: Path, kind: Kind | None, cancel: Event | None) -> Located:
        if path.is_dir():
            manifest = read_manifest(path / MANIFEST_NAME)
            _refuse_kind(str(path), manifest.kind, kind)
            self._integrity.check(manifest, path, cure="write the model again", cancel=cancel)
            return _located(manifest, path)
        if not path.exists():
            raise ModelUnavailable(
                f"there is no model file {str(path)!r}", "give a .gguf file, or a name from `edge-ttp models list`"
            )
        header = read_header(path)
        found: Kind = "adapter" if header.is_adapter else "policy"
        refuse_unsuitable(path, header, kind or found)
        return Located(
            name=path.stem,
            kind=found,
            path=path,
            sha256=self._integrity.digest(path, cancel=cancel),
            prompt_style=guess_prompt_style(header) if found == "policy" else None,
            context=header.context,
            manifest=None,
        )

    def _refuse_taken(self, adoption: Adoption) -> ModelEntry | None:
        """The model's line if the store already has exactly this one; InvalidInput if its name belongs to another."""
        manifest = adoption.manifest
        for entry in self._catalog.entries():
            if entry.manifest.name == manifest.name:
                same = entry.manifest.sha256 == manifest.sha256 and adoption.originals
                if same and self._integrity.is_sound(entry.manifest, entry.folder):
                    return self._line(entry)
                raise InvalidInput(
                    f"the name {manifest.name!r} is taken",
                    "choose another with --name, or remove the other model first",
                )
        return None


def _refuse_kind(text: str, found: Kind, wanted: Kind | None) -> None:
    if wanted is not None and found != wanted:
        raise ModelUnavailable(f"{text!r} is a model of kind {found}, not {wanted}", "see `edge-ttp models list`")


def _located(manifest: Manifest, folder: Path) -> Located:
    return Located(
        name=manifest.name,
        kind=manifest.kind,
        path=manifest.place(folder),
        sha256=manifest.sha256,
        prompt_style=manifest.prompt_style,
        context=manifest.context,
        manifest=manifest,
    )
