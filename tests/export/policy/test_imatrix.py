"""The importance matrix is the mean of squared inputs, survives its file, and makes the same size lose less."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.policy import bindings
from edge_ttp.policy.formats.fidelity import Passage, PolicyScorer, compare, reference
from edge_ttp_export.policy.imatrix import compute_imatrix, gguf_name, load_network
from edge_ttp_export.policy.imatrix_file import ImportanceMatrix, read_imatrix, write_imatrix

from . import checkpoints

pytestmark = pytest.mark.export


def texts(seed: int, count: int = 6, length: int = 64) -> list[list[int]]:
    source = np.random.default_rng(seed)
    most = len(checkpoints.vocabulary().tokens)
    return [source.integers(260, most, length).tolist() for _ in range(count)]


def test_layers_have_the_names_that_gguf_gives_them() -> None:
    assert gguf_name("model.layers.12.self_attn.o_proj") == "blk.12.attn_output.weight"
    assert gguf_name("model.layers.0.mlp.down_proj") == "blk.0.ffn_down.weight"
    assert gguf_name("lm_head") == "output.weight"
    assert gguf_name("lm_head", tied=True) == "token_embd.weight"
    assert gguf_name("model.vision.patch") is None


def test_it_is_the_mean_of_the_squared_inputs_over_all_tokens(checkpoint: Path) -> None:
    network, some = load_network(checkpoint), texts(1)
    matrix = compute_imatrix(network, some, text="made")
    assert len(matrix.columns) == 2 * 7 + 1
    assert matrix.tokens == sum(map(len, some))
    with torch.inference_mode():
        rows = [network.model(input_ids=torch.tensor([one])).last_hidden_state[0] for one in some]
    expected = torch.cat(rows).square().mean(dim=0).numpy()
    np.testing.assert_allclose(matrix.columns["token_embd.weight"], expected, rtol=1e-4)


def test_too_little_text_is_refused(checkpoint: Path) -> None:
    with pytest.raises(InvalidInput, match="has 20 tokens"):
        compute_imatrix(load_network(checkpoint), [list(range(20))], text="made")


def test_its_file_gives_back_what_was_written(tmp_path: Path) -> None:
    columns = {"blk.0.ffn_up.weight": np.array([0.5, 2.0, 0.0], np.float32), "output.weight": np.ones(2, np.float32)}
    write_imatrix(ImportanceMatrix(columns, 700, "made", chunk=100), tmp_path / "m.gguf")
    back = read_imatrix(tmp_path / "m.gguf")
    assert back.tokens == 700
    for name, values in columns.items():
        np.testing.assert_allclose(back.columns[name], values, rtol=1e-6)


def legacy(calls: int, values: list[float], count: int | None = None) -> bytes:
    name = b"blk.0.ffn_up.weight"
    head = struct.pack("<ii", 1, len(name)) + name + struct.pack("<ii", calls, count or len(values))
    return head + struct.pack(f"<{len(values)}f", *values)


def test_the_older_kind_of_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.dat").write_bytes(legacy(4, [4.0, 8.0]))
    np.testing.assert_allclose(read_imatrix(tmp_path / "m.dat").columns["blk.0.ffn_up.weight"], [1.0, 2.0])


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 100, legacy(4, [1.0], count=1000), legacy(4, [-1.0]), legacy(4, [float("inf")])]
)
def test_what_is_no_importance_matrix_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.dat").write_bytes(data)
    with pytest.raises(InvalidInput, match="no importance matrix"):
        read_imatrix(tmp_path / "m.dat")


def test_other_files_are_refused(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="another kind of GGUF"):
        read_imatrix(converted)
    with pytest.raises(ModelUnavailable, match="cannot read"):
        read_imatrix(tmp_path / "none")


def test_the_same_size_loses_less_with_it(checkpoint: Path, converted: Path, tmp_path: Path) -> None:
    matrix = compute_imatrix(load_network(checkpoint), texts(1, count=20), text="made")
    held_out = [Passage(tuple(one), tuple(range(1, len(one)))) for one in texts(2, count=8)]
    with PolicyScorer(converted, threads=1) as scorer:
        full = reference(scorer, held_out)
    found = []
    for name, columns in (("plain", None), ("weighted", matrix.columns)):
        path = tmp_path / f"{name}.gguf"
        bindings.quantize(converted, path, "Q4_K_M", threads=1, imatrix=columns)
        with PolicyScorer(path, threads=1) as scorer:
            found.append((path.stat().st_size, compare(scorer, full).mean_kl))
    (plain_size, plain), (weighted_size, weighted) = found
    assert abs(plain_size - weighted_size) < 1024  # the names of the matrix may stand in the header
    assert weighted < plain
