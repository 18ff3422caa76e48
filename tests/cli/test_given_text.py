"""Text that a command is given: as an argument, piped in, or in a file."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.command import FAKED, edge_ttp, model_files, one_object

from edge_ttp.cli.given_text import MAX_STDIN_BYTES, read_documents, read_text
from edge_ttp.errors import InvalidInput

pytestmark = pytest.mark.slow


def test_a_dash_reads_standard_input_as_utf_8_whatever_the_terminal_says(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, "zwei\nZeilen, café\n".encode())
    assert read_text("-") == "zwei\nZeilen, café"
    assert read_text("as it is\n") == "as it is\n"


@pytest.mark.parametrize("data", [b"\xff\xfe\x00binary", b"fine so far \x80"])
def test_binary_input_is_refused(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    stdin(monkeypatch, data)
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_text("-")


def test_endless_input_is_refused_without_reading_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"x" * (MAX_STDIN_BYTES + 2))
    with pytest.raises(InvalidInput, match="longer than"):
        read_text("-")
    assert sys.stdin.buffer.read() == b"x"


def test_a_standard_input_that_cannot_be_read_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.TextIOWrapper(io.BytesIO(b"x"))
    closed.close()
    for broken in (closed, None):
        monkeypatch.setattr(sys, "stdin", broken)
        with pytest.raises(InvalidInput, match="standard input cannot be read"):
            read_text("-")


def piped(tmp_path: Path, data: bytes, *arguments: str, code: int = 0) -> dict[str, Any]:
    """`generate ARGUMENTS` in a process of its own with `data` piped in; returns what it printed as JSON."""
    plain = ["--user", "ann", "--n", "2", "--max-tokens", "4", "--json", *model_files(tmp_path)]
    done = edge_ttp("generate", *arguments, *plain, program=FAKED, stdin=data)
    assert done.returncode == code, done.stderr
    return one_object(done.stdout)


def test_what_is_piped_in_belongs_to_the_prompt(tmp_path: Path) -> None:
    made = piped(tmp_path, b"line one\r\nline two\r\n", "summarize this")
    assert made["prompt"] == "summarize this\n\nline one\nline two"


@pytest.mark.parametrize(
    "data",
    [
        "Grüße, wo?\n".encode(),
        "\ufeffGrüße, wo?\r\n".encode(),
        "\ufeffGrüße, wo?\r\n".encode("utf-16-le"),
        "\ufeffGrüße, wo?".encode("utf-16-be"),
    ],
)
def test_without_an_argument_standard_input_is_the_prompt(tmp_path: Path, data: bytes) -> None:
    assert piped(tmp_path, data)["prompt"] == "Grüße, wo?"


def test_an_empty_pipe_adds_nothing(tmp_path: Path) -> None:
    assert piped(tmp_path, b"\n", "what grows here")["prompt"] == "what grows here"
    second = tmp_path / "second"
    second.mkdir()
    assert "the prompt is empty" in piped(second, b"", code=2)["error"]["message"]


@pytest.mark.parametrize("data", [b"\xff\xd8 no text", b"a\0b"])
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "is no" in piped(tmp_path, data, "describe", code=2)["error"]["message"]


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))


def test_documents_that_cannot_be_read_or_are_no_text_are_named(tmp_path: Path) -> None:
    sound = tmp_path / "one.txt"
    sound.write_bytes(b"\xef\xbb\xbfpear trees\r\n")
    assert read_documents([sound]) == ("pear trees",)
    assert read_documents(None) == ()
    (tmp_path / "x.gguf").write_bytes(b"GGUF\x03\0\0\0")
    (tmp_path / "big").write_bytes(b"x" * (MAX_STDIN_BYTES + 1))
    for name, words in (
        ("missing.txt", "cannot read"),
        ("", "cannot read"),
        ("x.gguf", "is no text"),
        ("big", "longer"),
    ):
        with pytest.raises(InvalidInput, match=words) as raised:
            read_documents([sound, tmp_path / name])
        assert "\n" not in str(raised.value)
