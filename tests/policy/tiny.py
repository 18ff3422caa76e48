"""Makers of GGUF files for tests: a language model of a few kilobytes, an embedding model, a LoRA adapter."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Tensors = Mapping[str, npt.NDArray[np.float32]]

WIDTH, HEADS, LAYERS, INNER = 64, 2, 2, 96
WORDS = [
    "<unk>",
    "<s>",
    "</s>",
    *(f"<0x{byte:02X}>" for byte in range(256)),
    "▁",
    "a",
    "b",
    "c",
    "▁a",
    "ab",
    "<|im_end|>",
]
_UNKNOWN, _CONTROL, _BYTE, _NORMAL = 2, 3, 6, 1


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _entry(value: Any) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _text(value)
        case list() if isinstance(value[0], str):
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
        case list() if isinstance(value[0], float):
            return struct.pack("<IIQ", 9, 6, len(value)) + struct.pack(f"<{len(value)}f", *value)
        case list():
            return struct.pack("<IIQ", 9, 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
    raise TypeError(value)


def write_gguf(path: Path, metadata: Mapping[str, Any], tensors: Tensors) -> Path:
    """A GGUF file of version 3 with 32-bit tensors."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        head += _text(key) + _entry(value)
    offset, data = 0, b""
    for name, tensor in tensors.items():
        shape = tensor.shape[::-1]  # fastest dimension first
        head += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
        raw = tensor.astype("<f4").tobytes()
        raw += bytes(-len(raw) % 32)
        offset += len(raw)
        data += raw
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path


def _vocabulary(kind: str) -> dict[str, Any]:
    types = [_UNKNOWN, _CONTROL, _CONTROL] + [_BYTE] * 256 + [_NORMAL] * 6 + [_CONTROL]
    return {
        "tokenizer.ggml.model": kind,
        "tokenizer.ggml.tokens": WORDS,
        "tokenizer.ggml.scores": [-float(index) for index in range(len(WORDS))],
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }


def language_model(path: Path, *, seed: int = 0, context: int = 4096, changes: Tensors | None = None) -> Path:
    """A llama of two layers with random weights and byte tokens: it writes noise, within milliseconds.

    `changes` are added to the tensors they name.
    """
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> npt.NDArray[np.float32]:
        return rng.normal(0, 1.5 / np.sqrt(shape[-1]), shape).astype(np.float32)

    ones = np.ones(WIDTH, dtype=np.float32)
    tensors = {"token_embd.weight": weights(len(WORDS), WIDTH) * 8, "output_norm.weight": ones}
    tensors["output.weight"] = weights(len(WORDS), WIDTH)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        tensors |= {
            block + "attn_norm.weight": ones,
            block + "attn_q.weight": weights(WIDTH, WIDTH),
            block + "attn_k.weight": weights(WIDTH, WIDTH),
            block + "attn_v.weight": weights(WIDTH, WIDTH),
            block + "attn_output.weight": weights(WIDTH, WIDTH),
            block + "ffn_norm.weight": ones,
            block + "ffn_gate.weight": weights(INNER, WIDTH),
            block + "ffn_up.weight": weights(INNER, WIDTH),
            block + "ffn_down.weight": weights(WIDTH, INNER),
        }
    metadata = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "llama.context_length": context,
        "llama.embedding_length": WIDTH,
        "llama.block_count": LAYERS,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": WIDTH // HEADS,
        **_vocabulary("llama"),
    }
    for name, change in (changes or {}).items():
        tensors[name] = tensors[name] + change
    return write_gguf(path, metadata, tensors)


