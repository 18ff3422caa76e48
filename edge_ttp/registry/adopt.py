"""Models a person already has: from a file or folder to the manifest under which the store keeps it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from pydantic import ValidationError

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.paths import Paths, expanded
from edge_ttp.registry.folder import link_file, model_folder, parent_of, write_private
from edge_ttp.registry.gguf import Header, read_header
from edge_ttp.registry.gguf_bounds import refuse_unloadable
from edge_ttp.registry.manifest import (
    MANIFEST_NAME,
    Kind,
    LocalFile,
    Manifest,
    PromptStyle,
    Source,
    describe_files,
    file_sha256,
    is_format,
    read_manifest,
)
from edge_ttp.registry.sources import copy_checked

ASSUMED_CONTEXT = 2048
"""Context, in tokens, of a policy whose header does not name one."""


PERMISSIVE_LICENCES = frozenset(
    ("0bsd", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc0-1.0", "isc", "mit", "unlicense", "zlib")
)
"""Licences, by SPDX identifier in lower case, under which anybody may change a file and keep the result."""


@dataclass(frozen=True)
class Adoption:
    """A model to be taken into the store."""

    manifest: Manifest
    originals: dict[str, Path]
    """Path in the manifest -> where the file is now. Empty for a manifest alone."""

    @property
    def opened(self) -> Path | None:
        """What a room would open of it where it is now; None for a manifest alone, whose files `pull` fetches."""
        first = self.manifest.files[0].path
        if first not in self.originals:
            return None
        file = self.originals[first]
        return file.parents[len(Path(first).parts) - 1] if self.manifest.kind == "reward" else file


def prepare(
    path: Path,
    *,
    name: str | None,
    kind: Kind | None,
    prompt_style: PromptStyle | None,
    context: int | None,
    licence: str | None,
    licence_url: str,
    description: str | None,
    derivable: bool | None = None,
    made: bool = False,
    file_name: str | None = None,
    sources: tuple[Source, ...] = (),
    recipe: Mapping[str, str] | None = None,
    advance: Callable[[int], None] | None = None,
    cancel: Event | None = None,
) -> Adoption:
    """The adoption of the .gguf file, folder with a manifest, or manifest at `path`; options overrule a .gguf header.

    `file_name` (None: that of `path`), `sources` (empty: `path` itself) and `recipe` are for the manifest of a file.
    `made`: the folder at `path` was made on this device and will not stay, so it becomes no source.
    Raises InvalidInput for options that do not fit, ModelUnavailable for a file that is no usable model.
    """
    if path.is_dir() or path.suffix == ".toml":
        if (
            any(option is not None for option in (name, kind, prompt_style, context, licence, description, derivable))
            or licence_url
        ):
            raise InvalidInput(
                f"{str(path)!r} has a manifest, which says what the model is",
                "change the manifest instead of giving options",
            )
        return _from_manifest(path, cancel, made=made)
    header = read_header(path)
    kind = kind or ("adapter" if header.is_adapter else "policy")
    refuse_unsuitable(path, header, kind)
    if kind != "policy" and (prompt_style is not None or context is not None):
        raise InvalidInput("a prompt style and a context belong to a policy", f"leave them out for kind {kind}")
    if kind != "policy" and derivable:
        raise InvalidInput("other formats can be made of a policy only", f"leave --derivable out for kind {kind}")
    known_licence = licence or _printable(header.metadata.get("general.license")) or "unknown"
    if derivable is None:
        derivable = kind == "policy" and known_licence.casefold() in PERMISSIVE_LICENCES
    file_name = re.sub(r"[^A-Za-z0-9._+-]+", "-", file_name or path.name).lstrip(".-+") or "model.gguf"
    fields: dict[str, Any] = {
        "name": name if name is not None else suggest_name(path.stem),
        "kind": kind,
        "description": description if description is not None else describe_header(header),
        "licence": known_licence,
        "licence_url": licence_url,
        "prompt_style": (prompt_style or guess_prompt_style(header)) if kind == "policy" else None,
        "context": (context or header.context or ASSUMED_CONTEXT) if kind == "policy" else None,
        "format": header.file_type if kind == "policy" and is_format(header.file_type) else "",
        "derivable": derivable,
        "files": [
            {
                "path": file_name,
                "size": header.file_bytes,
                "sha256": file_sha256(path, advance, cancel),
                "sources": sources or (LocalFile(path=str(path)),),
            }
        ],
        "recipe": dict(recipe or {}),
    }
    try:
        manifest = Manifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise InvalidInput(f"cannot add {str(path)!r}: {where}: {first['msg']}") from error
    return Adoption(manifest, {file_name: path})


def refuse_unsuitable(path: Path, header: Header, kind: Kind) -> None:
    """Raises ModelUnavailable where the GGUF file cannot be used as a model of `kind`."""
    if kind == "reward":
        raise ModelUnavailable(
            f"{str(path)!r} is a GGUF file", "a reward model is a folder with a manifest and ONNX files"
        )
    if kind == "policy" and header.is_embedding:
        raise ModelUnavailable(
            f"{str(path)!r} is an embedding model ({header.architecture}): it cannot write text",
            "use a text generation model",
        )
    if kind == "policy" and header.is_adapter:
        raise ModelUnavailable(f"{str(path)!r} is an adapter, not a whole model", "use the model it adapts")
    if kind == "adapter" and not header.is_adapter:
        raise ModelUnavailable(f"{str(path)!r} is a whole model, not an adapter", "leave out the kind")
    refuse_unloadable(path, header)


def guess_prompt_style(header: Header) -> PromptStyle:
    """chat where the file carries a chat template, else few-shot."""
    return "chat" if header.has_chat_template else "few-shot"


def describe_header(header: Header) -> str:
    """One line from the header: name, architecture and quantization."""
    name = _printable(header.metadata.get("general.name"))
    details = ", ".join(filter(None, (_printable(header.architecture), header.file_type)))
    return f"{name} ({details})" if name and details else name or details


def suggest_name(stem: str) -> str:
    """A name for the store, from a file's name without ending."""
    return re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("._-")[:64].rstrip(".") or "model"


