"""Copying through the terminal: the sequence, and where it cannot be."""

from __future__ import annotations

import base64
import io
import sys

import pytest

from edge_ttp.cli.clipboard import MOST_BYTES, copy


class Screen(io.StringIO):
    """What a terminal is written to."""

    def isatty(self) -> bool:
        return True


def test_the_terminal_on_stderr_is_asked_in_its_own_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, result = Screen(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "stdout", result)
    assert copy("héllo")
    assert screen.getvalue() == "\x1b]52;c;aMOpbGxv\x07"
    assert base64.b64decode("aMOpbGxv").decode() == "héllo"
    assert result.getvalue() == ""


def test_where_stderr_goes_to_a_file_the_terminal_on_stdout_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys, "stdout", screen)
    assert copy("x")
    assert screen.getvalue() == "\x1b]52;c;eA==\x07"


def test_without_a_terminal_and_beyond_what_it_takes_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    assert not copy("é" * (MOST_BYTES // 2 + 1))  # two bytes each
    assert screen.getvalue() == ""
    for name in ("stderr", "stdout"):
        monkeypatch.setattr(sys, name, None)
    assert not copy("x")
