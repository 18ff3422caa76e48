"""Another quantization of a GGUF file, made by llama.cpp in a process of its own.

llama.cpp's quantizer can neither be cancelled nor be trusted to fail without ending its process. In a child it can be
stopped at any moment, and what it takes of the memory is given back.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import Cancelled, InvalidInput, ModelUnavailable, OutOfCapacity

# llama.h, enum llama_ftype
_FILE_TYPES = {
    "F16": 1, "BF16": 32, "Q8_0": 7, "Q6_K": 18, "Q5_K_M": 17, "Q5_1": 9, "Q5_0": 8, "Q4_K_M": 15, "Q4_1": 3,
    "Q4_0": 2,
}  # fmt: skip
FORMATS = tuple(_FILE_TYPES)
"""The formats that can be made, from the largest to the smallest."""

MARGIN = 8 << 20
"""Bytes that must stay free on the target's disk."""

_MIB = 1 << 20
_ERROR = 4  # ggml_log_level GGML_LOG_LEVEL_ERROR
_SIZES = re.compile(r"(model|quant) size\s*=\s*([0-9.]+) MiB")
_STEP = re.compile(r"\[\s*(\d+)/\s*(\d+)\]")
_FALLBACK = re.compile(r"(\d+) of \d+ tensor\(s\) required fallback")
_CHILD = "from edge_ttp.policy.bindings import quantizing; quantizing.child()"

Progress = Callable[[int, int], None]
"""Called with the tensors done so far, and all tensors."""


@dataclass(frozen=True)
class Quantized:
    """What a quantization gives."""

    size_bytes: int
    """Size of the file; of a dry run, the size it would have (within some 20 kB)."""
    fallbacks: int
    """Tensors whose shape the format cannot hold: they are in a larger one."""


