"""GGUF files that other programs left on this disk: Ollama, LM Studio, the Hugging Face cache, llama.cpp, GPT4All.

Only looks: opens Ollama's manifests (JSON, untrusted) and the headers of the files. What cannot be read is left out.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from edge_ttp.errors import ModelUnavailable
from edge_ttp.paths import expanded
from edge_ttp.registry.gguf import Header, read_header
from edge_ttp.system.private_file import open_regular

OLLAMA_MODEL = "application/vnd.ollama.image.model"
"""Media type of the layer that is the GGUF file."""
MAX_OLLAMA_MANIFEST = 1 << 20
MAX_FILES = 2_000
"""Files looked at below one folder."""
MAX_SEEN = 100_000
"""Names below one folder that are read: it may be a link to the whole disk."""
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)


@dataclass(frozen=True)
class FoundModel:
    """A model file of another program."""

    label: str
    """What it is added by: `ollama/llama3.2:1b`, `hf/OWNER/REPO/FILE.gguf` ..."""
    program: str
    path: Path
    """The file itself, links followed."""
    size: int
    description: str
    """From its header."""
    problem: str = ""
    """Why it cannot be a policy; empty where it can."""


@dataclass(frozen=True)
class _Place:
    program: str
    prefix: str
    folders: tuple[Path, ...]
    look: Callable[[Path], Iterator[tuple[str, Path]]]
    """(label without the prefix, file) for each model below a folder."""


def find_models(
    home: Path | None = None, environment: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> list[FoundModel]:
    """The models that other programs left in `home` (None: the user's own), each file once, by label."""
    seen: set[Path] = set()
    found = []
    for place in _places(home or Path.home(), environment, platform):
        for folder in place.folders:
            for label, path in place.look(folder):
                real = Path(os.path.realpath(path))  # which does not mind a link that leads to itself
                if real in seen or not os.path.isfile(real):  # which is False too where one may not look
                    continue
                seen.add(real)
                model = _described(f"{place.prefix}/{label}", place.program, real)
                if model is not None:
                    found.append(model)
    return sorted(found, key=lambda model: model.label)


def _places(home: Path, environment: Mapping[str, str], platform: str) -> tuple[_Place, ...]:
    def named(variable: str, *below: str) -> tuple[Path, ...]:
        value = environment.get(variable, "").strip()
        return (expanded(value).joinpath(*below),) if value else ()

    cache = home / "Library" / "Caches" if platform == "darwin" else home / ".cache"
    if platform != "darwin":
        cache = (*named("XDG_CACHE_HOME"), cache)[0]
    gpt4all = {
        "darwin": home / "Library" / "Application Support",
        "win32": (*named("LOCALAPPDATA"), home / "AppData" / "Local")[0],
    }.get(platform, home / ".local" / "share")
    ollama = (*named("OLLAMA_MODELS"), home / ".ollama" / "models")
    if platform == "linux" and home == Path.home():
        ollama = (*ollama, Path("/usr/share/ollama/.ollama/models"))  # where its service keeps them
    return (
        _Place("Ollama", "ollama", ollama, _ollama),
        _Place(
            "LM Studio", "lmstudio", (home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"), _files
        ),
        _Place(
            "Hugging Face cache",
            "hf",
            (*named("HF_HUB_CACHE"), *named("HF_HOME", "hub"), home / ".cache" / "huggingface" / "hub"),
            _hub_cache,
        ),
        _Place("llama.cpp", "llama.cpp", (*named("LLAMA_CACHE"), cache / "llama.cpp"), _files),
        _Place("GPT4All", "gpt4all", (gpt4all / "nomic.ai" / "GPT4All",), _files),
    )


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in _ggufs(folder):
        yield path.relative_to(folder).as_posix(), path


def _hub_cache(folder: Path) -> Iterator[tuple[str, Path]]:
    """models--OWNER--REPO/snapshots/COMMIT/FILE.gguf, a link to a blob."""
    for path in _ggufs(folder):
        parts = path.relative_to(folder).parts
        if len(parts) > 3 and parts[0].startswith("models--") and parts[1] == "snapshots":
            repository = parts[0].removeprefix("models--").replace("--", "/")
            yield "/".join((repository, *parts[3:])), path


def _ggufs(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in _below(folder):
        if path.name.lower().endswith(".gguf"):
            found.append(path)
            if len(found) > MAX_FILES:
                break
    wanted = [path for path in found if "mmproj" not in path.name.lower() and not _LATER_PART.search(path.name)]
    return sorted(wanted)[:MAX_FILES]


def _below(folder: Path) -> Iterator[Path]:
    """Whatever has a name below the folder and is none itself, as far as MAX_SEEN goes."""
    seen = 0
    for parent, folders, names in os.walk(folder):
        for name in names:
            yield Path(parent, name)
        seen += len(folders) + len(names)
        if seen > MAX_SEEN:
            return


def _ollama(folder: Path) -> Iterator[tuple[str, Path]]:
    """manifests/REGISTRY/NAMESPACE/NAME/TAG, whose model layer is the blob blobs/sha256-DIGEST."""
    manifests = folder / "manifests"
    for path in sorted(islice(_below(manifests), MAX_FILES)):
        parts = path.relative_to(manifests).parts
        digest = _ollama_digest(path)
        if len(parts) < 3 or digest is None:
            continue
        *where, tag = parts[1:] if parts[0] == "registry.ollama.ai" else parts
        named = "/".join(where).removeprefix("library/")  # as Ollama itself shortens it
        yield f"{named}:{tag}", folder / "blobs" / f"sha256-{digest}"


def _ollama_digest(path: Path) -> str | None:
    try:
        with open_regular(path) as file:
            data = file.read(MAX_OLLAMA_MANIFEST + 1)
        if len(data) > MAX_OLLAMA_MANIFEST:
            return None
        layers = json.loads(data)["layers"]
        digests = [str(layer["digest"]) for layer in layers if layer["mediaType"] == OLLAMA_MODEL]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    match = re.fullmatch(r"sha256[:-]([0-9a-f]{64})", digests[0]) if len(digests) == 1 else None
    return match[1] if match else None


def _described(label: str, program: str, path: Path) -> FoundModel | None:
    """The model with what its header says; None for a file that is none."""
    from edge_ttp.registry.adopt import describe_header

    if not label.isprintable():
        return None
    try:
        header = read_header(path)
    except ModelUnavailable as error:
        if "is not a GGUF file" in error.fact:
            return None
        return FoundModel(label, program, path, path.stat().st_size, "", error.fact)
    return FoundModel(label, program, path, header.file_bytes, describe_header(header), _problem(path, header))


def _problem(path: Path, header: Header) -> str:
    if header.is_embedding:
        return "an embedding model: it cannot write text"
    if header.is_adapter:
        return "an adapter, not a whole model"
    if re.search(r"-00001-of-\d{5}\.gguf$", path.name, re.IGNORECASE) or "split.count" in header.metadata:
        return "the first of several parts, which is not supported"
    return ""
