"""A GGUF file read back as a Hugging Face checkpoint: for machines without a hub, and to train an adapter on.

The weights become what the file's quantization made of them; nothing that it lost comes back. The folder notes that.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from edge_ttp.errors import ExtraMissing, ModelUnavailable, OutOfCapacity
from edge_ttp.registry.gguf import read_header
from edge_ttp.system.output_folder import output_folder
from edge_ttp_export.policy.gguf_tokenizer import read_vocabulary, write_tokenizer

NOTE_NAME = "edge_ttp_source.json"
"""File in a checkpoint that was read back: which GGUF it came from, and its format."""


def former_format(folder: Path) -> str:
    """The format that the weights in the checkpoint `folder` had before they were read back; empty for none known."""
    try:
        note = json.loads((folder / NOTE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    value = note.get("format") if isinstance(note, dict) else None
    return value if isinstance(value, str) else ""


def read_back(path: Path, out: Path, *, name: str, licence: str, licence_url: str) -> dict[str, str | int]:
    """Writes the GGUF file at `path` to the new folder `out` as safetensors with tokenizer; what it is, for the note.

    Raises InvalidInput for an existing folder or an architecture that transformers cannot read, ModelUnavailable,
    OutOfCapacity, ExtraMissing.
    """
    for package in ("gguf", "accelerate", "sentencepiece"):
        if find_spec(package) is None:
            raise ExtraMissing(
                f"reading a GGUF back needs {package}", "install the extra: pip install 'edge-ttp[export]'"
            )
    header = read_header(path)
    note: dict[str, str | int] = {
        "file": path.name,
        "format": header.file_type,
        "architecture": header.architecture,
        "name": name,
        "licence": licence,
        "licence_url": licence_url,
    }
    with output_folder(out) as folder:
        try:
            write_tokenizer(read_vocabulary(path), header.architecture, folder)
            _write_weights(path, folder)
            (folder / NOTE_NAME).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutOfCapacity(f"{str(out)!r} cannot be written: {error.strerror or error}", "make room") from error
    return note


def _write_weights(path: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    try:
        model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float16)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise ModelUnavailable(
            f"transformers cannot read {path.name!r} back ({str(error)[:200]})", "use the model's original checkpoint"
        ) from error
    model.save_pretrained(folder)
