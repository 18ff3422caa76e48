"""A policy of random weights that is loaded and drawn from in milliseconds, with the default policy's tokenizer."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

WIDTH, HEADS, INNER = 64, 2, 64


def write_small_policy(path: Path, like: Path) -> Path:
    """Writes a llama of one layer to `path`, with the vocabulary and the chat template of `like`."""
    source = gguf.GGUFReader(like)
    writer = gguf.GGUFWriter(path, "llama")
    for name, one in source.fields.items():
        if name.startswith("tokenizer."):
            kind, *inner = one.types
            writer.add_key_value(name, one.contents(), kind, sub_type=inner[0] if inner else None)
    words = len(source.fields["tokenizer.ggml.tokens"].data)
    writer.add_context_length(1024)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(words)
    chance = np.random.default_rng(1)
    shapes = {
        "token_embd": (words, WIDTH),
        "blk.0.attn_q": (WIDTH, WIDTH),
        "blk.0.attn_k": (WIDTH, WIDTH),
        "blk.0.attn_v": (WIDTH, WIDTH),
        "blk.0.attn_output": (WIDTH, WIDTH),
        "blk.0.ffn_gate": (INNER, WIDTH),
        "blk.0.ffn_up": (INNER, WIDTH),
        "blk.0.ffn_down": (WIDTH, INNER),
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", (chance.standard_normal(shape) * 0.3).astype(np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
