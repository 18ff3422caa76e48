"""8-bit weights of an ONNX encoder."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp.reward.session import Session  # noqa: E402
from edge_ttp_export.quantize import float_products, quantize_weights, whole_products  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


def test_eight_bit_weights_stay_within_half_a_step() -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    source = np.random.default_rng(1)
    weights = source.normal(size=(96, 64)).astype(np.float32) * np.logspace(-2, 1, 64, dtype=np.float32)
    table = source.normal(size=(100, 96)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["rows"]), helper.make_node("MatMul", ["rows", "w"], ["out"])],
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 64])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    small = quantize_weights(model)
    assert len(small.SerializeToString()) < 0.4 * len(model.SerializeToString())
    ids = np.arange(100)
    found = [
        Session(one.SerializeToString(), name="g", inputs=("ids",), outputs=("out",), threads=1).run({"ids": ids})[0]
        for one in (model, small)
    ]
    assert np.abs(found[0] - found[1]).max(axis=0).max() < 0.05 * np.abs(found[0]).max()
    for column in range(64):
        assert np.corrcoef(found[0][:, column], found[1][:, column])[0, 1] > 0.999
    assert onnx.checker.check_model(small) is None


def products(weights: np.ndarray) -> object:
    """y = x w, x w again and x + 1 w, as a graph."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["one"]),
        helper.make_node("MatMul", ["x", "v"], ["two"]),
        helper.make_node("Add", ["one", "two"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "t", weights.shape[0]])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", "t", weights.shape[1]])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(weights[::-1].copy(), "v")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def test_products_in_whole_numbers_are_near_and_a_row_does_not_depend_on_the_others() -> None:
    source = np.random.default_rng(2)
    weights = quantize_weights(products(source.normal(size=(96, 64)).astype(np.float32)))
    whole = whole_products(weights)
    assert {node.op_type for node in whole.graph.node} >= {"MatMulInteger", "QuantizeLinear"}
    assert "MatMul" not in {node.op_type for node in whole.graph.node}
    assert sum(node.op_type == "QuantizeLinear" for node in whole.graph.node) == 1  # rounded once for both products
    plain, ours = (
        Session(one.SerializeToString(), name="g", inputs=("x",), outputs=("out",), threads=1)
        for one in (weights, whole)
    )
    x = source.normal(size=(5, 7, 96)).astype(np.float32)
    x[0, 0] = 0
    x[1] *= 1000  # its neighbours keep their precision
    expected, found = plain.run({"x": x})[0], ours.run({"x": x})[0]
    for row in range(5):
        assert np.abs(found[row] - expected[row]).max() < 0.05 * np.abs(expected[row]).max()
        np.testing.assert_array_equal(found[row], ours.run({"x": x[row : row + 1]})[0][0])
    np.testing.assert_array_equal(found[0, 0], 0)


def test_a_graph_in_whole_numbers_goes_back_to_the_same_weights() -> None:
    from onnx import numpy_helper

    source = np.random.default_rng(3)
    weights = quantize_weights(products(source.normal(size=(96, 64)).astype(np.float32)))
    there = [float_products(weights), float_products(whole_products(weights))]
    assert [sorted(node.op_type for node in one.graph.node) for one in there] == [["Add", "MatMul", "MatMul"]] * 2
    held = [{one.name: numpy_helper.to_array(one) for one in graph.graph.initializer} for graph in there]
    for name, values in held[0].items():
        np.testing.assert_allclose(held[1][name], values, rtol=1e-6)
    again = [whole_products(quantize_weights(one)) for one in there]
    codes = [
        {one.name: numpy_helper.to_array(one) for one in graph.graph.initializer if one.name.endswith(".int8")}
        for graph in again
    ]
    for one, other in zip(codes[0].values(), codes[1].values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_cpu_can_saturate() -> None:
    from edge_ttp_export.quantize import LEVELS

    assert 2 * (2 * LEVELS + 1) * 127 < 2**15  # two products are added in 16 bits where there is no VNNI
