"""`edge-ttp compose`: what the small window is given to answer."""

from __future__ import annotations

import io
import sys

import pytest

from edge_ttp.app import launch as launching
from edge_ttp.app.single import AppWish
from edge_ttp.cli.main import run


@pytest.fixture
def wishes(monkeypatch: pytest.MonkeyPatch) -> list[AppWish]:
    made: list[AppWish] = []
    monkeypatch.setattr(launching, "launch", lambda _, wish, **others: made.append(wish) or 0)
    return made


def test_the_text_the_clipboard_or_nothing_is_answered(wishes: list[AppWish], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("piped ü\n".encode())))
    for arguments in ([], ["Lunch?"], ["-"], ["--clipboard"]):
        assert run(["compose", *arguments]) == 0
    assert [(wish.text.strip(), wish.clipboard, wish.show) for wish in wishes] == [
        ("", False, False),
        ("Lunch?", False, False),
        ("piped ü", False, False),
        ("", True, False),
    ]


def test_a_text_and_the_clipboard_exclude_each_other(wishes: list[AppWish], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compose", "Lunch?", "--clipboard"]) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert wishes == []
