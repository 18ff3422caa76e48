"""The rehearsal of a reward model scores what the runtime would; a tokenizer's panic is one of our errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hostile.judge import SOUND, exchanged

from edge_ttp.errors import ModelUnavailable
from edge_ttp.reward import encoder
from edge_ttp.reward.encoder import TextEncoder
from edge_ttp.reward.rehearsal import trial
from edge_ttp.system.confined import ProcessLimits, run

LIMITS = ProcessLimits(cpu_s=60, wall_s=120, memory_bytes=512 << 20, file_bytes=50 << 20)


def test_the_default_reward_model_passes() -> None:
    assert run("reward", {"path": str(SOUND)}, LIMITS)["scored"] > 100


def test_an_unknown_word_that_is_unknown_is_an_error_of_ours(tmp_path: Path) -> None:
    text = (SOUND / "tokenizer.json").read_text().replace('"unk_token":"[UNK]"', '"unk_token":"nosuch"')
    folder = exchanged(tmp_path / "judge", "tokenizer.json", text.encode())
    with pytest.raises(ModelUnavailable, match="tokenizer of reward-minilm-1 cannot be used"):
        trial({"path": str(folder)})


class PanicException(BaseException):
    """What pyo3 raises for a panic of Rust."""


def test_a_panic_of_rust_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Panics:
        def __init__(self, panic: type[BaseException]) -> None:
            self._panic = panic

        def from_str(self, _: str) -> Any:
            raise self._panic("index out of bounds")

    def load() -> None:
        TextEncoder(b"", b"{}", name="x", fingerprint="", width=1, max_tokens=8, threads=1)

    monkeypatch.setattr(encoder, "Tokenizer", Panics(PanicException))
    with pytest.raises(ModelUnavailable, match="the tokenizer of x cannot be used: index out of bounds"):
        load()
    monkeypatch.setattr(encoder, "Tokenizer", Panics(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        load()


def test_a_pipe_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    for name in ("reward.json", "tokenizer.json"):
        folder = exchanged(tmp_path / name, "heads.onnx", (SOUND / "heads.onnx").read_bytes())
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(ModelUnavailable):
            trial({"path": str(folder)})
