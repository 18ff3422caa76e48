"""llama.cpp's files of importance matrices: the GGUF kind is written and read, the older binary kind read.

Layout after llama.cpp's tools/imatrix/imatrix.cpp (`save_imatrix`, `save_imatrix_legacy`). Files are untrusted.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.registry.gguf import MAGIC, read_header

Columns = npt.NDArray[np.float32]
_SUMS, _COUNTS = ".in_sum2", ".counts"
_MAX_ENTRIES, _MAX_COLUMNS, _MAX_NAME = 65_536, 1 << 24, 1024


@dataclass(frozen=True)
class ImportanceMatrix:
    """How much each input column of each weight matters: the mean of its squared activations."""

    columns: Mapping[str, Columns]
    """GGUF tensor name -> (columns,)."""
    tokens: int
    """Tokens that it was computed on."""
    text: str
    """Name of the text that it was computed on."""
    chunk: int = 1
    """Tokens of one chunk, as llama.cpp counts them."""


def write_imatrix(matrix: ImportanceMatrix, path: Path) -> None:
    """Writes `matrix` in llama.cpp's GGUF format."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, arch="")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", [matrix.text])
    writer.add_uint32("imatrix.chunk_count", max(1, matrix.tokens // matrix.chunk))
    writer.add_uint32("imatrix.chunk_size", matrix.chunk)
    for name, columns in sorted(matrix.columns.items()):
        writer.add_tensor(name + _SUMS, (columns.astype(np.float64) * matrix.tokens).astype(np.float32)[None])
        writer.add_tensor(name + _COUNTS, np.array([[matrix.tokens]], dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read_imatrix(path: Path) -> ImportanceMatrix:
    """The importance matrix in the file at `path`. Raises ModelUnavailable or InvalidInput."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise ModelUnavailable(f"cannot read {str(path)!r}: {error.strerror or error}", "give a file") from error
    matrix = _read_gguf(path) if start == MAGIC else _read_legacy(path)
    if not matrix.columns:
        raise _malformed(path, "it has no entries")
    for name, columns in matrix.columns.items():
        if not np.isfinite(columns).all() or (columns < 0).any():
            raise _malformed(path, f"the entry of {name!r} holds negative or infinite numbers")
    return matrix


def _read_gguf(path: Path) -> ImportanceMatrix:
    from gguf import GGUFReader

    header = read_header(path)  # checks every length before the library believes one
    if header.metadata.get("general.type") != "imatrix":
        raise _malformed(path, "it is another kind of GGUF file")
    tensors = {tensor.name: np.asarray(tensor.data) for tensor in GGUFReader(path).tensors}
    columns = {}
    tokens = 0
    for name, sums in tensors.items():
        counts = tensors.get(name.removesuffix(_SUMS) + _COUNTS)
        if not name.endswith(_SUMS):
            continue
        if counts is None or counts.size != 1 or sums.dtype != np.float32 or not counts.ravel()[0] > 0:
            raise _malformed(path, f"the entry of {name!r} has no count")  # experts have several: not supported
        tokens = max(tokens, int(counts.ravel()[0]))
        columns[name.removesuffix(_SUMS)] = (sums.ravel() / counts.ravel()[0]).astype(np.float32)
    return ImportanceMatrix(columns, tokens, path.name)


def _read_legacy(path: Path) -> ImportanceMatrix:
    data = path.read_bytes()
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        if count < 0 or at + count > len(data):
            raise _malformed(path, "it is cut short, or no such file at all")
        at += count
        return data[at - count : at]

    def integer(limit: int) -> int:
        value: int = struct.unpack("<i", take(4))[0]
        if not 0 < value <= limit:
            raise _malformed(path, f"it announces {value} entries")
        return value

    columns = {}
    for _ in range(integer(_MAX_ENTRIES)):
        name = take(integer(_MAX_NAME)).decode("utf-8", "replace")
        calls = integer(1 << 30)
        # What stands there is the mean times the number of calls.
        stored = np.frombuffer(take(4 * integer(_MAX_COLUMNS)), dtype="<f4")
        columns[name] = (stored / calls).astype(np.float32)
    return ImportanceMatrix(columns, 0, path.name)


def _malformed(path: Path, why: str) -> InvalidInput:
    return InvalidInput(f"{path.name!r} is no importance matrix: {why}", "make it with --calibrate, or llama-imatrix")
