"""LoRA adapters: merged or converted they act the same, and those made for another base are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.policy.formats.fidelity import Passage, PolicyScorer, compare, reference
from edge_ttp.schema import LoraAdapter
from edge_ttp_export.policy import converter
from edge_ttp_export.policy.imatrix import load_network
from edge_ttp_export.policy.lora import CONFIG_NAME, WEIGHTS_NAME, convert_adapter, inspect_lora, merge
from edge_ttp_export.policy.lora_train import LoraSettings, train_lora, write_lora

pytestmark = pytest.mark.export

SETTINGS = LoraSettings(rank=4, alpha=8, steps=12, rate=5e-3)


def quiet(what: str, done: int, total: int) -> None:
    """Takes reports."""


def passages(count: int = 4) -> list[Passage]:
    """Texts that repeat some tokens over and over: there is something to learn."""
    source = np.random.default_rng(3)
    words = source.integers(262, 300, 8).tolist()
    return [Passage((2, *(words * 4)), tuple(range(1, 33))) for _ in range(count)]


@pytest.fixture(scope="session")
def trained(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float], Any]:
    """An adapter folder, the losses of its training, and the network with it."""
    network = load_network(checkpoint)
    tensors, losses = train_lora(network, passages(), SETTINGS)
    folder = tmp_path_factory.mktemp("lora") / "adapter"
    write_lora(tensors, SETTINGS, checkpoint, folder)
    return folder, losses, network


def logits(network: Any, tokens: tuple[int, ...]) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = network(input_ids=torch.tensor([tokens])).logits[0]
    return found


def test_training_learns_the_text(trained: tuple[Path, list[float], Any]) -> None:
    _, losses, _ = trained
    assert losses[-1] < losses[0] - 0.5


def test_the_merged_checkpoint_is_the_network_with_the_adapter(
    checkpoint: Path, trained: tuple[Path, list[float], Any], tmp_path: Path
) -> None:
    folder, _, network = trained
    lora = inspect_lora(folder, checkpoint)
    assert len(lora.modules) == 2 * 7
    merge(checkpoint, lora, tmp_path / "merged", report=quiet)
    tokens = passages()[0].tokens
    merged = logits(load_network(tmp_path / "merged"), tokens)
    assert torch.allclose(merged, logits(network, tokens), atol=0.05)
    assert not torch.allclose(merged, logits(load_network(checkpoint), tokens), atol=0.5)


def test_the_gguf_adapter_acts_as_the_merged_weights_do(
    checkpoint: Path,
    converted: Path,
    script: Path,
    trained: tuple[Path, list[float], Any],
    tmp_path: Path,
) -> None:
    lora = inspect_lora(trained[0], checkpoint)
    adapter, whole = tmp_path / "adapter.gguf", tmp_path / "merged.gguf"
    convert_adapter(script.with_name(converter.ADAPTER_SCRIPT), lora, checkpoint, adapter, report=quiet)
    merge(checkpoint, lora, tmp_path / "merged", report=quiet)
    converter.run(script, [str(tmp_path / "merged"), "--outtype", "f16"], target=whole, what="", report=quiet)
    some = passages(1)
    with PolicyScorer(whole, threads=1) as scorer:
        merged = reference(scorer, some)
    with PolicyScorer(converted, threads=1, adapters=(LoraAdapter(path=str(adapter)),)) as scorer:
        adapted = compare(scorer, merged)
    with PolicyScorer(converted, threads=1) as scorer:
        plain = compare(scorer, merged)
    assert adapted.mean_kl < 1e-3
    assert adapted.perplexity < 0.7 * plain.perplexity


def test_an_adapter_named_by_a_relative_path_is_converted(
    checkpoint: Path,
    script: Path,
    trained: tuple[Path, list[float], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(trained[0].parent)
    lora = inspect_lora(Path(trained[0].name), checkpoint)
    base = Path(os.path.relpath(checkpoint))
    target = Path(os.path.relpath(tmp_path / "adapter.gguf"))
    convert_adapter(script.with_name(converter.ADAPTER_SCRIPT), lora, base, target, report=quiet)
    assert (tmp_path / "adapter.gguf").stat().st_size > 0


def test_an_adapter_of_another_base_is_refused(
    checkpoint: Path, trained: tuple[Path, list[float], Any], tmp_path: Path
) -> None:
    folder, _, _ = trained
    other = tmp_path / "other"
    tensors = load_file(folder / WEIGHTS_NAME)
    wider = {name: torch.cat([one, one], dim=1) if ".lora_A" in name else one for name, one in tensors.items()}
    write_lora(wider, SETTINGS, checkpoint, other)
    with pytest.raises(InvalidInput, match=r"made for another base: .* has shape"):
        inspect_lora(other, checkpoint)
    deeper = {name.replace("layers.1.", "layers.9."): one for name, one in tensors.items()}
    save_file(deeper, other / WEIGHTS_NAME)
    with pytest.raises(InvalidInput, match=r"made for another base: this one has no 'model\.layers\.9"):
        inspect_lora(other, checkpoint)
    save_file({name: one for name, one in tensors.items() if "lora_A" in name}, other / WEIGHTS_NAME)
    with pytest.raises(InvalidInput, match="made for another base"):
        inspect_lora(other, checkpoint)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft_type": "IA3"}, "of type IA3"),
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "saved modules"),
        ({"r": None}, "no rank"),
    ],
)
def test_adapters_that_cannot_be_exported(
    checkpoint: Path, trained: tuple[Path, list[float], Any], tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    config = json.loads((trained[0] / CONFIG_NAME).read_text())
    (tmp_path / CONFIG_NAME).write_text(json.dumps({**config, **changes}))
    with pytest.raises((InvalidInput, ModelUnavailable), match=words):
        inspect_lora(tmp_path, checkpoint)


def test_a_pickled_adapter_is_refused(checkpoint: Path, trained: tuple[Path, list[float], Any], tmp_path: Path) -> None:
    (tmp_path / CONFIG_NAME).write_text((trained[0] / CONFIG_NAME).read_text())
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80")
    with pytest.raises(InvalidInput, match="is a pickle"):
        inspect_lora(tmp_path, checkpoint)


def test_training_needs_layers_it_knows() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2))
    with pytest.raises(InvalidInput, match="no layer"):
        train_lora(network, [Passage((1, 2), (1,))], SETTINGS)
