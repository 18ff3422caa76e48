"""The headers of safetensors files: what tensors there are, and that the files are whole. Untrusted."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.errors import ModelUnavailable

MAX_HEADER = 100 << 20
"""Longest header, in bytes: the limit of the safetensors format."""
_SIZES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
_SIZES |= {"I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}


@dataclass(frozen=True)
class Tensor:
    """One tensor of a checkpoint."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def weights(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in the safetensors file at `path`, by name. Reads its header only.

    Raises ModelUnavailable for a file that cannot be read, is damaged, or ends before the last of them.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(MAX_HEADER, size - 8):
                raise _damaged(path, "its header does not fit into it")
            header = json.loads(file.read(length))
    except OSError as error:
        raise ModelUnavailable(
            f"cannot read {path.name!r}: {error.strerror or error}", "give a readable file"
        ) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not an object")
    tensors, end = {}, 0
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        tensors[name], last = _tensor(path, name, entry)
        end = max(end, last)
    if not tensors:
        raise _damaged(path, "it holds no tensor")
    if 8 + length + end != size:
        raise _damaged(path, f"it has {size} bytes, its header announces {8 + length + end}")
    return tensors


def _tensor(path: Path, name: str, entry: object) -> tuple[Tensor, int]:
    fields = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    numbers = [*shape, *offsets] if isinstance(shape, list) and isinstance(offsets, list) else [None]
    sound = all(isinstance(number, int) and number >= 0 for number in numbers)
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2 or not sound:
        raise _damaged(path, f"the entry of {name[:80]!r} makes no sense")
    tensor = Tensor(str(dtype), tuple(shape))
    if tensor.dtype not in _SIZES or tensor.weights * _SIZES[tensor.dtype] != offsets[1] - offsets[0]:
        raise _damaged(path, f"the entry of {name[:80]!r} makes no sense")
    return tensor, offsets[1]


def _damaged(path: Path, why: str) -> ModelUnavailable:
    return ModelUnavailable(f"the file {path.name!r} is damaged: {why}", "fetch or copy the checkpoint again")