def sliding_model(path: Path, *, window: int, seed: int = 0) -> Path:
    """A Gemma 3 of six layers with random weights, five of which see `window` tokens."""
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> npt.NDArray[np.float32]:
        return rng.normal(0, 1.5 / np.sqrt(shape[-1]), shape).astype(np.float32)

    width, head = np.ones(WIDTH, dtype=np.float32), np.ones(WIDTH // HEADS, dtype=np.float32)
    tensors = {"token_embd.weight": weights(len(WORDS), WIDTH), "output_norm.weight": width}
    for layer in range(6):
        block = f"blk.{layer}."
        for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            tensors[f"{block}{name}.weight"] = width
        for name in ("attn_q_norm", "attn_k_norm"):
            tensors[f"{block}{name}.weight"] = head
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensors[f"{block}{name}.weight"] = weights(WIDTH, WIDTH)
        tensors[block + "ffn_gate.weight"] = weights(INNER, WIDTH)
        tensors[block + "ffn_up.weight"] = weights(INNER, WIDTH)
        tensors[block + "ffn_down.weight"] = weights(WIDTH, INNER)
    metadata = {
        "general.architecture": "gemma3",
        "gemma3.context_length": 4096,
        "gemma3.embedding_length": WIDTH,
        "gemma3.block_count": 6,
        "gemma3.feed_forward_length": INNER,
        "gemma3.attention.head_count": HEADS,
        "gemma3.attention.head_count_kv": HEADS,
        "gemma3.attention.key_length": WIDTH // HEADS,
        "gemma3.attention.value_length": WIDTH // HEADS,
        "gemma3.attention.layer_norm_rms_epsilon": 1e-5,
        "gemma3.attention.sliding_window": window,
        **_vocabulary("llama"),
    }
    return write_gguf(path, metadata, tensors)


_ADAPTED = (("blk.0.attn_q.weight", WIDTH, WIDTH), ("blk.1.ffn_down.weight", WIDTH, INNER))


def adapter(
    path: Path,
    *,
    seed: int,
    rank: int = 4,
    alpha: float = 8.0,
    architecture: str = "llama",
    adapted: Sequence[tuple[str, int, int]] = _ADAPTED,
) -> Tensors:
    """Writes a random LoRA adapter for `language_model`; what it adds to which weights at scale 1.

    `adapted` names tensors of another model, with their rows and columns.
    """
    rng = np.random.default_rng(seed)
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    changes: dict[str, npt.NDArray[np.float32]] = {}
    for name, rows, columns in adapted:
        a = rng.normal(0, 0.3, (rank, columns)).astype(np.float32)
        b = rng.normal(0, 0.3, (rows, rank)).astype(np.float32)
        tensors |= {f"{name}.lora_a": a, f"{name}.lora_b": b}
        changes[name] = (alpha / rank * b @ a).astype(np.float32)
    metadata = {
        "general.architecture": architecture,
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": alpha,
    }
    write_gguf(path, metadata, tensors)
    return changes


def embedding_model(path: Path) -> Path:
    """A BERT of one layer: llama.cpp loads it, but it cannot write text."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> npt.NDArray[np.float32]:
        return rng.normal(0, 0.1, shape).astype(np.float32)

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "▁a", "▁b"]
    tensors = {
        "token_embd.weight": weights(len(words), WIDTH),
        "token_types.weight": weights(2, WIDTH),
        "position_embd.weight": weights(64, WIDTH),
        "token_embd_norm.weight": weights(WIDTH),
        "token_embd_norm.bias": weights(WIDTH),
    }
    for name, shape in (
        ("attn_q", (WIDTH, WIDTH)),
        ("attn_k", (WIDTH, WIDTH)),
        ("attn_v", (WIDTH, WIDTH)),
        ("attn_output", (WIDTH, WIDTH)),
        ("ffn_up", (INNER, WIDTH)),
        ("ffn_down", (WIDTH, INNER)),
    ):
        tensors[f"blk.0.{name}.weight"] = weights(*shape)
        tensors[f"blk.0.{name}.bias"] = weights(shape[0])
    for name in ("attn_output_norm", "layer_output_norm"):
        tensors[f"blk.0.{name}.weight"] = weights(WIDTH)
        tensors[f"blk.0.{name}.bias"] = weights(WIDTH)
    metadata = {
        "general.architecture": "bert",
        "bert.context_length": 64,
        "bert.embedding_length": WIDTH,
        "bert.block_count": 1,
        "bert.feed_forward_length": INNER,
        "bert.attention.head_count": HEADS,
        "bert.attention.layer_norm_epsilon": 1e-5,
        "bert.attention.causal": False,
        "bert.pooling_type": 1,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.scores": [0.0] * len(words),
        "tokenizer.ggml.token_type": [3, 2, 3, 3, 3, 1, 1],
        "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.seperator_token_id": 3,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.token_type_count": 2,
    }
    return write_gguf(path, metadata, tensors)
