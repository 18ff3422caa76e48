"""reward.json: what is read, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from edge_ttp.errors import ModelUnavailable
from edge_ttp.reward.config import MAX_CONFIG_BYTES, File, PriorWeights, prior, read_checked, read_config

from .edited import edit


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "nonsense", "[" * 100_000, '{"format": 1}', '"text"', "null", "\ud800".encode("utf-8", "replace")],
)
def test_a_config_that_is_none_is_refused(folder: Path, text: str | bytes) -> None:
    (folder / "reward.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ModelUnavailable, match="not a reward model's config"):
        read_config(folder)


def test_a_config_of_binary_or_of_many_bytes_is_refused(folder: Path) -> None:
    (folder / "reward.json").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ModelUnavailable, match="not a reward model's config"):
        read_config(folder)
    (folder / "reward.json").write_bytes(b" " * (MAX_CONFIG_BYTES + 1))
    with pytest.raises(ModelUnavailable, match="too large"):
        read_config(folder)


@pytest.mark.parametrize("name", ["../heads.onnx", "/etc/passwd", "a/b", "", ".hidden", "heads.onnx\n"])
def test_a_config_cannot_name_files_elsewhere(folder: Path, name: str) -> None:
    heads = json.loads((folder / "reward.json").read_text())["heads"]
    edit(folder, heads={**heads, "name": name})
    with pytest.raises(ModelUnavailable, match="not a reward model's config"):
        read_config(folder)


def test_weights_that_are_no_distribution_are_refused(folder: Path) -> None:
    weights = json.loads((folder / "reward.json").read_text())["weights"]
    size = len(weights["mean"])
    for bad in ([[0.0] * size] * (size - 1), [[-1.0 if i == j else 0.0 for i in range(size)] for j in range(size)]):
        edit(folder, weights={**weights, "covariance": bad})
        with pytest.raises(ModelUnavailable, match="not a reward model's config"):
            read_config(folder)
    edit(folder, weights={**weights, "mean": [float("nan")] * size})
    with pytest.raises(ModelUnavailable, match="not a reward model's config"):
        read_config(folder)


def test_a_model_with_other_features_is_of_another_version(folder: Path) -> None:
    edit(folder, features=["consensus"])
    with pytest.raises(ModelUnavailable, match="another version"):
        read_config(folder)


def test_a_config_is_read_with_the_hash_of_its_bytes(folder: Path) -> None:
    config, digest = read_config(folder)
    assert digest == hashlib.sha256((folder / "reward.json").read_bytes()).hexdigest()
    assert config.encoder.graph.bytes == (folder / "encoder.onnx").stat().st_size
    mean, covariance = prior(config.weights)
    assert covariance.shape == (len(mean), len(mean))
    assert np.linalg.eigvalsh(covariance)[0] >= -1e-9


def test_a_pipe_in_the_configs_place_is_not_waited_for(folder: Path) -> None:
    (folder / "reward.json").unlink()
    os.mkfifo(folder / "reward.json")
    with pytest.raises(ModelUnavailable, match="no regular file"):
        read_config(folder)


def test_a_field_that_is_wrong_is_named_from_the_outermost_on(folder: Path) -> None:
    encoder = json.loads((folder / "reward.json").read_text())["encoder"]
    edit(folder, encoder={**encoder, "width": 0})
    with pytest.raises(ModelUnavailable, match=r"encoder\.width"):
        read_config(folder)
    edit(folder, encoder=encoder, hidden=1)
    with pytest.raises(ModelUnavailable, match="hidden"):
        read_config(folder)


def test_a_file_is_read_only_if_its_size_and_its_hash_are_the_published_ones(tmp_path: Path) -> None:
    data = b"graph"
    file = File(name="graph.onnx", sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    for written, said in ((data + b"!", "6 bytes instead of 5"), (b"graqh", "sha256 differs")):
        (tmp_path / file.name).write_bytes(written)
        with pytest.raises(ModelUnavailable, match=said):
            read_checked(tmp_path, file)
    (tmp_path / file.name).write_bytes(data)
    assert read_checked(tmp_path, file) == data
    (tmp_path / file.name).unlink()
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        read_checked(tmp_path, file)


@pytest.mark.parametrize(
    "covariance", [[[1.0, 0.5], [0.4, 1.0]], [[1.0, 2.0], [2.0, 1.0]], [[1.0]], [[1.0, 0.0], [0.0]]]
)
def test_a_covariance_must_be_square_symmetric_and_positive(covariance: list[list[float]]) -> None:
    assert PriorWeights(mean=[0.0, 1.0], covariance=[[1.0, 0.5], [0.5, 1.0]]).mean == [0.0, 1.0]
    with pytest.raises(ValueError, match="covariance must be"):
        PriorWeights(mean=[0.0, 1.0], covariance=covariance)
