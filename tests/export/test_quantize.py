"""8-bit weights of an ONNX encoder."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp.reward.session import Session  # noqa: E402
from edge_ttp_export.quantize import quantize_weights  # noqa: E402

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
