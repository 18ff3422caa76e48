"""Lines from files, compressed files and standard input."""

from __future__ import annotations

import builtins
import gzip
import io
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from edge_ttp.errors import ExtraMissing, InvalidInput
from edge_ttp.lab.diagnosis import line_source
from edge_ttp.lab.diagnosis.line_source import LineSource


def test_lines_are_numbered_from_one_and_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "pools.jsonl"
    path.write_bytes(b"\xef\xbb\xbfone\ntwo\n\nlast")
    source = LineSource.of(str(path))
    for _ in range(2):
        assert [(number, line) for number, line, _ in source.lines()] == [
            (1, b"one\n"),
            (2, b"two\n"),
            (3, b"\n"),
            (4, b"last"),
        ]
    assert source.size == path.stat().st_size


def test_compressed_lines_are_the_same_lines_whatever_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "pools.jsonl.zst"
    pack = zstandard.ZstdCompressor().compress
    path.write_bytes(pack(b"one\ntw") + pack(b"o\nthree\n"))
    assert [line for _, line, _ in LineSource.of(str(path)).lines()] == [b"one\n", b"two\n", b"three\n"]


def test_compressed_lines_without_zstandard_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pools.jsonl.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(b"one\n"))
    plain = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "zstandard":
            raise ModuleNotFoundError(name="zstandard")
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExtraMissing, match="pip install zstandard"):
        list(LineSource.of(str(path)).lines())


def test_a_damaged_compressed_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "pools.jsonl.zst"
    packed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(b"one\n" * 1000))
    packed[10] ^= 0xFF
    path.write_bytes(packed)
    with pytest.raises(InvalidInput, match="damaged"):
        list(LineSource.of(str(path)).lines())


def test_a_line_that_is_too_long_is_passed_over_without_being_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_source, "MAX_LINE", 10)
    monkeypatch.setattr(line_source, "_SKIP", 7)
    path = tmp_path / "pools.jsonl"
    path.write_bytes(b"short\n" + b"x" * 100 + b"\n" + b"y" * 9 + b"\nend\n" + b"z" * 50)
    assert [line for _, line, _ in LineSource.of(str(path)).lines()] == [
        b"short\n",
        None,
        b"y" * 9 + b"\n",
        b"end\n",
        None,
    ]


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (gzip.compress(b"{}", mtime=0), "gzip"),
        (b"PK\x03\x04rest", "zip"),
        ("{}".encode("utf-16"), "UTF-16"),
        (b"GGUF\0\0\0", "binary"),
    ],
)
def test_what_is_no_text_says_what_it_is(tmp_path: Path, content: bytes, fact: str) -> None:
    path = tmp_path / "pools"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=fact):
        list(LineSource.of(str(path)).lines())


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no file"):
        LineSource.of(str(tmp_path / "nothing"))
    with pytest.raises(InvalidInput, match="folder"):
        LineSource.of(str(tmp_path))


def test_standard_input_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\ntwo\n")))
    source = LineSource.of("-")
    for _ in range(2):
        assert [line for _, line, _ in source.lines()] == [b"one\n", b"two\n"]
    assert source.name == "standard input"
