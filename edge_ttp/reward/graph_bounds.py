"""What an ONNX graph from outside may not hold: other files, graphs within graphs, anything but plain ONNX.

Reads the protobuf as far as that needs (onnx.proto), never a tensor's numbers. onnxruntime looks for a tensor's
external data beside the working directory even where the graph came as bytes; loops run as long as the file says; and a
function that calls functions grows without bound while it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_ttp.errors import ModelUnavailable

MAX_NODES = 20_000
DOMAINS = (b"", b"ai.onnx")

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
# Fields of onnx.proto, by message.
_MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 20, 25
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _NODE_DOMAIN = 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = 5, 6, 10, 11, (22, 23)
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14

Field = tuple[int, int | memoryview]
"""A field's number, and its number or bytes."""


def refuse_unbounded(model: bytes, name: str, domains: Sequence[bytes] = DOMAINS) -> None:
    """Raises ModelUnavailable where `model`, the bytes of an ONNX file called `name`, holds what it may not.

    `domains`: whose operators it may use. More than DOMAINS are for measuring what this machine has made itself.
    """
    try:
        reason = _model(memoryview(model), domains)
    except (IndexError, ValueError):
        reason = "it is no ONNX file, or damaged"
    if reason:
        raise ModelUnavailable(f"{name} cannot be used: {reason}", "pull or export the reward model again")


def _model(data: memoryview, domains: Sequence[bytes]) -> str:
    graphs = 0
    for number, value in _fields(data):
        if number == _MODEL_FUNCTIONS:
            return "it defines functions of its own"
        if number == _MODEL_TRAINING:
            return "it is a graph for training"
        if number == _MODEL_GRAPH:
            graphs += 1
            if reason := _graph(_message(value), domains):
                return reason
    return "" if graphs else "it has no graph"


def _graph(data: memoryview, domains: Sequence[bytes]) -> str:
    nodes = 0
    for number, value in _fields(data):
        if number == _GRAPH_NODE:
            nodes += 1
            if nodes > MAX_NODES:
                return f"it has more than {MAX_NODES:,} nodes"
            reason = _node(_message(value), domains)
        elif number == _GRAPH_TENSOR:
            reason = _tensor(_message(value))
        else:
            reason = "it has sparse tensors" if number == _GRAPH_SPARSE else ""
        if reason:
            return reason
    return ""


def _node(data: memoryview, domains: Sequence[bytes]) -> str:
    for number, value in _fields(data):
        if number == _NODE_DOMAIN and bytes(_message(value)) not in domains:
            return (
                f"it uses operators of {bytes(_message(value))[:60].decode('utf-8', 'replace')!r}, not only ONNX's own"
            )
        if number == _NODE_ATTRIBUTE and (reason := _attribute(_message(value))):
            return reason
    return ""


def _attribute(data: memoryview) -> str:
    for number, value in _fields(data):
        if number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
            return "it has a graph within a graph: a loop or a condition"
        if number in _ATTRIBUTE_SPARSE:
            return "it has sparse tensors"
        if number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS) and (reason := _tensor(_message(value))):
            return reason
    return ""


def _tensor(data: memoryview) -> str:
    for number, value in _fields(data):
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0):
            return "its numbers lie in another file"
    return ""


def _fields(data: memoryview) -> Iterator[Field]:
    """The fields of a protobuf message. Raises IndexError or ValueError where it is none."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(data, at)
        elif wire in (_EIGHT, _FOUR):
            length = 8 if wire == _EIGHT else 4
        else:
            raise ValueError("a group")
        if at + length > end:
            raise ValueError("cut short")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("a number too long")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message should be")
    return value
