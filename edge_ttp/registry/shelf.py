"""Looking into the model store: which models there are, where they lie, and that they are what they should be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from threading import Event

from edge_ttp.errors import InvalidInput, ModelUnavailable, NotFound
from edge_ttp.paths import Paths, expanded
from edge_ttp.registry.adopt import guess_prompt_style, refuse_unsuitable
from edge_ttp.registry.catalog import Catalog, Entry, check_usable, shipped_folder
from edge_ttp.registry.gguf import read_header
from edge_ttp.registry.gguf_bounds import misfit
from edge_ttp.registry.integrity import Integrity, bytes_below, size_of
from edge_ttp.registry.locking import exclusive
from edge_ttp.registry.made_files import MadeFile, made_files, used
from edge_ttp.registry.manifest import MANIFEST_NAME, Kind, Manifest, Use, read_manifest
from edge_ttp.registry.offers import Offer, read_offers
from edge_ttp.registry.results import Located, ModelEntry, Verification
from edge_ttp.registry.stamps import Stamps
from edge_ttp.registry.trials import Trials
from edge_ttp.registry.variants import FormatChoice, Variants, split_name
from edge_ttp.system.arguments import checked_arguments
from edge_ttp.system.help_page import Page

DEFAULT_POLICY = "smollm2-135m-instruct"
"""Policy used where none is named."""
DEFAULT_REWARD = "reward-minilm-1"
"""Reward model used where none is named. It comes with the package."""


@checked_arguments
class Shelf(metaclass=Page):
    """The models of one installation, looked at: nothing here fetches, adds or removes. See `Registry`."""

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
        check_usable(text)
        if isinstance(name_or_path, Path) or "/" in text or os.sep in text or text.lower().endswith(".gguf"):
            return self._tried(self._locate_path(expanded(text).absolute(), kind, cancel), cancel)
        entry = self._catalog.find(text)
        _refuse_kind(text, entry.manifest.kind, kind)
        if ":" not in text:
            entry = self._catalog.preferred(entry)
        self._check(entry, cancel=cancel)
        used(entry)
        return self._tried(self._located(entry, explicit=":" in text), cancel)

    def check_name(self, name_or_path: str) -> None:
        """Raises NotFound where there is no such model, without looking into its files. As `locate` otherwise."""
        check_usable(name_or_path)
        if "/" in name_or_path or os.sep in name_or_path or name_or_path.lower().endswith(".gguf"):
            if not expanded(name_or_path).exists():
                raise NotFound(f"there is no model at {name_or_path}", "see `edge-ttp models list`")
        else:
            self._catalog.find(name_or_path)

    def reward_folder(self, name_or_folder: str) -> Path:
        """The folder of a reward model: of one in the store, or any folder that holds one, with a manifest or without.

        Raises as `locate`. A folder is tried as files from outside are.
        """
        folder = expanded(name_or_folder).absolute()
        if not os.path.isdir(folder):  # False too for what is no name of a file
            return self.locate(name_or_folder, kind="reward").path
        self._trials.survive("reward", folder, "")
        return folder

    def try_adapter(self, path: Path, policy: Located, *, cancel: Event | None = None) -> None:
        """Tries the LoRA adapter at `path` with `policy` in a process of its own, unless that was done before.

        Raises ModelUnavailable where there is none, it is no adapter for that policy or did not survive.
        """
        if not path.exists():
            raise ModelUnavailable(f"there is no adapter file {path}", "give a LoRA adapter as a .gguf file")
        header = read_header(path)
        refuse_unsuitable(path, header, "adapter")
        sha256 = self._integrity.digest(path, cancel=cancel)
        self._trials.adapter(path, sha256, policy=policy.path, policy_sha256=policy.sha256, cancel=cancel)

    def try_newcomer(
        self, kind: Kind, path: Path, sha256: str, bases: tuple[str, ...] = (), *, cancel: Event | None = None
    ) -> str:
        """Tries a model that has just come, in a process of its own; returns what keeps it from being tried, or "".

        An adapter is tried with a policy of this device: one that it was made for (`bases`), else the first that its
        tensors fit. Where there is none, `adapter` tries it when it is first named. Raises as `locate` and `adapter`.
        """
        if kind != "adapter":
            self._trials.survive(kind, path, sha256, cancel=cancel)
            return ""
        if sha256 in self._catalog.shipped_digests():
            return ""
        header = read_header(path)
        refuse_unsuitable(path, header, "adapter")
        reasons = []
        for entry in sorted(self._catalog.entries(), key=lambda one: (one.manifest.sha256 not in bases, one.shipped)):
            if entry.manifest.kind != "policy" or not self._line(entry).installed:
                continue
            try:
                policy = self.locate(entry.manifest.name, cancel=cancel)
                reason = misfit(header, read_header(policy.path))
            except ModelUnavailable:  # a damaged policy says so where it is used
                continue
            if not reason:
                self.try_adapter(path, policy, cancel=cancel)
                return ""
            reasons.append(f"{entry.manifest.name}: {reason}")
        return reasons[0] if reasons else "there is no policy on this device"

    def adapter(self, name_or_path: str, policy: Located, *, cancel: Event | None = None) -> Located:
        """The adapter of that name, or in that .gguf file, for `policy`, tried with it if it did not come with us.

        Raises as `locate` and `try_adapter`, InvalidInput for one that was made for another policy.
        """
        found = self.locate(name_or_path, kind="adapter", cancel=cancel)
        bases = () if found.manifest is None else found.manifest.bases
        if bases and not _made_of(policy) & set(bases):
            raise InvalidInput(
                f"the adapter {found.name!r} was made for another policy than {policy.name!r}",
                "name another, or `none`",
            )
        if found.sha256 not in self._catalog.shipped_digests():
            self.try_adapter(found.path, policy, cancel=cancel)
        return found

    def voice(self, policy: Located, use: Use, *, cancel: Event | None = None) -> Located | None:
        """The adapter that `policy` is given for `use` where a request names none; None where there is no such one.

        It was made for this very file, or for the one that this format was made of. The user's own come before the one
        that came with this package, by name. Raises as `adapter`.
        """
        made_of = _made_of(policy)
        fitting = [
            entry
            for entry in self._catalog.entries()
            if entry.manifest.kind == "adapter" and use in entry.manifest.uses and made_of & set(entry.manifest.bases)
        ]
        for entry in sorted(fitting, key=lambda one: (one.shipped, one.manifest.name)):
            return self.adapter(entry.manifest.name, policy, cancel=cancel)
        return None

    def offers(self) -> tuple[Offer, ...]:
        """Well-known small models that `pull` fetches from the Hugging Face hub, the smallest first."""
        return read_offers(self._shipped)

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

    def made_files(self) -> tuple[MadeFile, ...]:
        """What lies on the disk because it was made here, the least recently used first."""
        return tuple(made_files(self._paths, self._catalog))

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


def _made_of(policy: Located) -> set[str]:
    """The SHA-256 of a policy's file, and of the one that it was made of on this device."""
    source = None if policy.manifest is None else policy.manifest.recipe.get("source_sha256")
    return {policy.sha256, *([source] if isinstance(source, str) else [])}


def _refuse_kind(text: str, kind: Kind, wanted: Kind | None) -> None:
    if wanted is not None and kind != wanted:
        raise ModelUnavailable(f"{text!r} is a model of kind {kind}, not {wanted}", "see `edge-ttp models list`")


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
