"""ONNX graphs written as protobuf by hand: the tests need no onnx package, and can write what it would refuse."""

from __future__ import annotations

import struct
from collections.abc import Sequence

FLOAT, INT64, STRING, BOOL = 1, 7, 8, 9


def number(value: int) -> bytes:
    """A varint."""
    value %= 2**64
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def part(field: int, value: int | bytes | str) -> bytes:
    """One field of a message."""
    if isinstance(value, int):
        return number(field << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(field << 3 | 2) + number(len(data)) + data


def tensor(name: str, kind: int, shape: Sequence[int], raw: bytes, *, outside: str = "") -> bytes:
    """A TensorProto; `outside` names the file that its numbers are in."""
    made = b"".join(part(1, size) for size in shape) + part(2, kind) + part(8, name)
    if outside:
        entry = part(1, "location") + part(2, outside)
        return made + part(13, entry) + part(14, 1)
    return made + part(9, raw)


def integers(name: str, values: Sequence[int]) -> bytes:
    """A TensorProto of 64-bit numbers, one dimension."""
    return tensor(name, INT64, [len(values)], struct.pack(f"<{len(values)}q", *values))


def scalar(name: str, kind: int, value: int) -> bytes:
    """A TensorProto of one number."""
    return tensor(name, kind, [], struct.pack("<q" if kind == INT64 else "<?", value))


def info(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    """A ValueInfoProto."""
    dims = b"".join(part(1, part(2, one) if isinstance(one, str) else part(1, one)) for one in shape)
    return part(1, name) + part(2, part(1, part(1, kind) + part(2, dims)))


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], *attributes: bytes, domain: str = "") -> bytes:
    """A NodeProto."""
    made = b"".join(part(1, one) for one in inputs) + b"".join(part(2, one) for one in outputs)
    made += part(3, "_".join(outputs)) + part(4, op) + b"".join(part(5, one) for one in attributes)
    return made + (part(7, domain) if domain else b"")


def whole(name: str, value: int) -> bytes:
    """An attribute that is a number."""
    return part(1, name) + part(3, value) + part(20, 2)


def inner(name: str, body: bytes) -> bytes:
    """An attribute that is a graph."""
    return part(1, name) + part(6, body) + part(20, 5)


def graph(
    nodes: Sequence[bytes], inputs: Sequence[bytes], outputs: Sequence[bytes], tensors: Sequence[bytes] = ()
) -> bytes:
    """A GraphProto."""
    return (
        b"".join(part(1, one) for one in nodes)
        + part(2, "g")
        + b"".join(part(5, one) for one in tensors)
        + b"".join(part(11, one) for one in inputs)
        + b"".join(part(12, one) for one in outputs)
    )


def model(body: bytes, *, extra: bytes = b"", opset: int = 17) -> bytes:
    """A ModelProto."""
    return part(1, 8) + part(7, body) + part(8, part(1, "") + part(2, opset)) + extra
