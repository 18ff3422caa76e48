"""What is to be exported: a Hugging Face checkpoint or a GGUF file, looked over before any work is done. Untrusted."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.registry.adopt import refuse_unsuitable
from edge_ttp.registry.gguf import read_header
from edge_ttp.registry.manifest import file_sha256
from edge_ttp_export.policy.readback import NOTE_NAME, former_format
from edge_ttp_export.policy.safetensors_file import Tensor, read_tensors

INDEX_NAME = "model.safetensors.index.json"
UNQUANTIZED = ("F32", "F16", "BF16")
_MAX_JSON = 64 << 20
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
_BESIDE = (
    "config.json", "generation_config.json", "tokenizer_config.json", "chat_template.jinja", *_TOKENIZERS,
    "special_tokens_map.json", "added_tokens.json", "merges.txt", NOTE_NAME,
)  # fmt: skip
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
_PICKLE_START = (b"PK\x03\x04", b"\x80")


@dataclass(frozen=True)
class PolicySource:
    """A policy to export, found sound as far as its headers tell."""

    path: Path
    is_gguf: bool
    architecture: str
    """As the source calls it: LlamaForCausalLM, or llama in a GGUF file."""
    format: str
    """F16, BF16, F32; of a quantized GGUF file its format."""
    quantized: str
    """The format in which the weights have lost something already; empty where they have not."""
    weights: int
    """Number of weights; 0 for a GGUF file."""
    files: tuple[Path, ...]
    """What the result depends on."""
    size: int
    """Bytes of those files."""
    name: str
    licence: str
    licence_url: str
    vocabulary: int
    """Tokens that the embedding has; 0 for a GGUF file."""

    @property
    def full_bytes(self) -> int:
        """Bytes of the unquantized GGUF file that is made of a checkpoint, roughly."""
        return self.weights * (4 if self.format == "F32" else 2) + (32 << 20)


def inspect(path: Path) -> PolicySource:
    """The source at `path`. Raises InvalidInput or ModelUnavailable with the first thing that is wrong."""
    path = path.expanduser().absolute()
    if path.is_dir():
        return _checkpoint(path)
    if not path.exists():
        raise ModelUnavailable(f"there is no source {str(path)!r}", "give a Hugging Face folder or a .gguf file")
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(_PICKLE_START) or path.match("*.bin") or path.suffix in (".pt", ".pth", ".ckpt", ".pkl"):
        raise _pickle(path.name)
    if path.suffix == ".safetensors":
        raise InvalidInput(f"{path.name!r} is a file of weights alone", "give its folder, with config and tokenizer")
    header = read_header(path)
    refuse_unsuitable(path, header, "policy")
    return PolicySource(
        path=path,
        is_gguf=True,
        architecture=header.architecture,
        format=header.file_type,
        quantized="" if header.file_type in UNQUANTIZED else header.file_type,
        weights=0,
        files=(path,),
        size=header.file_bytes,
        name=str(header.metadata.get("general.name", "")) or path.stem,
        licence=str(header.metadata.get("general.license", "")),
        licence_url="",
        vocabulary=0,
    )


def tensors_of(folder: Path) -> dict[str, Tensor]:
    """The tensors of all safetensors files of a checkpoint. Raises ModelUnavailable for a missing or damaged one."""
    found: dict[str, Tensor] = {}
    for file in weight_files(folder):
        found |= read_tensors(file)
    return found


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the checkpoint `folder`, all there. Raises ModelUnavailable or InvalidInput."""
    index = folder / INDEX_NAME
    if index.is_file():
        shards = read_json(index).get("weight_map")
        names = sorted({name for name in shards.values() if isinstance(name, str)}) if isinstance(shards, dict) else []
        if not names or any("/" in name or "\\" in name or not name.endswith(".safetensors") for name in names):
            raise ModelUnavailable(f"{INDEX_NAME} names no weights", "fetch the checkpoint again")
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise ModelUnavailable(
                f"the checkpoint lacks {len(missing)} of {len(names)} files of weights, {missing[0]!r} first",
                "fetch the missing files",
            )
        return [folder / name for name in names]
    whole = folder / "model.safetensors"
    if whole.is_file():
        return [whole]
    shards_here = sorted(folder.glob("model-*.safetensors"))
    if shards_here:
        raise ModelUnavailable(f"the checkpoint lacks {INDEX_NAME}, which names its files", "fetch the missing file")
    pickles = sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern))
    if pickles:
        raise _pickle(pickles[0])
    raise ModelUnavailable(f"{str(folder)!r} has no safetensors files", "give a Hugging Face checkpoint folder")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in the file at `path`. Raises ModelUnavailable."""
    try:
        if path.stat().st_size > _MAX_JSON:
            raise ModelUnavailable(f"{path.name!r} is larger than {_MAX_JSON >> 20} MiB", "fetch the checkpoint again")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelUnavailable(f"cannot read {path.name!r}: {error.strerror or error}", "fetch the file") from error
    except (ValueError, RecursionError) as error:
        raise ModelUnavailable(f"{path.name!r} is not JSON", "fetch the file again") from error
    if not isinstance(value, dict):
        raise ModelUnavailable(f"{path.name!r} is not a JSON object", "fetch the file again")
    return value


def fingerprint(source: PolicySource, cancel: Event | None = None) -> str:
    """SHA-256 over the names and contents of the source's files: what the result is made of."""
    digest = hashlib.sha256()
    for file in source.files:
        digest.update(f"{file.name} {file_sha256(file, cancel=cancel)}\n".encode())
    return digest.hexdigest()


