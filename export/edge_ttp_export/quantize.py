"""Stores an ONNX encoder's weights in 8 bits; the computation stays FP32, so every CPU gets the same numbers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

SMALLEST = 4096
"""Weights with fewer elements stay FP32."""


def quantize_weights(model: ModelProto) -> ModelProto:
    """A copy of `model` with INT8 weights: matrices per output channel, embedding tables per row, symmetric.

    Matrices are dequantized by DequantizeLinear, which the runtime folds into FP32 at load. Tables stay in 8 bits in
    memory: the gathered rows are scaled.
    """
    quantized = ModelProto()
    quantized.CopyFrom(model)
    graph = quantized.graph
    weights = {one.name: one for one in graph.initializer}
    nodes = list(graph.node)
    used: dict[str, list[tuple[int, int]]] = {}
    for place, node in enumerate(nodes):
        for slot, name in enumerate(node.input):
            used.setdefault(name, []).append((place, slot))
    result: list[onnx.NodeProto] = []
    for place, node in enumerate(nodes):
        before, after = [], []
        for slot, name in enumerate(node.input):
            weight = weights.get(name)
            if weight is None or weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < SMALLEST:
                continue
            if len(weight.dims) != 2 or used[name] != [(place, slot)]:
                continue
            values = numpy_helper.to_array(weight)
            if node.op_type == "MatMul" and slot == 1:
                codes, scales = _symmetric(values, axis=1)
                before.append(_dequantize(name, node, slot))
            elif node.op_type == "Gather" and slot == 0:
                codes, scales = _symmetric(values, axis=0)
                after += _scale_rows(name, node)
                scales = scales[:, None]
            else:
                continue
            graph.initializer.remove(weight)
            graph.initializer.append(numpy_helper.from_array(codes, f"{name}.int8"))
            graph.initializer.append(numpy_helper.from_array(scales, f"{name}.scale"))
        result += [*before, node, *after]
    del graph.node[:]
    graph.node.extend(result)
    onnx.checker.check_model(quantized)
    return quantized


def _symmetric(values: npt.NDArray[np.float32], axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """INT8 codes and one scale per slice along `axis`: the largest magnitude of the slice becomes 127."""
    largest = np.abs(values).max(axis=1 - axis)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    codes = np.rint(values / (scales[:, None] if axis == 0 else scales)).clip(-127, 127).astype(np.int8)
    return codes, scales


def _dequantize(name: str, node: onnx.NodeProto, slot: int) -> onnx.NodeProto:
    node.input[slot] = f"{name}.float"
    return helper.make_node("DequantizeLinear", [f"{name}.int8", f"{name}.scale"], [f"{name}.float"], axis=1)


def _scale_rows(name: str, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Gather(int8) -> Cast -> Mul(Gather(scale)), under the output name of the original Gather."""
    output, ids = node.output[0], node.input[1]
    node.input[0], node.output[0] = f"{name}.int8", f"{output}.codes"
    return [
        helper.make_node("Cast", [f"{output}.codes"], [f"{output}.plain"], to=TensorProto.FLOAT),
        helper.make_node("Gather", [f"{name}.scale", ids], [f"{output}.scales"], axis=0),
        helper.make_node("Mul", [f"{output}.plain", f"{output}.scales"], [output]),
    ]
