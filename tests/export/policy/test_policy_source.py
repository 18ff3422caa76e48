"""What cannot be exported is refused before any work, in one line that names it."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest

from edge_ttp.errors import EdgeTTPError, InvalidInput, ModelUnavailable
from edge_ttp_export.policy.policy_source import INDEX_NAME, fingerprint, inspect
from edge_ttp_export.policy.safetensors_file import read_tensors

from . import checkpoints

pytestmark = pytest.mark.export


@pytest.fixture
def folder(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint, to be spoiled."""
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def refusal(path: Path, kind: type[EdgeTTPError]) -> str:
    with pytest.raises(kind) as caught:
        inspect(path)
    assert "\n" not in str(caught.value)
    assert caught.value.cure
    return str(caught.value)


def change(path: Path, **values: object) -> None:
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, **values}))


def test_a_sound_checkpoint_is_described(checkpoint: Path) -> None:
    source = inspect(checkpoint)
    assert (source.architecture, source.format, source.quantized) == ("LlamaForCausalLM", "F16", "")
    assert source.weights == sum(one.weights for one in read_tensors(checkpoint / "model.safetensors").values())
    assert source.size > 2 * source.weights


def test_every_byte_of_the_source_counts_for_its_fingerprint(folder: Path) -> None:
    before = fingerprint(inspect(folder))
    assert fingerprint(inspect(folder)) == before
    change(folder / "tokenizer_config.json", add_bos_token=False)
    assert fingerprint(inspect(folder)) != before


def test_sharded_checkpoints_are_read_whole_or_refused(tmp_path: Path) -> None:
    folder = checkpoints.write_checkpoint(tmp_path / "sharded", shard="1MB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert inspect(folder).weights > 0
    shards[1].unlink()
    assert f"lacks 1 of {len(shards)} files of weights, {shards[1].name!r}" in refusal(folder, ModelUnavailable)
    (folder / INDEX_NAME).unlink()
    assert INDEX_NAME in refusal(folder, ModelUnavailable)


def test_an_index_that_leaves_the_folder_is_refused(folder: Path) -> None:
    (folder / INDEX_NAME).write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    assert INDEX_NAME in refusal(folder, ModelUnavailable)


@pytest.mark.parametrize("what", ["truncated", "garbage", "header too long", "empty", "no json", "wrong shape"])
def test_damaged_safetensors_are_refused(folder: Path, what: str) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["model.norm.weight"]["shape"] = [3]
    wrong = json.dumps(header).encode()
    path.write_bytes(
        {
            "truncated": data[:-100],
            "garbage": b"\xff" * 4000,
            "header too long": (1 << 40).to_bytes(8, "little") + data[8:],
            "empty": b"",
            "no json": (10).to_bytes(8, "little") + b"x" * 50,
            "wrong shape": len(wrong).to_bytes(8, "little") + wrong + data[8 + length :],
        }[what]
    )
    assert "'model.safetensors' is damaged" in refusal(folder, ModelUnavailable)


def test_a_pickle_is_refused_unread(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    assert "'pytorch_model.bin' is a pickle" in refusal(folder, InvalidInput)
    assert "is a pickle" in refusal(folder / "pytorch_model.bin", InvalidInput)


def test_other_things_that_are_no_policy(folder: Path, tmp_path: Path) -> None:
    assert "there is no source" in refusal(tmp_path / "nothing", ModelUnavailable)
    assert "is a file of weights alone" in refusal(folder / "model.safetensors", InvalidInput)
    (tmp_path / "empty").mkdir()
    assert "has no config.json" in refusal(tmp_path / "empty", ModelUnavailable)
    (tmp_path / "empty" / "adapter_config.json").write_text("{}")
    assert "is a LoRA adapter" in refusal(tmp_path / "empty", InvalidInput)
    (tmp_path / "file.gguf").write_bytes(b"GGUF")
    assert "not a GGUF file" in refusal(tmp_path / "file.gguf", ModelUnavailable)


def test_a_checkpoint_without_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").unlink()
    assert "has no tokenizer" in refusal(folder, ModelUnavailable)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architectures": ["BertModel"]}, "BertModel cannot write text"),
        ({"architectures": None}, "names no architecture"),
        ({"quantization_config": {"bits": 4}}, "quantized already"),
    ],
)
def test_configurations_that_cannot_be_exported(folder: Path, changes: dict[str, object], words: str) -> None:
    change(folder / "config.json", **changes)
    assert words in refusal(folder, EdgeTTPError)


def test_a_damaged_configuration_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("[1")
    assert "'config.json' is not JSON" in refusal(folder, ModelUnavailable)