def _checkpoint(folder: Path) -> PolicySource:
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise InvalidInput(f"{folder.name!r} is a LoRA adapter", "give its base model, and the adapter with --lora")
        raise ModelUnavailable(f"{str(folder)!r} has no config.json", "give a Hugging Face checkpoint folder")
    config = read_json(folder / "config.json")
    architectures = config.get("architectures")
    architecture = architectures[0] if isinstance(architectures, list) and architectures else ""
    if not isinstance(architecture, str) or not architecture:
        raise ModelUnavailable("config.json names no architecture", "fetch the checkpoint again")
    if not architecture.endswith(("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")):
        raise InvalidInput(
            f"the architecture {architecture} cannot write text", "give a causal language model (...ForCausalLM)"
        )
    if config.get("quantization_config"):
        raise InvalidInput("the checkpoint's weights are quantized already", "give the original checkpoint")
    tensors = tensors_of(folder)
    tokenizers = [folder / name for name in _TOKENIZERS if (folder / name).is_file()]
    if not tokenizers:
        raise ModelUnavailable(f"the checkpoint has no tokenizer ({' or '.join(_TOKENIZERS)})", "fetch those files too")
    kinds = {tensor.dtype for tensor in tensors.values()}
    if not kinds <= {"F32", "F16", "BF16"}:
        raise InvalidInput(f"weights of type {sorted(kinds)[0]} cannot be exported", "give a checkpoint of floats")
    embedding = next((one for name, one in tensors.items() if name.endswith("embed_tokens.weight")), None)
    note = read_json(folder / NOTE_NAME) if (folder / NOTE_NAME).is_file() else {}
    former = former_format(folder)
    files = [*weight_files(folder), *(folder / name for name in _BESIDE if (folder / name).is_file())]
    return PolicySource(
        path=folder,
        is_gguf=False,
        architecture=architecture,
        format="BF16" if "BF16" in kinds else "F16",
        quantized=former if former not in UNQUANTIZED else "",
        weights=sum(tensor.weights for tensor in tensors.values()),
        files=tuple(files),
        size=sum(file.stat().st_size for file in files),
        name=str(note.get("name") or folder.name),
        licence=str(note.get("licence") or ""),
        licence_url=str(note.get("licence_url") or ""),
        vocabulary=embedding.shape[0] if embedding is not None and embedding.shape else 0,
    )


def _pickle(name: str) -> InvalidInput:
    return InvalidInput(
        f"{name!r} is a pickle, which can run any program when it is read: refused",
        "convert the weights to safetensors where they come from",
    )
