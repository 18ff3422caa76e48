"""A GGUF read back as a checkpoint is the same model, and says what its weights went through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.policy import bindings
from edge_ttp.policy.formats.fidelity import Passage
from edge_ttp_export.policy.agreement import compare_logits, compare_tokenizers
from edge_ttp_export.policy.gguf_tokenizer import Vocabulary, write_tokenizer
from edge_ttp_export.policy.imatrix import load_network
from edge_ttp_export.policy.policy_source import inspect
from edge_ttp_export.policy.readback import read_back

pytestmark = pytest.mark.export


def test_it_predicts_and_tokenizes_as_the_file_does(converted: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.gguf"
    bindings.quantize(converted, path, "Q4_1", threads=1)
    read_back(path, tmp_path / "out", name="tiny", licence="MIT", licence_url="")
    source = inspect(tmp_path / "out")
    assert (source.name, source.licence, source.quantized) == ("tiny", "MIT", "Q4_1")
    some = [Passage(tuple(np.random.default_rng(0).integers(4, 300, 40).tolist()), tuple(range(1, 40)))]
    found = compare_logits(load_network(tmp_path / "out"), path, some, threads=1)
    assert found.mean_kl < 1e-3
    tokens = compare_tokenizers(AutoTokenizer.from_pretrained(tmp_path / "out"), path)
    assert tokens.as_text == tokens.as_control == tokens.texts


def test_an_existing_folder_is_left_alone(converted: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="there already"):
        read_back(converted, tmp_path, name="tiny", licence="", licence_url="")
    with pytest.raises(ModelUnavailable):
        read_back(tmp_path / "none.gguf", tmp_path / "out", name="tiny", licence="", licence_url="")
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_whose_rules_are_not_known_is_refused(tmp_path: Path) -> None:
    known = Vocabulary("gpt2", "mars", ["a"], [1], [], [], {}, False, False, None)
    with pytest.raises(InvalidInput, match="gpt2/mars"):
        write_tokenizer(known, "llama", tmp_path)