def quantize(
    source: Path,
    target: Path | None,
    format: str,
    *,
    threads: int,
    allow_requantize: bool = False,
    imatrix: Mapping[str, npt.NDArray[np.float32]] | None = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Quantized:
    """Writes the GGUF file `source` to `target` in another format; without a target only tells how large it would be.

    `allow_requantize` admits a source that is quantized itself: what that lost stays lost, and more is added.
    `imatrix` holds, for each tensor by name, the mean squared activation of every input column; K-quants and the
    4- and 5-bit formats round with it where it matters least. The caller owns `target`: a failed call leaves nothing
    there. Raises InvalidInput, ModelUnavailable (source), OutOfCapacity (disk, memory) or Cancelled.
    """
    if format not in _FILE_TYPES:
        raise InvalidInput(f"the format {format!r} cannot be made", f"choose one of {', '.join(FORMATS)}")
    if threads < 1:
        raise InvalidInput(f"threads={threads} cannot quantize", "choose 1 or more")
    if not source.is_file():
        raise ModelUnavailable(f"there is no model file {str(source)!r}", "see `edge-ttp models list`")
    if target is not None and target.exists() and target.samefile(source):
        raise InvalidInput(f"{str(source)!r} cannot be written over while it is read", "choose another target")
    with tempfile.TemporaryDirectory(prefix="edge-ttp-quantize-") as folder:
        order = {
            "source": str(source.absolute()),
            "target": str(target.absolute()) if target is not None else "",
            "file_type": _FILE_TYPES[format],
            "threads": threads,
            "allow_requantize": allow_requantize,
            "imatrix": _kept(imatrix, Path(folder)),
        }
        if target is not None:
            planned = _run({**order, "target": ""}, Path(folder), None, cancel)
            _refuse_unwritable(target, planned.size_bytes)
        try:
            return _run(order, Path(folder), progress, cancel)
        except BaseException:
            if target is not None and target.is_file():
                target.unlink()
            raise


def _kept(imatrix: Mapping[str, npt.NDArray[np.float32]] | None, folder: Path) -> str:
    """The importance matrix as a file for the child; empty where there is none."""
    if not imatrix:
        return ""
    columns = {name: np.asarray(values, dtype=np.float32).ravel() for name, values in imatrix.items()}
    for name, values in columns.items():
        if not values.size or not np.isfinite(values).all() or (values < 0).any():
            raise InvalidInput(f"the importance of {name!r} is not a list of numbers >= 0", "compute it again")
    path = folder / "imatrix.npz"
    np.savez(path, **columns)  # type: ignore[arg-type]  # numpy's stub takes every keyword for allow_pickle
    return str(path)


def _refuse_unwritable(target: Path, size: int) -> None:
    if not target.parent.is_dir():
        raise InvalidInput(f"there is no folder {str(target.parent)!r}", "make it, or write elsewhere")
    free = shutil.disk_usage(target.parent).free
    if free < size + MARGIN:
        raise OutOfCapacity(
            f"{target.name!r} needs {(size + MARGIN) // _MIB} MiB, {free // _MIB} MiB are free in "
            f"{str(target.parent)!r}",
            "make room, or set EDGE_TTP_HOME to a folder on a larger disk",
        )


def _run(order: Mapping[str, Any], folder: Path, progress: Progress | None, cancel: Event | None) -> Quantized:
    """The child's answer to `order`."""
    package = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    with (
        (folder / "stderr").open("w+b") as complaints,
        subprocess.Popen(
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
            encoding="utf-8",
            cwd=folder,  # a core dump goes where it is removed
            start_new_session=True,  # Ctrl-C is for this process, which then ends the child
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        answer: dict[str, Any] = {}
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(order) + "\n")
                process.stdin.flush()
            for line in process.stdout:
                if cancel is not None and cancel.is_set():
                    raise Cancelled("the quantization was cancelled")
                said = json.loads(line)
                if isinstance(said, list):
                    if progress is not None:
                        progress(*said)
                else:
                    answer = said
        except BaseException:
            process.kill()
            raise
        code = process.wait()
        complaints.seek(0)
        last = complaints.read()[-2000:].decode("utf-8", "replace").strip().splitlines()[-1:]
    if "size_bytes" in answer:
        return Quantized(**answer)
    raise _failure(str(order["source"]), answer.get("error", ""), code, " ".join(last))


def _failure(source: str, reason: str, code: int, last_line: str) -> Exception:
    """The error for a child that failed: with a `reason` of llama.cpp's, or dead with `code` and a last line."""
    if "requantizing from type" in reason:
        return InvalidInput(f"{source!r} is quantized already", "give an F16 file, or allow it to be quantized again")
    if "iostream" in reason or "bad_alloc" in reason:
        what = "memory" if "bad_alloc" in reason else "disk"
        return OutOfCapacity(f"quantizing {source!r} failed: the {what} is full or cannot be written", "make room")
    if reason:
        return ModelUnavailable(f"llama.cpp cannot quantize {source!r} ({reason})", "give another GGUF file")
    return ModelUnavailable(
        f"llama.cpp ended while quantizing {source!r} (code {code}: {last_line[:200] or 'no reason given'})",
        "check the file with `edge-ttp models verify`, and that there is memory",
    )


def child() -> None:
    """Carries out the order on stdin: lines of JSON on stdout, [done, all] per tensor, and the answer last."""
    order = json.loads(sys.stdin.readline())
    try:
        answer: dict[str, Any] = asdict(_quantize_here(order))
    except (ModelUnavailable, MemoryError) as error:
        answer = {"error": str(getattr(error, "fact", "bad_alloc"))}
    print(json.dumps(answer), flush=True)


def _quantize_here(order: Mapping[str, Any]) -> Quantized:
    from edge_ttp.policy.bindings.library import llama_cpp

    sizes: dict[str, float] = {}
    failures: list[str] = []
    fallbacks = 0

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
    def listen(level: int, text: bytes, _data: Any) -> None:
        nonlocal fallbacks
        line = text.decode("utf-8", "replace")
        if level == _ERROR:
            failures.append(line.strip())
        elif step := _STEP.match(line):
            print(json.dumps([int(step[1]), int(step[2])]), flush=True)
        elif size := _SIZES.search(line):
            sizes[size[1]] = float(size[2]) * _MIB
        elif found := _FALLBACK.search(line):
            fallbacks = int(found[1])

    llama_cpp.llama_log_set(listen, ctypes.c_void_p(0))
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = order["file_type"]
    parameters.nthread = order["threads"]
    parameters.allow_requantize = order["allow_requantize"]
    parameters.dry_run = not order["target"]
    importance = _native_imatrix(llama_cpp, order["imatrix"])
    if importance is not None:
        parameters.imatrix = importance[0]
    source, target = os.fsencode(order["source"]), os.fsencode(order["target"] or os.devnull)
    if llama_cpp.llama_model_quantize(source, target, ctypes.byref(parameters)) != 0:
        raise ModelUnavailable("; ".join(failures)[-300:] or "no reason given")
    if order["target"]:
        return Quantized(Path(order["target"]).stat().st_size, fallbacks)
    # Everything but the weights (the vocabulary above all) is copied as it is.
    rest = Path(order["source"]).stat().st_size - sizes["model"]
    return Quantized(round(sizes["quant"] + rest), fallbacks)


def _native_imatrix(llama_cpp: Any, path: str) -> tuple[Any, list[Any]] | None:
    """The file's importance matrix as llama.cpp's array, ended by an entry without a name, and what it points into."""
    if not path:
        return None
    with np.load(path, allow_pickle=False) as stored:
        columns = {name: np.ascontiguousarray(stored[name]) for name in stored.files}
    entries = (llama_cpp.llama_model_imatrix_data * (len(columns) + 1))()
    keep: list[Any] = [entries]
    for entry, (name, values) in zip(entries, columns.items(), strict=False):
        encoded = name.encode()
        keep += [encoded, values]
        entry.name = encoded
        entry.data = values.ctypes.data_as(type(entry.data))
        entry.size = values.size
    return entries, keep
