"""Headers that llama.cpp would end the process for, refused by what they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge_ttp.errors import ModelUnavailable
from edge_ttp.registry import Registry, read_header
from edge_ttp.registry.gguf import Header, ListedTensor
from edge_ttp.registry.gguf_bounds import refuse_unloadable

from .makers import ADAPTER, POLICY, gguf

WHOLE = {
    **POLICY,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 2,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
}
EPSILON = "llama.attention.layer_norm_rms_epsilon"


def refuse(
    metadata: Mapping[str, Any] = WHOLE,
    tensors: tuple[ListedTensor, ...] = (ListedTensor("w", (32, 2), 0),),
    *,
    short: Mapping[str, tuple[int, ...]] | None = None,
    lengths: Mapping[str, int] | None = None,
) -> None:
    scalars = {key: value for key, value in metadata.items() if not isinstance(value, list)}
    arrays = {key: len(value) for key, value in metadata.items() if isinstance(value, list)} | dict(lengths or {})
    refuse_unloadable(Path("x.gguf"), Header(3, scalars, arrays, tensors, 1000, dict(short or {})))


def test_a_sound_header_passes() -> None:
    refuse()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"general.architecture": ""}, "does not say its architecture"),
        ({"general.architecture": 7}, "does not say its architecture"),
        ({"general.alignment": 1}, "aligned to 1 bytes, not to 32"),
        ({"general.alignment": 8}, "aligned to 8 bytes, not to 32"),
        ({"general.alignment": "32"}, "aligned to 32 bytes"),
        ({"llama.block_count": 0}, "block_count is 0, not 1 to 512"),
        ({"llama.block_count": 513}, "block_count is 513, not 1 to 512"),
        ({"llama.block_count": 2**31}, "block_count is 2147483648"),
        ({"llama.block_count": "2"}, "block_count is 2, not"),
        ({"llama.context_length": 0}, "context_length is 0"),
        ({"llama.embedding_length": -1}, "embedding_length is -1"),
        ({EPSILON: float("nan")}, "epsilon is nan"),
        ({EPSILON: float("inf")}, "epsilon is inf"),
        ({EPSILON: -1e-5}, "epsilon is -1e-05, not 0 to 1"),
        ({"llama.rope.freq_base": float("nan")}, "freq_base is nan"),
        ({"llama.attention.head_count_kv": 3}, "8 attention heads cannot share 3 keys"),
        (
            {"llama.attention.head_count": 7, "llama.attention.head_count_kv": 7},
            "width of 64 cannot be divided among 7",
        ),
        ({"llama.expert_count": 4, "llama.expert_used_count": 8}, "uses 8 of 4 experts"),
        ({"llama.expert_count": 4, "llama.expert_used_count": 2}, "announces 4 experts and has none"),
        ({"tokenizer.ggml.model": "none"}, "no vocabulary"),
        ({"tokenizer.ggml.model": "no_vocab"}, "no vocabulary"),
        ({"tokenizer.ggml.model": 3}, "no vocabulary"),
        ({"tokenizer.ggml.token_type": [1]}, "3 tokens and 1 token types"),
        ({"tokenizer.ggml.scores": [1.0]}, "3 tokens and 1 scores"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelUnavailable, match=words):
        refuse({**WHOLE, **change})


@pytest.mark.parametrize("architecture", ["dream", "llada", "llada-moe"])
def test_a_diffusion_model_is_refused(architecture: str) -> None:
    with pytest.raises(ModelUnavailable, match="diffusion architecture"):
        refuse({**WHOLE, "general.architecture": architecture})


def test_a_vocabulary_of_pieces_needs_scores() -> None:
    changed = {key: value for key, value in WHOLE.items() if key != "tokenizer.ggml.scores"}
    with pytest.raises(ModelUnavailable, match="has no scores"):
        refuse({**changed, "tokenizer.ggml.model": "llama"})


def test_heads_of_every_layer_are_looked_at() -> None:
    kv = "llama.attention.head_count_kv"
    metadata = {key: value for key, value in WHOLE.items() if key != kv}
    refuse(metadata, short={kv: (4, 2)})
    refuse(metadata, short={kv: (0, 2)})  # a layer without attention
    with pytest.raises(ModelUnavailable, match="cannot share 3"):
        refuse(metadata, short={kv: (4, 3)})
    with pytest.raises(ModelUnavailable, match="less than no"):
        refuse(metadata, short={kv: (4, -2)})


@pytest.mark.parametrize("type", [24, 25, 26, 27, 28])
@pytest.mark.parametrize("metadata", [WHOLE, ADAPTER])
def test_tensors_that_nothing_computes_with_are_refused(metadata: dict[str, Any], type: int) -> None:
    with pytest.raises(ModelUnavailable, match="which nothing computes with"):
        refuse(metadata, (ListedTensor("w.lora_a", (4, 4), type),))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"adapter.lora.alpha": "8.0"}, r"alpha is '8.0', not a 32-bit number"),
        ({"adapter.lora.alpha": 8}, "alpha is 8, not"),
        ({"adapter.lora.alpha": float("nan")}, "alpha is nan"),
        ({"adapter.type": "control_vector"}, "of type 'control_vector', not lora"),
    ],
)
def test_an_adapter_that_cannot_be_meant_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelUnavailable, match=words):
        refuse({**ADAPTER, **change})


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ((("w.lora_a", (8, 4)),), "has no lora_b"),
        ((("w.lora_a", (8, 4)), ("w.lora_b", (2, 8))), "do not fit together"),
        ((("w.lora_a", (8, 4)), ("w.lora_b", (4, 8)), ("w.weight", (4, 8))), "no part of a LoRA"),
        ((("w.lora_a", (8,)), ("w.lora_b", (4, 8))), "is no matrix"),
        ((("w.lora_a", (8, 0)), ("w.lora_b", (0, 8))), "is empty"),
    ],
)
def test_an_adapters_parts_have_to_fit(tensors: tuple[tuple[str, tuple[int, ...]], ...], words: str) -> None:
    refuse(ADAPTER, (ListedTensor("w.lora_a", (8, 4), 0), ListedTensor("w.lora_b", (4, 8), 0)))
    with pytest.raises(ModelUnavailable, match=words):
        refuse(ADAPTER, tuple(ListedTensor(name, shape, 0) for name, shape in tensors))


def test_what_cannot_be_meant_is_not_added(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf({**WHOLE, "llama.block_count": 513}))
    with pytest.raises(ModelUnavailable, match="block_count is 513"):
        registry.add(path)
    with pytest.raises(ModelUnavailable, match="block_count is 513"):
        registry.locate(path)


def test_the_default_policy_passes(policy_path: Path) -> None:
    refuse_unloadable(policy_path, read_header(policy_path))
