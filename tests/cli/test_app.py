"""`edge-ttp app`: what the window is started with, its exit code, and what is missing."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from edge_ttp.app import launch as launching
from edge_ttp.app.single import AppWish
from edge_ttp.cli.main import run


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have been launched; the first ends with exit code 0, all others with 3."""
    made: list[dict[str, Any]] = []

    def launch(_: object, wish: AppWish, **others: Any) -> int:
        made.append({"wish": wish, **others})
        return 0 if len(made) == 1 else 3

    monkeypatch.setattr(launching, "launch", launch)
    return made


def test_the_window_is_shown_with_the_options_of_its_server(started: list[dict[str, Any]]) -> None:
    assert run(["app", "--model", "own", "--threads", "3", "--browser"]) == 0
    (made,) = started
    assert made["wish"] == AppWish(show=True)
    assert made["options"] == ["--model", "own", "--threads", "3"]
    assert made["browser"] is True


def test_its_exit_code_is_the_apps(started: list[dict[str, Any]]) -> None:
    assert run(["app"]) == 0
    assert started[0]["options"] == []
    assert run(["app"]) == 3


def test_without_the_extra_nothing_is_started(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run(["app"]) == 9
    assert "`edge-ttp app` needs the package 'uvicorn'; install the extra" in capsys.readouterr().err
    assert started == []
