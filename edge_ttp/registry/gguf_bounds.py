"""What can be seen in a GGUF header that llama.cpp would end the process for: bounds, types, divisibility.

Such a list is never complete, so every file from outside is tried as well (registry/trials.py); but these are refused
without a process, and with the reason in words.
"""

from __future__ import annotations

import math
from pathlib import Path

from edge_ttp.errors import ModelUnavailable
from edge_ttp.registry.gguf import Header

MAX_LAYERS = 512
"""llama.cpp's LLAMA_MAX_LAYERS."""
ALIGNMENT = 32
"""ggml's TENSOR_ALIGNMENT: where the file lays its tensors less far apart, they cannot be used in place."""

DIFFUSION = frozenset({"dream", "llada", "llada-moe", "rnd1"})
"""Architectures that fill in a text and do not continue one: llama.cpp has no cache for them."""

_INTEGERS = {24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64"}
"""Tensor types that no computation of a language model takes."""
_COUNTS = ("block_count", "context_length", "embedding_length")


def refuse_unloadable(path: Path, header: Header) -> None:
    """Raises ModelUnavailable, in one line, for a policy or an adapter that cannot be meant."""
    reason = _common(header) or (_adapter(header) if header.is_adapter else _policy(header))
    if reason:
        raise ModelUnavailable(f"the GGUF file {str(path)!r} cannot be used: {reason}", "convert or fetch it again")


def _common(header: Header) -> str:
    if not header.architecture or not isinstance(header.metadata.get("general.architecture"), str):
        return "it does not say its architecture"
    if not header.tensors:
        return "it has no tensors"
    for tensor in header.tensors:
        if tensor.type in _INTEGERS:
            return f"its tensor {tensor.name[:80]!r} is of type {_INTEGERS[tensor.type]}, which nothing computes with"
        if 0 in tensor.shape:
            return f"its tensor {tensor.name[:80]!r} is empty"
    alignment = header.metadata.get("general.alignment", ALIGNMENT)
    if not _whole(alignment) or int(alignment) % ALIGNMENT:
        return f"its tensors are aligned to {alignment} bytes, not to {ALIGNMENT}"
    return ""


def _adapter(header: Header) -> str:
    kind = header.metadata.get("adapter.type")
    alpha = header.metadata.get("adapter.lora.alpha")
    if kind != "lora":
        return f"it is an adapter of type {kind!r}, not lora"
    if not isinstance(alpha, float) or not math.isfinite(alpha):
        return f"its adapter.lora.alpha is {alpha!r}, not a 32-bit number"
    names = {tensor.name for tensor in header.tensors}
    for tensor in header.tensors:
        stem, dot, part = tensor.name.rpartition(".")
        twin = {"lora_a": "lora_b", "lora_b": "lora_a"}.get(part)
        if twin is None and not tensor.name.endswith("_norm.weight"):  # norms are passed over by llama.cpp
            return f"its tensor {tensor.name[:80]!r} is no part of a LoRA"
        if twin is not None and f"{stem}{dot}{twin}" not in names:
            return f"its tensor {tensor.name[:80]!r} has no {twin}"
        if twin is not None and len(tensor.shape) != 2:
            return f"its tensor {tensor.name[:80]!r} is no matrix"
    ranks = {tensor.name: tensor.shape for tensor in header.tensors}
    for name, shape in ranks.items():
        if name.endswith(".lora_a") and ranks[f"{name.removesuffix('a')}b"][0] != shape[1]:
            return f"the two parts of its tensor {name[:80]!r} do not fit together"
    return ""


def misfit(adapter: Header, policy: Header) -> str:
    """Why llama.cpp would not load this adapter with this policy, in words; empty where their tensors fit.

    A change of a matrix of `columns` x `rows` has a part of `columns` x rank and one of rank x `rows`.
    """
    if adapter.architecture != policy.architecture:
        return f"it is for {adapter.architecture}, not {policy.architecture}"
    whole = {tensor.name: tensor.shape for tensor in policy.tensors}
    for tensor in adapter.tensors:
        stem, _, part = tensor.name.rpartition(".")
        if part not in ("lora_a", "lora_b") or stem == "token_embd.weight":  # llama.cpp turns that one around
            continue
        if stem not in whole:
            return f"the policy has no tensor {stem[:80]!r}"
        side = 0 if part == "lora_a" else 1
        if len(whole[stem]) != 2 or tensor.shape[side] != whole[stem][side]:
            return f"its tensor {tensor.name[:80]!r} is not of the policy's size"
    return ""


def _policy(header: Header) -> str:
    architecture = header.architecture
    if architecture in DIFFUSION:
        return f"{architecture} is a diffusion architecture: it does not continue a text"
    for name in _COUNTS:
        value = header.metadata.get(f"{architecture}.{name}")
        most = MAX_LAYERS if name == "block_count" else 1 << 24
        if value is not None and not (_whole(value) and 1 <= int(value) <= most):
            return f"its {name} is {value}, not 1 to {most}"
    for key, value in header.metadata.items():
        if isinstance(value, float) and not math.isfinite(value) and key.startswith(f"{architecture}."):
            return f"its {key} is {value}"
        if key.endswith("_epsilon") and not (isinstance(value, float) and 0 <= value <= 1):
            return f"its {key} is {value}, not 0 to 1"
    return _heads(header) or _experts(header) or _vocabulary(header)


def _heads(header: Header) -> str:
    heads, kv_heads = (
        header.integers(f"{header.architecture}.attention.{name}") for name in ("head_count", "head_count_kv")
    )
    if any(count < 0 for count in (*heads, *kv_heads)):
        return "it has less than no attention heads"
    layers = max(len(heads), len(kv_heads))
    for layer in range(layers if heads and kv_heads else 0):
        count, kv_count = heads[min(layer, len(heads) - 1)], kv_heads[min(layer, len(kv_heads) - 1)]
        if kv_count and count % kv_count:
            return f"its {count} attention heads cannot share {kv_count} keys and values"
    width = header.metadata.get(f"{header.architecture}.embedding_length")
    own_width = f"{header.architecture}.attention.key_length" in header.metadata
    if not own_width and isinstance(width, int) and any(count and width % count for count in heads):
        return f"its width of {width} cannot be divided among {max(heads)} attention heads"
    return ""


def _experts(header: Header) -> str:
    count = header.metadata.get(f"{header.architecture}.expert_count", 0)
    used = header.metadata.get(f"{header.architecture}.expert_used_count", 0)
    if not _whole(count) or not _whole(used) or int(used) > int(count):
        return f"it uses {used} of {count} experts"
    if int(count) and not any("_exp" in tensor.name for tensor in header.tensors):
        return f"it announces {count} experts and has none"
    return ""


def _vocabulary(header: Header) -> str:
    model = header.metadata.get("tokenizer.ggml.model")
    tokens = header.array_lengths.get("tokenizer.ggml.tokens", 0)
    if not isinstance(model, str) or model in ("", "none", "no_vocab") or not tokens:
        return "it has no vocabulary"
    scores = header.array_lengths.get("tokenizer.ggml.scores")
    types = header.array_lengths.get("tokenizer.ggml.token_type")
    if model in ("llama", "t5", "gemma4") and scores is None:
        return f"its vocabulary of kind {model} has no scores"
    for name, length in (("scores", scores), ("token types", types)):
        if length is not None and length != tokens:
            return f"its vocabulary has {tokens} tokens and {length} {name}"
    return ""


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
