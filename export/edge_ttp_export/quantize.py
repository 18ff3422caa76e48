"""An ONNX encoder's weights in 8 bits, and its products of whole numbers; every CPU gets the same numbers from both."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

SMALLEST = 4096
"""Weights with fewer elements stay FP32."""
LEVELS = 63
"""Steps of an activation on either side of 0, that is 7 bits. A CPU without VNNI adds two products in 16 bits, and
2 x 127 x 127 < 2^15: nothing saturates there, so that it finds the same sums as one with VNNI."""
_SMALLEST_ROW = 1e-9


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


def whole_products(model: ModelProto) -> ModelProto:
    """A copy of a graph from `quantize_weights` that multiplies by its 8-bit matrices in whole numbers.

    Each row before a matrix (one token's activations) is rounded to LEVELS steps of its own largest magnitude. What
    becomes of a text so does not depend on the texts beside it, as it would with one scale for the whole batch.
    """
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    codes = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    named = {one.name: one for one in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    rounded: set[str] = set()
    for node in graph.node:
        weight = codes.get(node.input[1]) if node.op_type == "MatMul" else None
        if node.output[0] in codes:
            continue
        if weight is None:
            nodes.append(node)
            continue
        stored, scale = weight.input[0], named[weight.input[1]]
        steps = numpy_helper.to_array(scale) / np.float32(LEVELS)
        graph.initializer.append(numpy_helper.from_array(steps, f"{scale.name}.step"))
        graph.initializer.remove(scale)
        if node.input[0] not in rounded:
            rounded.add(node.input[0])
            nodes += _round_rows(node.input[0])
        nodes += _multiply(node, stored, f"{scale.name}.step")
    graph.initializer.append(numpy_helper.from_array(np.float32(1 / LEVELS), "row.step"))
    graph.initializer.append(numpy_helper.from_array(np.uint8(LEVELS + 1), "row.zero"))
    graph.initializer.append(numpy_helper.from_array(np.float32(_SMALLEST_ROW), "row.least"))
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(made)
    return made


def _round_rows(name: str) -> Iterator[onnx.NodeProto]:
    """`name`.row: its rows as whole numbers; `name`.largest: their largest magnitudes."""
    yield helper.make_node("Abs", [name], [f"{name}.size"])
    yield helper.make_node("ReduceMax", [f"{name}.size"], [f"{name}.most"], axes=[-1], keepdims=1)
    yield helper.make_node("Max", [f"{name}.most", "row.least"], [f"{name}.largest"])
    yield helper.make_node("Div", [name, f"{name}.largest"], [f"{name}.unit"])
    yield helper.make_node("QuantizeLinear", [f"{name}.unit", "row.step", "row.zero"], [f"{name}.row"])


def _multiply(node: onnx.NodeProto, stored: str, step: str) -> Iterator[onnx.NodeProto]:
    name, output = node.input[0], node.output[0]
    yield helper.make_node("MatMulInteger", [f"{name}.row", stored, "row.zero"], [f"{output}.whole"])
    yield helper.make_node("Cast", [f"{output}.whole"], [f"{output}.sums"], to=TensorProto.FLOAT)
    yield helper.make_node("Mul", [f"{output}.sums", step], [f"{output}.scaled"])
    yield helper.make_node("Mul", [f"{output}.scaled", f"{name}.largest"], [output])


def float_products(model: ModelProto) -> ModelProto:
    """A copy of a graph from `quantize_weights` or `whole_products` with the same matrices in FP32.

    Tables stay as they are: their rows are scaled to FP32 in both.
    """
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    named = {one.name: one for one in graph.initializer}
    whole = {node.output[0]: node for node in graph.node if node.op_type == "MatMulInteger"}
    helpers = {one for node in whole.values() for one in _row_names(node.input[0].removesuffix(".row"))}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        output = node.output[0]
        product = whole.get(f"{output}.whole")
        if node.op_type == "DequantizeLinear":
            _put_float(graph, output, (named[node.input[0]], named[node.input[1]]), times=1)
        elif product is not None:
            stored = product.input[1]
            name = f"{stored.removesuffix('.int8')}.float"
            step = f"{stored.removesuffix('.int8')}.scale.step"
            _put_float(graph, name, (named[stored], named[step]), times=LEVELS)
            nodes.append(helper.make_node("MatMul", [product.input[0].removesuffix(".row"), name], [output]))
        elif output not in helpers and not output.endswith((".whole", ".sums", ".scaled")):
            nodes.append(node)
    for name in ("row.step", "row.zero", "row.least"):
        if name in named:
            graph.initializer.remove(named[name])
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(made)
    return made


def _row_names(name: str) -> list[str]:
    return [output for node in _round_rows(name) for output in node.output]


def _put_float(graph: onnx.GraphProto, name: str, held: tuple[TensorProto, TensorProto], *, times: int) -> None:
    """The matrix of 8-bit codes and their scales, `held`, as FP32 under `name`."""
    codes, steps = (numpy_helper.to_array(one).astype(np.float32) for one in held)
    for one in held:
        graph.initializer.remove(one)
    graph.initializer.append(numpy_helper.from_array(codes * (steps * np.float32(times)), name))
