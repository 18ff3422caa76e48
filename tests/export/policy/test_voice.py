"""A voice adapter: its passages are the runtime's own prompts, its training goes on, its policy is given it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edge_ttp.cli.main import run
from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.lab.bench.scored_pools import part_of
from edge_ttp.paths import locate
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.registry import Registry
from edge_ttp_export.policy.converter import ADAPTER_SCRIPT, converter
from edge_ttp_export.policy.imatrix import load_network
from edge_ttp_export.policy.lora import convert_adapter, inspect_lora
from edge_ttp_export.policy.lora_start import starting_weights
from edge_ttp_export.policy.lora_train import LoraSettings, LoraTraining, write_lora
from edge_ttp_export.policy.voice_texts import TRAIN, TUNE, RewritePassages

pytestmark = pytest.mark.export

WORDS = ["boat", "rain", "lift", "door", "lamp", "road", "bread", "train", "paper", "stone", "river", "glass"]
SETTINGS = LoraSettings(rank=2, alpha=4, steps=4, rate=5e-3, batch=2, warmup=1, workers=2)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks, each with two train users and a tune user of six texts."""
    folder = tmp_path_factory.mktemp("corpus")
    names = [f"u{number}" for number in range(40)]
    chosen = [one for one in names if part_of(one) in TRAIN][:2] + [one for one in names if part_of(one) in TUNE][:1]
    for task, mark in (("chat", "!"), ("mail", ".")):
        rows = [
            {
                "user_id": user,
                "input": "what",
                "output": f"Well, the {WORDS[at]} isn't by the {WORDS[at + 6]} at {at + 3} pm{mark}",
                "order": at,
            }
            for user in chosen
            for at in range(6)
        ]
        (folder / f"{task}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_a_passage_is_the_prompt_of_a_rewriting_and_scores_what_the_user_wrote(corpus: Path, converted: Path) -> None:
    policy = LlamaPolicy(converted, threads=1)
    try:
        texts = RewritePassages(corpus, ("chat", "mail"), policy, "chat", tenths=TRAIN)
        assert texts.users == 4
        for number in range(12):
            passage = texts.passage(number)
            assert texts.passage(number) == passage
            whole = policy.text(passage.tokens)
            said = policy.text([passage.tokens[at] for at in passage.scored])
            assert "own words: every fact, number, name and date as it is given" in whole
            assert said.endswith("!" if number % 2 == 0 else ".")
            assert "Well, the" in said
            assert passage.scored[-1] == len(passage.tokens) - 1
    finally:
        policy.close()
    with pytest.raises(InvalidInput, match="two texts"):
        RewritePassages(corpus, ("chat",), policy, "chat", tenths=())


def test_a_training_goes_on_where_it_was(checkpoint: Path, corpus: Path, converted: Path, tmp_path: Path) -> None:
    policy = LlamaPolicy(converted, threads=1)
    try:
        texts = RewritePassages(corpus, ("chat", "mail"), policy, "chat", tenths=TRAIN)
        batches = [[texts.passage(step * 2), texts.passage(step * 2 + 1)] for step in range(4)]
    finally:
        policy.close()
    at_once = LoraTraining(load_network(checkpoint), SETTINGS)
    for batch in batches:
        at_once.step(batch)
    first = LoraTraining(load_network(checkpoint), SETTINGS)
    for batch in batches[:2]:
        first.step(batch)
    first.save(tmp_path / "state")
    later = LoraTraining(load_network(checkpoint), SETTINGS)
    later.load(tmp_path / "state")
    for batch in batches[2:]:
        later.step(batch)
    assert later.losses == at_once.losses
    assert all(torch.equal(one, later.tensors()[name]) for name, one in at_once.tensors().items())
    (tmp_path / "state").write_bytes(b"no state")
    with pytest.raises(InvalidInput, match="no state of this training"):
        later.load(tmp_path / "state")


def test_an_interrupted_export_goes_on_and_the_policy_is_given_the_adapter(
    checkpoint: Path,
    converted: Path,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("edge_ttp_export.policy.voice_run.SAVED", 1)
    monkeypatch.setattr("edge_ttp.registry.trials.run", lambda *_, **__: None)
    assert run(["models", "add", str(converted), "--name", "tiny"]) == 0
    command = ["export", "voice", str(checkpoint), "--data", str(corpus), "--base", "tiny", "--name", "my-voice"]
    command += ["--steps", "3", "--batch", "2", "--rank", "2", "--watched", "2", "--device", "cpu", "--threads", "2"]
    real: Callable[..., float] = LoraTraining.step

    def stopped(self: LoraTraining, passages: object) -> float:
        if self.step_number == 2:
            raise KeyboardInterrupt
        return real(self, passages)

    monkeypatch.setattr(LoraTraining, "step", stopped)
    assert run(command) == 130
    assert "run the same command again" in capsys.readouterr().err
    monkeypatch.setattr(LoraTraining, "step", real)
    assert run([*command, "--json"]) == 0
    said = capsys.readouterr()
    assert "after step 2 of 3" in said.err
    manifest = json.loads(said.out)
    assert (manifest["kind"], manifest["uses"], manifest["recipe"]["tasks"]) == (
        "adapter",
        ["rewrite"],
        ["chat", "mail"],
    )
    assert list(manifest["measurements"]["tune_losses"]) == ["0", "3"]
    registry = Registry(locate())
    policy = registry.locate("tiny")
    given = registry.voice(policy, "rewrite")
    assert given is not None
    assert given.name == "my-voice"
    assert registry.voice(policy, "generate") is None
    assert run(command) != 0  # the name is taken now
    assert "taken" in capsys.readouterr().err


def test_what_cannot_be_trained_is_refused_before_anything_is_done(
    checkpoint: Path, converted: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in (
        ([str(converted)], "trained on a checkpoint"),
        ([str(checkpoint)], "no policy on this device"),
        ([str(checkpoint), "--device", "tpu"], "not known"),
    ):
        assert run(["export", "voice", *arguments, "--data", str(corpus)]) != 0
        assert words in capsys.readouterr().err


def test_a_training_goes_on_from_an_adapter_in_either_form(
    checkpoint: Path, converted: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = LoraTraining(load_network(checkpoint), SETTINGS)
    learned = {
        name: torch.arange(one.numel(), dtype=torch.float32).reshape(one.shape) / 1024
        for name, one in training.tensors().items()
    }
    training.begin(learned)
    assert all(torch.equal(one, learned[name]) for name, one in training.tensors().items())
    write_lora(learned, SETTINGS, checkpoint, tmp_path / "peft")
    lora = inspect_lora(tmp_path / "peft", checkpoint)
    gguf = tmp_path / "voice.gguf"
    convert_adapter(converter(locate(), ADAPTER_SCRIPT), lora, checkpoint, gguf, report=lambda *_: None)
    for path in (tmp_path / "peft", gguf):
        found = starting_weights(path, checkpoint, SETTINGS)
        assert found.keys() == learned.keys()
        assert all(torch.allclose(one, learned[name], rtol=1e-3, atol=1e-3) for name, one in found.items())
    with pytest.raises(InvalidInput, match="rank 2 and alpha 4"):
        starting_weights(gguf, checkpoint, LoraSettings(rank=4, alpha=8))
    with pytest.raises(ModelUnavailable, match="no adapter"):
        starting_weights(converted, checkpoint, SETTINGS)
    with pytest.raises(ModelUnavailable):
        starting_weights(tmp_path / "none.gguf", checkpoint, SETTINGS)


def test_the_best_of_the_watched_weights_is_written(checkpoint: Path, tmp_path: Path) -> None:
    training = LoraTraining(load_network(checkpoint), SETTINGS)
    write_lora(training.tensors(), SETTINGS, checkpoint, tmp_path / "lora")
    assert inspect_lora(tmp_path / "lora", checkpoint).scale == 2.0
    assert len(load_file(tmp_path / "lora" / "adapter_model.safetensors")) == 2 * 7 * 2
