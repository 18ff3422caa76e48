"""What is said to `edge-ttp chat`: lines that are piped in, and keys on a terminal (prompt_toolkit's own pipe)."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from edge_ttp.cli import chat_input
from edge_ttp.cli.chat_input import Read, reader
from edge_ttp.errors import Cancelled, InvalidInput


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> Read:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
    return reader(None, ())


def test_lines_come_one_by_one_without_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    read = piped(monkeypatch, "\ufeffone\r\n\n two \nlast".encode())
    assert [read() for _ in range(5)] == ["one", "", " two ", "last", None]


def test_what_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="not UTF-8"):
        piped(monkeypatch, b"\xff\n")()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeInput]:
    """What is typed at a terminal."""
    monkeypatch.setattr("prompt_toolkit.output.create_output", lambda **_: DummyOutput())
    with create_pipe_input() as typing, create_app_session(input=typing):
        yield typing


def test_enter_sends_and_alt_enter_begins_a_line(keys: PipeInput, tmp_path: Path) -> None:
    read = chat_input._Terminal(tmp_path / "typed", ("/edit", "/quit"))
    keys.send_text("one\x1b\rtwo\r")
    assert read() == "one\ntwo"
    keys.send_text("/edit\r")
    assert read() == "/edit"
    assert "+/edit" in (tmp_path / "typed").read_text(encoding="utf-8")
    keys.send_text("\x04")
    assert read() is None


def test_ctrl_c_clears_the_line_and_twice_in_a_row_leaves(keys: PipeInput, capsys: pytest.CaptureFixture[str]) -> None:
    read = chat_input._Terminal(None, ())
    keys.send_text("half a thou\x03")
    keys.send_text("whole\r")
    assert read() == "whole"
    assert capsys.readouterr().err == "Ctrl-D or /quit leaves; Ctrl-C again too\n"
    keys.send_text("\x03\x03")
    with pytest.raises(Cancelled):
        read()
