"""The header of a GGUF file: what model it is, how long its context is, whether it has a chat template.

Reads only the header, never a tensor. The file is untrusted: every length is checked before it is believed. Layout:
llama.cpp's `docs/gguf.md` (ggml repository), versions 2 and 3, little-endian.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field
from pathlib import Path

from edge_ttp.errors import ModelUnavailable
from edge_ttp.system.private_file import open_regular

MAGIC = b"GGUF"
MAX_HEADER = 256 << 20
"""Longest header read, in bytes. The largest vocabularies in use need some 15 MB."""
MAX_ENTRIES = 65_536
"""Most metadata entries, and most tensors, that a header may announce."""
MAX_KEY = 65_535
MAX_STRING = 16 << 20
MAX_DIMENSIONS = 4
MAX_SHORT = 1024
"""Most elements of an array of whole numbers that is kept: one for each layer, with room to spare."""

Scalar = str | int | float | bool

_STRING, _ARRAY = 8, 9
# GGUF value type -> struct format. 7 is bool, one byte.
_FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_SIZES = {kind: struct.calcsize(form) for kind, form in _FORMATS.items()}

_WHOLE = {0, 1, 2, 3, 4, 5, 10, 11}

# ggml tensor type -> (weights in a block, bytes of a block), from ggml.c. Of other types only the offset is checked.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip

# general.file_type -> the name people know it by (llama.h, enum llama_ftype).
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip

# Architectures that encode a text and cannot continue one.
EMBEDDING_ARCHITECTURES = frozenset(
    {
        "bert",
        "modern-bert",
        "neo-bert",
        "nomic-bert",
        "nomic-bert-moe",
        "jina-bert-v2",
        "jina-bert-v3",
        "eurobert",
        "gemma-embedding",
        "t5encoder",
        "clip",
    }
)


@dataclass(frozen=True)
class ListedTensor:
    """One entry of the list of tensors."""

    name: str
    shape: tuple[int, ...]
    """The fastest dimension first."""
    type: int
    """ggml's number of it."""


@dataclass(frozen=True)
class Header:
    """What a GGUF header says about the model behind it."""

    version: int
    metadata: dict[str, Scalar]
    """Every entry that is one value. Arrays (the vocabulary above all) are left out."""
    array_lengths: dict[str, int]
    """Number of elements of every entry that is an array."""
    tensors: tuple[ListedTensor, ...]
    file_bytes: int
    """Size the file has."""
    short_arrays: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Every entry that is an array of at most MAX_SHORT whole numbers: counts by layer."""

    def integers(self, key: str) -> tuple[int, ...]:
        """The whole numbers of an entry, be it one or an array of some; empty where there are none."""
        value = self.metadata.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return (value,)
        return self.short_arrays.get(key, ())

    @property
    def architecture(self) -> str:
        """`general.architecture`, such as llama or gemma3; empty where the header does not say."""
        return str(self.metadata.get("general.architecture", ""))

    @property
    def context(self) -> int | None:
        """Longest context the model was trained for, in tokens; None where the header does not say."""
        value = self.metadata.get(f"{self.architecture}.context_length")
        return value if isinstance(value, int) and 0 < value <= 1 << 24 else None

    @property
    def has_chat_template(self) -> bool:
        """Whether the file carries a chat template, the mark of a model tuned to follow instructions."""
        return bool(self.metadata.get("tokenizer.chat_template"))

    @property
    def file_type(self) -> str:
        """The quantization's name, such as Q4_1 or F16; empty where the header does not say."""
        value = self.metadata.get("general.file_type")
        return _FILE_TYPES.get(value, f"type {value}") if isinstance(value, int) else ""

    @property
    def is_adapter(self) -> bool:
        """Whether this is a LoRA adapter and not a whole model."""
        return self.metadata.get("general.type") == "adapter"

    @property
    def is_embedding(self) -> bool:
        """Whether the model only encodes texts: it has no way to continue one."""
        pooled = self.metadata.get(f"{self.architecture}.pooling_type", 0)
        return self.architecture in EMBEDDING_ARCHITECTURES or pooled not in (0, -1, 0xFFFFFFFF)


def read_header(path: Path) -> Header:
    """The header of the GGUF file at `path`.

    Raises ModelUnavailable where the file cannot be read, is not GGUF, is cut short (also behind the header: the
    tensors would not fit into the file) or announces lengths that no real model has.
    """
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            if size < 24:
                raise _not_gguf(path)
            with mmap.mmap(file.fileno(), min(size, MAX_HEADER), access=mmap.ACCESS_READ) as view:
                return _HeaderReader(view, path, size).header()
    except OSError as error:
        raise ModelUnavailable(
            f"cannot read {str(path)!r}: {error.strerror or error}", "give a readable file"
        ) from error


def _not_gguf(path: Path) -> ModelUnavailable:
    return ModelUnavailable(f"{str(path)!r} is not a GGUF file", "give the model as a .gguf file")


