"""Other formats of a model, made on this device, and which of them this device prefers.

They lie below the model's folder in `variants`, each with a manifest of its own that says from which file it was made,
how, and what it lost. The model's own file stays. The preference is kept per processor: a store may be on a disk that
several machines use.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.paths import private_folder
from edge_ttp.registry.folder import settle, write_private
from edge_ttp.registry.gguf import read_header
from edge_ttp.registry.manifest import (
    MANIFEST_NAME,
    VARIANTS_FOLDER,
    Bundled,
    Format,
    Line,
    Manifest,
    ModelFile,
    file_sha256,
    is_format,
    read_manifest,
)
from edge_ttp.system.private_file import read_small

CHOICES_NAME = "choices.json"
MAX_CHOICES = 64
"""Processors whose choice is kept for one model."""
_INHERITED = {"name", "kind", "licence", "licence_url", "prompt_style", "context", "languages", "temperatures"}
"""What holds for every format of a model."""
NOTICE_OF_CHANGE = (
    "Modified file: the weights were quantized again on this device. The licence of the model it was made from applies."
)
"""The notice in every variant's manifest: both Apache-2.0 (4b) and the Gemma terms (3.1) ask for one."""


def split_name(text: str) -> tuple[str, str | None]:
    """A model's name and the format asked for: `smollm2:q4_0` -> ("smollm2", "Q4_0"). None where only a name stands."""
    name, colon, format = text.partition(":")
    return (name, format.upper()) if colon else (text, None)


@dataclass(frozen=True)
class Facts:
    """What the maker of a variant tells about it, for its manifest."""

    recipe: Mapping[str, Any]
    measurements: Mapping[str, Any]


Make = Callable[[Path, Path], Facts]
"""Called with the source and the path where the new file is to be written."""


class FormatChoice(BaseModel):
    """The format that this device prefers for a model. Untrusted where it is read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Format
    source_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """The model's own file at the time: another one makes the choice void."""
    reason: Line = ""
    chosen_at: str = Field(default="", max_length=40)


def refuse_derivation(manifest: Manifest) -> None:
    """Raises InvalidInput where the user may not, or cannot, make other formats of the model."""
    if manifest.kind != "policy":
        raise InvalidInput(f"{manifest.name!r} is no policy: it has one format", "see `edge-ttp models list`")
    if not manifest.derivable:
        raise InvalidInput(
            f"other formats of {manifest.name!r} may not be made: its manifest does not say `derivable = true`",
            "if its licence allows it, add the file again with `edge-ttp models add --derivable`",
        )


