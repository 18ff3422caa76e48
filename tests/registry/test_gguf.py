"""GGUF headers are untrusted: real ones are read, damaged ones are one clear error."""

from __future__ import annotations

import ctypes
import struct
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.errors import ModelUnavailable
from edge_ttp.registry import gguf as room
from edge_ttp.registry.gguf import Header, read_header

from .makers import POLICY, gguf


def read(tmp_path: Path, data: bytes) -> Header:
    path = tmp_path / "m.gguf"
    path.write_bytes(data)
    return read_header(path)


@pytest.mark.parametrize("version", [2, 3])
def test_a_header_tells_what_the_model_is(tmp_path: Path, version: int) -> None:
    header = read(tmp_path, gguf(version=version))
    assert (header.architecture, header.context, header.file_type) == ("llama", 4096, "Q4_0")
    assert header.has_chat_template
    assert header.array_lengths == {"tokenizer.ggml.tokens": 3, "tokenizer.ggml.scores": 3}
    assert len(header.tensors) == 1
    assert not header.is_embedding
    assert not header.is_adapter


def test_a_header_that_says_little_has_no_guesses(tmp_path: Path) -> None:
    header = read(tmp_path, gguf({}))
    assert (header.architecture, header.context, header.file_type, header.has_chat_template) == ("", None, "", False)


@pytest.mark.parametrize(
    ("metadata", "embedding"),
    [
        ({"general.architecture": "bert"}, True),
        ({"general.architecture": "nomic-bert"}, True),
        ({"general.architecture": "qwen3", "qwen3.pooling_type": 3}, True),
        ({"general.architecture": "qwen3", "qwen3.pooling_type": 0}, False),
        ({"general.architecture": "qwen3"}, False),
    ],
)
def test_embedding_models_are_recognized(tmp_path: Path, metadata: dict[str, object], embedding: bool) -> None:
    assert read(tmp_path, gguf(metadata)).is_embedding is embedding


@pytest.mark.parametrize("data", [b"", b"GGUF", b"PK\x03\x04" + bytes(100), b"\x89PNG" + bytes(100), bytes(1000)])
def test_other_files_are_not_gguf(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelUnavailable, match="not a GGUF file"):
        read(tmp_path, data)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    whole = gguf()
    for length in range(24, len(whole), 3):
        with pytest.raises(ModelUnavailable, match="truncated"):
            read(tmp_path, whole[:length])
    assert len(read(tmp_path, whole).tensors) == 1


@pytest.mark.parametrize(("version", "words"), [(1, "version 1"), (4, "version 4"), (3 << 24, "big-endian")])
def test_versions_nobody_writes_are_refused(tmp_path: Path, version: int, words: str) -> None:
    with pytest.raises(ModelUnavailable, match=words):
        read(tmp_path, gguf(version=version))


def _key(name: str) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode()


@pytest.mark.parametrize(
    "body",
    [
        struct.pack("<QQ", 2**63, 0),
        struct.pack("<QQ", 0, 2**40),
        struct.pack("<QQQ", 0, 1, 2**50),
        struct.pack("<QQ", 0, 1) + _key("k") + struct.pack("<IQ", 8, 2**40),
        struct.pack("<QQ", 0, 1) + _key("k") + struct.pack("<IIQ", 9, 8, 2**60),
        struct.pack("<QQ", 0, 1) + _key("k") + struct.pack("<IIQ", 9, 4, 2**60),
        struct.pack("<QQ", 0, 1) + _key("k") + struct.pack("<IIQ", 9, 9, 1),
        struct.pack("<QQ", 0, 1) + _key("k") + struct.pack("<I", 77),
        struct.pack("<QQ", 1, 0) + _key("t") + struct.pack("<I", 9),
        struct.pack("<QQ", 1, 0) + _key("t") + struct.pack("<IQQIQ", 2, 2**60, 2**60, 0, 0),
        struct.pack("<QQ", 1, 1) + _key("general.alignment") + struct.pack("<II", 4, 0) + _key("t") + bytes(16),
    ],
)
def test_absurd_lengths_are_refused_at_once(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(ModelUnavailable, match=r"damaged|truncated"):
        read(tmp_path, b"GGUF" + struct.pack("<I", 3) + body + bytes(64))


def test_an_array_of_strings_that_runs_past_the_end_is_refused(tmp_path: Path) -> None:
    array = struct.pack("<IIQ", 9, 8, 2) + _key("ok") + struct.pack("<Q", 2**62)
    with pytest.raises(ModelUnavailable, match="truncated"):
        read(tmp_path, b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + _key("k") + array + bytes(64))


def test_a_tensor_placed_beyond_the_file_is_a_truncation(tmp_path: Path) -> None:
    tensor = _key("t") + struct.pack("<IQIQ", 1, 32, 0, 1 << 40)
    with pytest.raises(ModelUnavailable, match="truncated"):
        read(tmp_path, b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + tensor + bytes(64))


@settings(max_examples=300)
@given(st.integers(4, len(gguf()) - 1), st.binary(min_size=1, max_size=12))
def test_a_damaged_header_is_read_or_refused_never_worse(
    tmp_path_factory: pytest.TempPathFactory, at: int, damage: bytes
) -> None:
    data = bytearray(gguf())
    data[at : at + len(damage)] = damage
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(data)
    try:
        header = read_header(path)
    except ModelUnavailable:
        return
    assert header.file_bytes == len(data)
    assert len(header.metadata) <= len(POLICY)


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: None])
def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path, make: object) -> None:
    path = tmp_path / "x.gguf"
    make(path)  # type: ignore[operator]
    with pytest.raises(ModelUnavailable, match=r"cannot read .*x\.gguf"):
        read_header(path)


def test_tensor_sizes_are_those_of_the_engine() -> None:
    spec = find_spec("llama_cpp")
    assert spec is not None
    assert spec.origin is not None
    library = next(
        path for path in Path(spec.origin).parent.glob("lib/*ggml-base*") if path.suffix in (".so", ".dylib", ".dll")
    )
    ggml = ctypes.CDLL(str(library))
    ggml.ggml_blck_size.restype = ctypes.c_int64
    ggml.ggml_type_size.restype = ctypes.c_size_t
    for kind, blocks in room._BLOCKS.items():
        assert (ggml.ggml_blck_size(kind), ggml.ggml_type_size(kind)) == blocks
