"""Graphs from outside: no other files, no graphs within graphs, nothing but plain ONNX."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest
from hostile.kinds import onnx as hostile_onnx
from hostile.protobuf import FLOAT, graph, info, model, node, part, tensor, whole
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.errors import ModelUnavailable
from edge_ttp.registry.catalog import shipped_folder
from edge_ttp.reward.graph_bounds import MAX_NODES, refuse_unbounded
from edge_ttp.reward.session import Session

INPUT, OUTPUT = [info("a", FLOAT, [2])], [info("b", FLOAT, [2])]
IDENTITY = node("Identity", ["a"], ["b"])


def use(data: bytes) -> Session:
    return Session(data, name="the graph", inputs=("a",), outputs=("b",), threads=1)


@pytest.mark.parametrize("name", ["encoder", "salience", "heads"])
def test_the_default_reward_models_graphs_pass(name: str) -> None:
    refuse_unbounded((shipped_folder() / "reward-minilm-1" / f"{name}.onnx").read_bytes(), name)


def test_a_plain_graph_passes_and_runs() -> None:
    (found,) = use(model(graph([IDENTITY], INPUT, OUTPUT))).run({"a": np.ones(2, np.float32)})
    assert found.tolist() == [1, 1]


ADD = node("Add", ["a", "w"], ["b"])


@pytest.mark.parametrize("place", ["w.bin", "./w.bin", "../w.bin"])
@pytest.mark.parametrize("inside", ["initializer", "constant"])
def test_numbers_beside_the_working_directory_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, inside: str
) -> None:
    (tmp_path / "here").mkdir()
    for folder in (tmp_path, tmp_path / "here"):
        (folder / "w.bin").write_bytes(np.array([5, 6], np.float32).tobytes())
    monkeypatch.chdir(tmp_path / "here")
    weights = tensor("w", FLOAT, [2], b"", outside=place)
    if inside == "initializer":
        data = model(graph([ADD], INPUT, OUTPUT, [weights]))
    else:
        constant = node("Constant", [], ["w"], part(1, "value") + part(5, weights) + part(20, 4))
        data = model(graph([constant, ADD], INPUT, OUTPUT))
    with pytest.raises(ModelUnavailable, match="its numbers lie in another file"):
        use(data)
    assert sorted(os.listdir(".")) == ["w.bin"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (model(graph([IDENTITY], INPUT, OUTPUT), extra=part(25, part(1, "f"))), "functions of its own"),
        (model(graph([IDENTITY], INPUT, OUTPUT), extra=part(20, b"")), "a graph for training"),
        (model(graph([node("Gelu", ["a"], ["b"], domain="com.microsoft")], INPUT, OUTPUT)), "'com.microsoft'"),
        (model(graph([IDENTITY] * (MAX_NODES + 1), INPUT, OUTPUT)), "more than 20,000 nodes"),
        (model(graph([IDENTITY], INPUT, OUTPUT) + part(15, b"")), "sparse tensors"),
        (part(1, 8), "it has no graph"),
        (b"", "it has no graph"),
        (b"\0\0\0\0ORTM", "no ONNX file"),
        (b"\xff" * 40, "no ONNX file"),
    ],
)
def test_what_a_reward_model_does_not_need_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ModelUnavailable, match=words):
        use(data)


@pytest.mark.parametrize("maker", [hostile_onnx.loop, hostile_onnx.condition])
def test_loops_and_conditions_are_refused(maker: object) -> None:
    import random

    data, _ = maker(random.Random(1))  # type: ignore[operator]
    with pytest.raises(ModelUnavailable, match="a graph within a graph"):
        refuse_unbounded(data, "the graph")


def test_texts_are_no_numbers() -> None:
    cast = node("Cast", ["a"], ["b"], whole("to", 8))
    with pytest.raises(ModelUnavailable, match="gives what is no number: b"):
        use(model(graph([cast], INPUT, [info("b", 8, [2])])))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_pass_or_are_refused(data: bytes) -> None:
    with contextlib.suppress(ModelUnavailable):
        refuse_unbounded(data, "the graph")
