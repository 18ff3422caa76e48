"""Every family that is promised: the converted file predicts, tokenizes and speaks as the checkpoint does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from edge_ttp.policy.formats.fidelity import Passage
from edge_ttp_export.policy import converter
from edge_ttp_export.policy.agreement import HARD_TEXTS, compare_logits, compare_tokenizers, template_kept
from edge_ttp_export.policy.gguf_tokenizer import read_vocabulary, write_tokenizer
from edge_ttp_export.policy.imatrix import load_network

from . import checkpoints

pytestmark = pytest.mark.export


def passages() -> list[Passage]:
    source = np.random.default_rng(0)
    most = len(checkpoints.vocabulary().tokens)
    return [Passage(tuple(source.integers(4, most, 40).tolist()), tuple(range(1, 40))) for _ in range(3)]


@pytest.mark.parametrize(
    ("family", "dtype"),
    [("llama-untied", torch.bfloat16), ("gemma3", torch.float16), ("qwen2", torch.float16), ("qwen3", torch.float16)],
)
def test_the_converted_file_is_the_checkpoint(family: str, dtype: torch.dtype, script: Path, tmp_path: Path) -> None:
    folder, path = checkpoints.write_checkpoint(tmp_path / family, family, dtype=dtype), tmp_path / "full.gguf"
    kind = "bf16" if dtype is torch.bfloat16 else "f16"
    converter.run(script, [str(folder), "--outtype", kind], target=path, what="", report=lambda *_: None)
    found = compare_logits(load_network(folder), path, passages(), threads=1)
    assert found.mean_kl < 1e-4
    assert found.top1_agreement > 0.95
    assert found.mean_difference < 0.02 * found.spread
    assert template_kept(checkpoints.TEMPLATE, path)
    assert not template_kept("another", path)
    if family.startswith("qwen"):
        return  # Qwen's tokenizers are byte-level, and the converter takes only those that it knows by their tokens
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = compare_tokenizers(tokenizer, path)
    assert tokens.first_difference == ""
    assert tokens.as_text == tokens.as_control == tokens.round_trip == len(HARD_TEXTS)


def test_another_model_is_told_apart(converted: Path, tmp_path: Path) -> None:
    other = load_network(checkpoints.write_checkpoint(tmp_path / "other", seed=1))
    assert compare_logits(other, converted, passages(), threads=1).mean_kl > 0.1


@pytest.mark.real
def test_the_tokenizer_of_a_real_gguf_is_written_as_it_is(policy_path: Path, tmp_path: Path) -> None:
    write_tokenizer(read_vocabulary(policy_path), "llama", tmp_path)
    found = compare_tokenizers(AutoTokenizer.from_pretrained(tmp_path), policy_path)
    assert found.first_difference == ""
    assert found.as_text == found.as_control == found.round_trip == len(HARD_TEXTS)