class _HeaderReader:
    def __init__(self, view: mmap.mmap, path: Path, size: int) -> None:
        self._view, self._path, self._size, self._at = view, path, size, 0

    def header(self) -> Header:
        if self._view[:4] != MAGIC:
            raise _not_gguf(self._path)
        self._at = 4
        version = self._integer("<I")
        if version not in (2, 3):
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
            what = "big-endian, which is not supported" if swapped in (2, 3) else f"of version {version}, not 2 or 3"
            raise ModelUnavailable(f"the GGUF file {str(self._path)!r} is {what}", "convert the model again")
        tensors = self._bounded(self._integer("<Q"), MAX_ENTRIES, "tensors")
        entries = self._bounded(self._integer("<Q"), MAX_ENTRIES, "metadata entries")
        metadata: dict[str, Scalar] = {}
        lengths: dict[str, int] = {}
        short: dict[str, tuple[int, ...]] = {}
        for _ in range(entries):
            key = self._string(MAX_KEY)
            kind = self._integer("<I")
            if kind == _ARRAY:
                lengths[key] = self._array(key, short)
            else:
                metadata[key] = self._value(kind)
        return Header(version, metadata, lengths, self._tensors(tensors, metadata), self._size, short)

    def _tensors(self, count: int, metadata: dict[str, Scalar]) -> tuple[ListedTensor, ...]:
        """The list of tensors. Refuses a file that ends before the last of them."""
        tensors = []
        end = 0
        for _ in range(count):
            name = self._string(MAX_KEY)
            dimensions = self._bounded(self._integer("<I"), MAX_DIMENSIONS, "dimensions of one tensor")
            weights = 1
            shape = []
            for _ in range(dimensions):
                shape.append(self._integer("<Q"))
                weights = self._bounded(weights * shape[-1], 1 << 48, "weights in one tensor")
            kind = self._integer("<I")
            tensors.append(ListedTensor(name, tuple(shape), kind))
            offset = self._integer("<Q")
            per_block, block_bytes = _BLOCKS.get(kind, (1, 0))
            end = max(end, offset + -(-weights // per_block) * block_bytes)
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise self._absurd(f"an alignment of {alignment}")
        start = -(-self._at // alignment) * alignment
        if tensors and start + end > self._size:
            raise ModelUnavailable(
                f"the GGUF file {str(self._path)!r} is truncated: {self._size} of {start + end} bytes",
                "fetch or copy it again",
            )
        return tuple(tensors)

    def _take(self, count: int) -> int:
        """Moves on by `count` bytes; returns where they begin."""
        begin = self._at
        if begin + count > len(self._view):
            if self._size > len(self._view):
                raise self._absurd(f"a header longer than {MAX_HEADER >> 20} MiB")
            raise ModelUnavailable(
                f"the GGUF file {str(self._path)!r} is truncated within its header", "fetch or copy it again"
            )
        self._at = begin + count
        return begin

    def _integer(self, form: str) -> int:
        value: int = struct.unpack_from(form, self._view, self._take(struct.calcsize(form)))[0]
        return value

    def _string(self, limit: int) -> str:
        length = self._bounded(self._integer("<Q"), limit, "bytes in one string")
        begin = self._take(length)
        return self._view[begin : begin + length].decode("utf-8", errors="replace")

    def _value(self, kind: int) -> Scalar:
        if kind == _STRING:
            return self._string(MAX_STRING)
        if kind not in _FORMATS:
            raise self._absurd(f"a value of type {kind}")
        value: Scalar = struct.unpack_from(_FORMATS[kind], self._view, self._take(_SIZES[kind]))[0]
        return value

    def _array(self, key: str, short: dict[str, tuple[int, ...]]) -> int:
        """The length of an array, which is kept in `short` if it is short and of whole numbers."""
        kind = self._integer("<I")
        length = self._integer("<Q")
        if kind == _STRING:
            self._skip_strings(self._bounded(length, MAX_HEADER // 8, "strings in one array"))
        elif kind in _SIZES:
            begin = self._take(self._bounded(length, MAX_HEADER, "elements in one array") * _SIZES[kind])
            if length <= MAX_SHORT and kind in _WHOLE:
                short[key] = struct.unpack_from(f"<{length}{_FORMATS[kind][1]}", self._view, begin)
        else:
            raise self._absurd(f"an array of type {kind}")
        return length

    def _skip_strings(self, count: int) -> None:
        # A vocabulary has up to some 260,000 strings: a plain loop over local names, checked once per string.
        view, at, end, unpack = self._view, self._at, len(self._view), struct.Struct("<Q").unpack_from
        for _ in range(count):
            if at + 8 > end:
                break
            at += 8 + unpack(view, at)[0]
        else:
            if at <= end:
                self._at = at
                return
        self._at = end
        self._take(8)  # raises: the strings run past the end of what may be read

    def _bounded(self, value: int, limit: int, what: str) -> int:
        if value > limit:
            raise self._absurd(f"{value} {what}")
        return value

    def _absurd(self, what: str) -> ModelUnavailable:
        return ModelUnavailable(
            f"the GGUF file {str(self._path)!r} is damaged: it announces {what}", "fetch or copy it again"
        )
