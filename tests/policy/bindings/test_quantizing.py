"""llama.cpp's quantizer in its child process: what it makes, and every way in which it can fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest

from edge_ttp.errors import Cancelled, InvalidInput, ModelUnavailable, OutOfCapacity
from edge_ttp.policy.bindings import FORMATS, quantize, quantizing
from edge_ttp.registry import read_header
from policy.tiny import INNER, WIDTH, language_model

pytestmark = pytest.mark.slow


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return language_model(tmp_path / "tiny.gguf")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_made_and_its_size_is_known_beforehand(tiny: Path, tmp_path: Path, format: str) -> None:
    target = tmp_path / "made.gguf"
    planned = quantize(tiny, None, format, threads=1)
    made = quantize(tiny, target, format, threads=1)
    assert read_header(target).file_type == format
    assert made.size_bytes == target.stat().st_size
    assert abs(planned.size_bytes - made.size_bytes) < 20_000
    assert planned.fallbacks == made.fallbacks
    assert (made.fallbacks > 0) == (format not in ("F16", "BF16", "Q8_0")), "a width of 64 holds no block of 256"


def test_progress_is_told_tensor_by_tensor(tiny: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    quantize(tiny, tmp_path / "made.gguf", "Q8_0", threads=1, progress=lambda *step: seen.append(step))
    assert seen == [(number, 21) for number in range(1, 22)]


def test_a_quantized_source_is_quantized_again_only_when_allowed(tiny: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "q4_1.gguf", tmp_path / "made.gguf"
    quantize(tiny, source, "Q4_1", threads=1)
    with pytest.raises(InvalidInput, match="is quantized already"):
        quantize(source, target, "Q4_0", threads=1)
    assert not target.exists()
    quantize(source, target, "Q4_0", threads=1, allow_requantize=True)
    assert read_header(target).file_type == "Q4_0"


def test_an_importance_matrix_changes_the_rounding(tiny: Path, tmp_path: Path) -> None:
    plain, weighted = tmp_path / "plain.gguf", tmp_path / "weighted.gguf"
    quantize(tiny, plain, "Q4_1", threads=1)
    importance = {
        f"blk.{layer}.ffn_down.weight": np.linspace(0.01, 9, INNER, dtype=np.float32) for layer in range(2)
    } | {"blk.0.attn_q.weight": np.linspace(0.01, 9, WIDTH, dtype=np.float32)}
    quantize(tiny, weighted, "Q4_1", threads=1, imatrix=importance)
    assert plain.read_bytes() != weighted.read_bytes()
    with pytest.raises(ModelUnavailable, match="imatrix size"):
        quantize(tiny, weighted, "Q4_1", threads=1, imatrix={"blk.0.attn_q.weight": np.ones(5, dtype=np.float32)})
    assert not weighted.exists()


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf], [-1.0]])
def test_an_importance_that_is_none_is_refused(tiny: Path, values: list[float]) -> None:
    with pytest.raises(InvalidInput, match="importance of 'w'"):
        quantize(tiny, None, "Q4_0", threads=1, imatrix={"w": np.array(values, dtype=np.float32)})


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda tiny: quantize(tiny, None, "Q3", threads=1), InvalidInput, "'Q3' cannot be made; choose one of F16"),
        (lambda tiny: quantize(tiny, None, "F16", threads=0), InvalidInput, "threads=0"),
        (lambda tiny: quantize(tiny.with_name("no"), None, "F16", threads=1), ModelUnavailable, "no model file"),
        (lambda tiny: quantize(tiny, tiny, "F16", threads=1), InvalidInput, "written over while it is read"),
        (lambda tiny: quantize(tiny, tiny / "x" / "y", "F16", threads=1), InvalidInput, "no folder"),
    ],
)
def test_bad_arguments_are_one_line(
    tiny: Path, call: Callable[[Path], object], error: type[Exception], words: str
) -> None:
    before = tiny.read_bytes()
    with pytest.raises(error, match=words):
        call(tiny)
    assert tiny.read_bytes() == before


@pytest.mark.parametrize("damage", ["text", "truncated", "empty"])
def test_a_source_that_is_no_model_is_one_line_and_leaves_nothing(tiny: Path, tmp_path: Path, damage: str) -> None:
    data = {"text": b"# edge-ttp\n" * 99, "truncated": tiny.read_bytes()[:-5000], "empty": b""}[damage]
    tiny.write_bytes(data)
    with pytest.raises(ModelUnavailable, match="cannot quantize"):
        quantize(tiny, tmp_path / "made.gguf", "Q8_0", threads=1)
    assert not (tmp_path / "made.gguf").exists()


def test_a_native_crash_is_an_error_of_this_process_not_its_end(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "made.gguf"
    crash = (
        "import json, os, sys\n"
        "target = json.loads(sys.stdin.readline())['target']\n"
        "if not target:\n"
        "    print(json.dumps({'size_bytes': 1, 'fallbacks': 0}))\n"
        "else:\n"
        "    open(target, 'w').write('half')\n"
        "    os.write(2, b'GGML_ASSERT(x) failed')\n"
        "    os.abort()\n"
    )
    monkeypatch.setattr(quantizing, "_CHILD", crash)
    with pytest.raises(ModelUnavailable, match=r"ended while quantizing .* \(code -6: GGML_ASSERT\(x\) failed\)"):
        quantize(tiny, target, "Q8_0", threads=1)
    assert not target.exists()


def test_a_cancel_ends_the_child_and_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    cancel = Event()
    with pytest.raises(Cancelled):
        quantize(tiny, tmp_path / "made.gguf", "Q8_0", threads=1, progress=lambda *_: cancel.set(), cancel=cancel)
    assert not (tmp_path / "made.gguf").exists()


def test_ctrl_c_while_quantizing_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quantize(tiny, tmp_path / "made.gguf", "Q8_0", threads=1, progress=interrupt)
    assert not (tmp_path / "made.gguf").exists()


def test_a_full_disk_is_refused_beforehand(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    with pytest.raises(OutOfCapacity, match="needs 8 MiB, 1 MiB are free"):
        quantize(tiny, tmp_path / "made.gguf", "Q8_0", threads=1)


def test_a_disk_that_fills_while_writing_is_one_line(tiny: Path) -> None:
    device = Path("/dev/full")
    if not device.is_char_device():
        pytest.fail("this machine has no /dev/full")
    with pytest.raises(OutOfCapacity, match="the disk is full or cannot be written"):
        quantize(tiny, device, "Q8_0", threads=1)
    assert device.is_char_device(), "what is no file is never removed"