def processor() -> str:
    """This machine's kind and processor, as the key under which its choices are kept."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Hardware", "cpu model"):
                return f"{platform.machine()}/{' '.join(value.split())}"
    return f"{platform.machine()}/{' '.join(platform.processor().split())}"


class Variants:
    """The variants of the models in one store. Callers hold a model's lock while they change something."""

    def __init__(self, store: Path) -> None:
        self._store = store

    def folder(self, name: str, format: str | None = None) -> Path:
        """Where the variants of a model lie, or one of them."""
        below = self._store / name / VARIANTS_FOLDER
        return below / format if format is not None else below

    def all(self, name: str) -> tuple[list[Manifest], list[str]]:
        """The manifests of a model's variants, by format, and one line for each that cannot be used."""
        found, problems = [], []
        for path in sorted(self.folder(name).glob(f"*/{MANIFEST_NAME}")):
            try:
                manifest = read_manifest(path)
            except InvalidInput as error:
                problems.append(error.fact)
                continue
            if (manifest.name, manifest.format) == (name, path.parent.name):
                found.append(manifest)
            else:
                problems.append(f"the manifest {str(path)!r} names another model or format")
        return found, problems

    def find(self, name: str, format: str) -> Manifest | None:
        """The manifest of one variant, None where there is none. Raises InvalidInput for a malformed one."""
        if not is_format(format):
            return None
        path = self.folder(name, format) / MANIFEST_NAME
        return read_manifest(path) if path.is_file() else None

    def make(self, own: Manifest, source: Path, format: str, make: Make) -> Manifest:
        """Writes a variant with `make` and gives it its manifest, which is the last step; what was there is replaced.

        The file's name ends in its SHA-256, so that the old file and the new one never answer to one name. Raises
        ModelUnavailable where what was made is not what was asked for, and whatever `make` raises; nothing of it stays.
        """
        private_folder(self.folder(own.name))
        folder = private_folder(self.folder(own.name, format))
        partial = folder / ".making.gguf.partial"
        try:
            facts = make(source, partial)
            header = read_header(partial)
            before = read_header(source)
            source_format = own.format or before.file_type
            if header.file_type != format or header.architecture != before.architecture:
                raise ModelUnavailable(
                    f"what was made of {own.name!r} is {header.architecture} {header.file_type}, not {format}",
                    "update llama-cpp-python to the tested version",
                )
            sha256 = file_sha256(partial)
            path = folder / f"{_stem(own, source_format)}.{format}-{sha256[:12]}.gguf"
            file = ModelFile(path=path.name, size=partial.stat().st_size, sha256=sha256, sources=(Bundled(),))
            manifest = _described(own, source_format, format, file, facts)
            partial.chmod(0o600)
            settle(partial, path)
            write_private(folder / MANIFEST_NAME, manifest.to_toml())
        except BaseException:
            partial.unlink(missing_ok=True)
            if not (folder / MANIFEST_NAME).exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise
        for left in folder.glob("*.gguf*"):
            if left != path:
                with suppress(OSError):  # Windows keeps a file that somebody has open; the next one removes it
                    left.unlink()
        return manifest

    def choice(self, name: str) -> FormatChoice | None:
        """What this device prefers for the model; None where nothing was chosen or the note cannot be read."""
        try:
            return FormatChoice.model_validate(self._choices(name).get(processor()))
        except ValidationError:
            return None

    def choose(self, own: Manifest, format: str, reason: str) -> None:
        """Notes that this device prefers `format` for the model whose own manifest is `own`."""
        choice = FormatChoice(
            format=format,
            source_sha256=own.sha256,
            reason=reason,
            chosen_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        private_folder(self.folder(own.name))
        kept = {key: value for key, value in self._choices(own.name).items() if key != processor()}
        latest = [*kept.items()][-(MAX_CHOICES - 1) :]
        self._write_choices(own.name, {**dict(latest), processor(): choice.model_dump()})

    def forget(self, name: str, format: str) -> None:
        """Removes one variant, and every device's preference for it."""
        shutil.rmtree(self.folder(name, format))
        choices = self._choices(name)
        kept = {key: value for key, value in choices.items() if value.get("format") != format}
        if kept != choices:
            self._write_choices(name, kept)

    def _choices(self, name: str) -> dict[str, dict[str, Any]]:
        try:
            text = read_small(self.folder(name) / CHOICES_NAME)
            found = json.loads(text)
        except (OSError, ValueError, RecursionError):
            return {}
        devices = found.get("devices") if isinstance(found, dict) else None
        if not isinstance(devices, dict):
            return {}
        return {key: value for key, value in devices.items() if isinstance(value, dict)}

    def _write_choices(self, name: str, devices: Mapping[str, Any]) -> None:
        write_private(self.folder(name) / CHOICES_NAME, json.dumps({"devices": devices}, indent=1) + "\n")


def _stem(own: Manifest, format: str) -> str:
    """The name of the model's file without its format and ending."""
    stem = Path(own.files[0].path).stem
    if format and stem.upper().endswith(format):
        stem = stem[: -len(format)].rstrip("._-")
    return stem[:80] or own.name


def _described(own: Manifest, source_format: str, format: str, file: ModelFile, facts: Facts) -> Manifest:
    """The manifest of a variant of `own`."""
    original = own.files[0]
    fields: dict[str, Any] = {
        **own.model_dump(include=_INHERITED),
        "description": f"{own.name} as {format}, made on this device from {original.path}.",
        "format": format,
        "files": (file,),
        "recipe": {
            "source_file": original.path,
            "source_sha256": original.sha256,
            "source_format": source_format,
            "format": format,
            **facts.recipe,
            "notice": NOTICE_OF_CHANGE,
        },
        "measurements": dict(facts.measurements),
    }
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidInput(f"the format {format} of {own.name!r} cannot be described: {first['msg']}") from error