def _from_manifest(path: Path, cancel: Event | None, *, made: bool) -> Adoption:
    folder = path if path.is_dir() else path.parent
    manifest = read_manifest(path / MANIFEST_NAME if path.is_dir() else path)
    if not path.is_dir() and not manifest.bundled:
        sources = [source for file in manifest.files for source in file.sources]
        if any(isinstance(source, LocalFile) and not expanded(source.path).is_absolute() for source in sources):
            raise InvalidInput(
                f"the manifest {str(path)!r} names files relative to its own folder", "write absolute paths into it"
            )
        return Adoption(manifest, {})
    for file in manifest.files:
        found = folder / file.path
        try:
            (actual,) = describe_files(folder, [file.path], cancel=cancel)
        except OSError as error:
            raise ModelUnavailable(f"cannot read {str(found)!r}: {error.strerror or error}") from error
        except ValidationError as error:  # an empty file
            raise ModelUnavailable(f"the file {str(found)!r} is empty", "write the model again") from error
        if (actual.size, actual.sha256) != (file.size, file.sha256):
            raise ModelUnavailable(f"the file {str(found)!r} is not what its manifest says", "write the model again")
    originals = {file.path: folder / file.path for file in manifest.files}
    if made:
        return Adoption(manifest, originals)
    # In the store a file's source is where it came from, so that `pull` can restore it.
    files = tuple(
        file.model_copy(update={"sources": (LocalFile(path=str(folder / file.path)),)}) for file in manifest.files
    )
    return Adoption(manifest.model_copy(update={"files": files}), originals)


def take_in(
    adoption: Adoption,
    paths: Paths,
    *,
    link: bool,
    move: bool = False,
    advance: Callable[[int], None],
    cancel: Event | None = None,
) -> Path:
    """Puts the files of `adoption` and its manifest into the store; returns the model's folder.

    They are copied, or with `link` given another name, or with `move` taken from where they are.

    The caller holds the model's lock and has made sure that the name is free. Nothing stays behind after a failure.
    """
    folder = paths.models / adoption.manifest.name
    if folder.exists():
        shutil.rmtree(folder)  # left over from an adoption that was interrupted
    model_folder(paths, adoption.manifest.name)
    try:
        for file in adoption.manifest.files:
            original = adoption.originals.get(file.path)
            if original is None:
                continue
            target = parent_of(folder / file.path) / Path(file.path).name
            if link:
                link_file(original, target)
            elif move:
                shutil.move(original, target)
            else:
                copy_checked(original, file, target, advance, cancel)
        write_private(folder / MANIFEST_NAME, adoption.manifest.to_toml())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _printable(value: object) -> str:
    text = "".join(character for character in str(value or "") if character.isprintable())
    return " ".join(text.split())[:200]
