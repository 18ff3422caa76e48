"""What a terminal shows while candidates are drawn, and what is kept from controlling it."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from edge_ttp.cli.leading import _Shown, leading
from edge_ttp.cli.output import harmless
from edge_ttp.schema import Event


def rendered(shown: _Shown) -> str:
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()


def test_the_leading_text_is_marked_as_not_the_answer() -> None:
    shown = _Shown(24)
    assert "recalling" in rendered(shown)
    shown.hear(Event(type="planned", n=8))
    assert rendered(shown) == "drawing 8 candidates, 0 complete, 0 tokens\n"
    shown.hear(Event(type="leading", candidate=2, text="roses and\x1b[31m thorns"))
    shown.hear(Event(type="finished", candidate=0, finish_reason="stop", text="x"))
    shown.hear(Event(type="progress", tokens=(3, 4)))
    assert rendered(shown) == (
        "drawing 8 candidates, 1 complete, 7 tokens; candidate 3 leads, not the answer \n"
        "yet:\nroses and\N{REPLACEMENT CHARACTER}[31m thorns\n"
    )


def test_of_a_long_text_the_end_is_shown() -> None:
    shown = _Shown(10)
    shown.hear(Event(type="planned", n=1))
    shown.hear(Event(type="leading", candidate=0, text="\n".join(f"line {n}" for n in range(100))))
    lines = rendered(shown).splitlines()
    assert lines[-1] == "line 99"
    assert len(lines) <= 10


def test_without_a_terminal_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with leading() as hear:
        hear(Event(type="planned", n=8))
    assert capsys.readouterr() == ("", "")
    assert not sys.stderr.isatty()


def test_a_text_cannot_control_the_terminal() -> None:
    assert harmless("a\x1b]52;c;eA==\x07b\tc\nd\x9b1m\u202e") == "a�]52;c;eA==�b\tc\nd�1m�"
    assert harmless("Grüße 😀 日本") == "Grüße 😀 日本"
