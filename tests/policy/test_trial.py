"""A policy file tried as the runtime uses it: what passes draws tokens, what does not is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_ttp.errors import ModelUnavailable, OutOfCapacity
from edge_ttp.policy.trial import TEXTS, trial

from . import tiny


def test_a_sound_file_draws_for_every_text_and_for_a_grammar(tmp_path: Path) -> None:
    path = tiny.language_model(tmp_path / "tiny.gguf")
    drawn = trial({"path": str(path)})["tokens"]
    calls = len(TEXTS) + 1  # the grammar; this model has no chat template
    assert 3 * calls <= drawn <= 6 * calls
    tiny.adapter(tmp_path / "lora.gguf", seed=1)
    assert trial({"path": str(path), "adapter": str(tmp_path / "lora.gguf")})["tokens"] > 0
    assert trial({"path": str(path), "adapter": None})["tokens"] == drawn  # the same seed


def test_weights_that_compute_no_numbers_are_refused(tmp_path: Path) -> None:
    broken = {"output_norm.weight": np.full(tiny.WIDTH, np.nan, dtype=np.float32)}
    with pytest.raises(ModelUnavailable):
        trial({"path": str(tiny.language_model(tmp_path / "nan.gguf", changes=broken))})


def test_a_context_that_holds_no_prompt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutOfCapacity, match="holds no prompt"):
        trial({"path": str(tiny.language_model(tmp_path / "short.gguf", context=1))})


def test_another_models_adapter_and_what_is_no_model_are_refused(tmp_path: Path) -> None:
    path = tiny.language_model(tmp_path / "tiny.gguf")
    tiny.adapter(tmp_path / "lora.gguf", seed=1, architecture="gemma3")
    with pytest.raises(ModelUnavailable, match="adapter"):
        trial({"path": str(path), "adapter": str(tmp_path / "lora.gguf")})
    with pytest.raises(ModelUnavailable, match="embedding model"):
        trial({"path": str(tiny.embedding_model(tmp_path / "bert.gguf"))})
