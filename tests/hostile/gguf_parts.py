"""A GGUF file taken apart and put together again, whatever its parts have become."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9


@dataclass
class Entry:
    key: str
    kind: int
    value: Any
    """Of an array: (kind of its elements, list of them)."""


@dataclass
class Listed:
    name: str
    shape: list[int]
    kind: int
    offset: int


@dataclass
class Parts:
    entries: list[Entry]
    tensors: list[Listed]
    data: bytes
    version: int = 3
    extra: dict[str, int] = field(default_factory=dict)
    """What the counts in front are off by: entries, tensors."""

    def get(self, key: str) -> Entry:
        return next(entry for entry in self.entries if entry.key == key)

    def put(self, key: str, kind: int, value: Any) -> None:
        """Changes an entry, or adds it."""
        for entry in self.entries:
            if entry.key == key:
                entry.kind, entry.value = kind, value
                return
        self.entries.append(Entry(key, kind, value))


class _Reading:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 24

    def take(self, form: str) -> Any:
        found = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return found[0]

    def text(self) -> bytes:
        size = self.take("Q")
        self.at += size
        return self.data[self.at - size : self.at]

    def value(self, kind: int) -> Any:
        if kind == TEXT:
            return self.text()
        if kind == ARRAY:
            inner, count = self.take("I"), self.take("Q")
            return inner, [self.value(inner) for _ in range(count)]
        return self.take(SCALARS[kind])


def apart(data: bytes) -> Parts:
    """The parts of a sound file."""
    tensors, entries = struct.unpack_from("<QQ", data, 8)
    reading = _Reading(data)
    found = []
    for _ in range(entries):
        key = reading.text().decode()
        kind = reading.take("I")
        found.append(Entry(key, kind, reading.value(kind)))
    listed = []
    for _ in range(tensors):
        name = reading.text().decode()
        shape = [reading.take("Q") for _ in range(reading.take("I"))]
        listed.append(Listed(name, shape, reading.take("I"), reading.take("Q")))
    return Parts(found, listed, data[-(-reading.at // 32) * 32 :])


def together(parts: Parts) -> bytes:
    """The file that these parts make."""

    def text(raw: str | bytes) -> bytes:
        raw = raw.encode() if isinstance(raw, str) else raw
        return struct.pack("<Q", len(raw)) + raw

    def value(kind: int, item: Any) -> bytes:
        if kind == TEXT:
            return text(item)
        if kind == ARRAY:
            inner, items = item
            return struct.pack("<IQ", inner, len(items)) + b"".join(value(inner, one) for one in items)
        return struct.pack("<" + SCALARS[kind], item)

    counts = (len(parts.tensors) + parts.extra.get("tensors", 0), len(parts.entries) + parts.extra.get("entries", 0))
    head = b"GGUF" + struct.pack("<IQQ", parts.version, *(max(0, count) for count in counts))
    head += b"".join(text(one.key) + struct.pack("<I", one.kind) + value(one.kind, one.value) for one in parts.entries)
    for one in parts.tensors:
        head += text(one.name) + struct.pack(f"<I{len(one.shape)}Q", len(one.shape), *one.shape)
        head += struct.pack("<IQ", one.kind, one.offset)
    return head + bytes(-len(head) % 32) + parts.data
