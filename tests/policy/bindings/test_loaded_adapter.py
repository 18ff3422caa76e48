"""LoRA adapters in memory: those that fit the model, and what is refused in one line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edge_ttp.errors import ModelUnavailable
from edge_ttp.policy.bindings import LoadedAdapter, Model
from policy import tiny


def test_an_adapter_is_known_by_its_bytes(loaded: Model, tmp_path: Path) -> None:
    path = tmp_path / "lora.gguf"
    tiny.adapter(path, seed=1)
    adapter = LoadedAdapter(loaded, path)
    assert adapter.size_bytes == path.stat().st_size
    assert adapter.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert adapter.handle
    adapter.close()
    adapter.close()
    assert not adapter.handle


def test_what_is_no_adapter_for_this_model_is_refused(loaded: Model, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.gguf"
    garbage.write_bytes(b"GGUF" + bytes(100))
    foreign, large = tmp_path / "foreign.gguf", tmp_path / "large.gguf"
    tiny.adapter(foreign, seed=1, architecture="gemma3")
    tiny.adapter(large, seed=1, adapted=[("blk.0.attn_q.weight", 2 * tiny.WIDTH, tiny.WIDTH)])
    for path, said in (
        (tmp_path / "missing.gguf", "there is no adapter file"),
        (tmp_path, "there is no adapter file"),
        (garbage, "cannot load the adapter"),
        (foreign, "cannot load the adapter"),
        (large, "cannot load the adapter"),
        (tiny.language_model(tmp_path / "model.gguf"), "cannot load the adapter"),
    ):
        with pytest.raises(ModelUnavailable, match=said) as raised:
            LoadedAdapter(loaded, path)
        assert "\n" not in str(raised.value)
