"""Makers of tiny Hugging Face checkpoints with random weights: Llama, Gemma 3, Qwen 2.5 and Qwen 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from edge_ttp_export.policy.gguf_tokenizer import Vocabulary, write_tokenizer

WIDTH = 256  # one block of the K-quants
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_WORDS = ("▁the", "▁printer", "▁works", "ing", "▁again", "er", "in", "on", "▁a", "th", "he", "▁p", "pr", "▁w", "wo")


def vocabulary(*, adds_space: bool = False) -> Vocabulary:
    """A SentencePiece vocabulary of bytes, letters and a few longer pieces."""
    letters = sorted(set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'▁"))
    pieces = set(letters)
    for word in _WORDS:  # everything that leads to a piece is one
        pieces |= {word[:end] for end in range(1, len(word) + 1)}
    normal = letters + sorted(pieces - set(letters), key=lambda piece: (len(piece), piece))
    control = ["<pad>", "</s>", "<s>", "<unk>"]
    tail = ["<|im_start|>", "<|im_end|>", "  "]
    tokens = [*control, *(f"<0x{byte:02X}>" for byte in range(256)), *normal, *tail]
    types = [3, 3, 3, 2] + [6] * 256 + [1] * len(normal) + [3, 3, 4]
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=tokens,
        types=types,
        scores=[0.0] * 260 + [-float(index) for index in range(len(normal))] + [0.0] * len(tail),
        merges=[],
        special={"bos": 2, "eos": 1, "unknown": 3, "padding": 0},
        adds_bos=True,
        adds_space=adds_space,
        chat_template=TEMPLATE,
    )


def _sizes(count: int) -> dict[str, Any]:
    return {
        "vocab_size": count,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.08,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
    }


def write_checkpoint(
    folder: Path, family: str = "llama", *, seed: int = 0, dtype: torch.dtype = torch.float16, shard: str = "5GB"
) -> Path:
    """A checkpoint of two layers; `shard` is the largest size of one file."""
    torch.manual_seed(seed)
    known = vocabulary(adds_space=family.startswith("qwen"))  # the converter assumes it there
    sizes = _sizes(len(known.tokens))
    network: Any
    match family:
        case "llama":
            network = LlamaForCausalLM(LlamaConfig(**sizes, tie_word_embeddings=True))
        case "llama-untied":
            network = LlamaForCausalLM(LlamaConfig(**sizes, tie_word_embeddings=False))
        case "gemma3":
            network = Gemma3ForCausalLM(Gemma3TextConfig(**sizes, head_dim=64, query_pre_attn_scalar=64))
        case "qwen2":
            network = Qwen2ForCausalLM(Qwen2Config(**sizes))
        case "qwen3":
            network = Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=64))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "norm" in name:  # otherwise all of them are 1 (0 in Gemma), and mistakes with them would not show
                weight.add_(0.1 * torch.randn_like(weight))
    network.to(dtype).save_pretrained(folder, max_shard_size=shard)
    write_tokenizer(known, "gemma3" if family == "gemma3" else family, folder)
    return folder
