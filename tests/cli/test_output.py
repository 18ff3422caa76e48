"""What commands print with: durations in, JSON out."""

from __future__ import annotations

import json
import sys

import pytest
import typer

from edge_ttp.cli.output import emit_json, note, parse_duration, progress


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2),
        ("2s", 2),
        ("500ms", 0.5),
        ("5m", 300),
        ("1h", 3600),
        ("30d", 30 * 86400),
        ("1.5s", 1.5),
        (".5", 0.5),
        ("2.", 2),
        (" 2 s ", 2),
        (3.5, 3.5),
    ],
)
def test_durations_are_read_with_and_without_a_unit(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "2x", "2 2", "1e3", "nan", "inf", "two", "2,5", "--2", "0x10", "٣s\n;"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0", "0ms", "-1", "-5m", "9" * 400])
def test_a_duration_must_be_longer_than_nothing_and_finite(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="must be longer than 0"):
        parse_duration(text)


def test_json_keeps_letters_as_they_are_and_escapes_what_is_no_character(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"text": "café ☕"})
    assert "café ☕" in capsys.readouterr().out
    emit_json({"text": "bad \udcff"})
    assert json.loads(capsys.readouterr().out) == {"text": "bad \udcff"}


def test_a_note_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    note("something")
    assert capsys.readouterr() == ("", "something\n")


def test_progress_is_silent_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("working", 3) as advance:
        advance(1)
        advance(3)
    assert capsys.readouterr() == ("", "")


def test_progress_is_drawn_on_a_terminal_and_on_stderr_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    for unit in ("items", "bytes"):
        with progress("working", 3, unit) as advance:
            advance(3)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "working" in printed.err
