"""Encrypting from the window: the command's word is taken, and whatever goes wrong is said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_ttp.app.history_turn import WISHES, HistoryTurn, turned


def says(text: str, code: int = 0, errors: str = "") -> list[str]:
    script = f"import sys; print({text!r}); print({errors!r}, file=sys.stderr); sys.exit({code})"
    return [sys.executable, "-c", script]


def test_the_recovery_key_is_handed_on() -> None:
    assert turned("encrypt", says('{"encrypted": true, "recovery_key": "ab-cd"}')) == HistoryTurn(
        "encrypt", "ab-cd", "", ""
    )
    assert turned("decrypt", says('{"encrypted": false}')) == HistoryTurn("decrypt", "", "", "")


def test_a_refusal_is_said_with_its_cure() -> None:
    refusal = '{"error": {"message": "the history is in use", "cure": "close the other program"}}'
    assert turned("encrypt", says(refusal, 5)) == HistoryTurn(
        "encrypt", "", "the history is in use", "close the other program"
    )


@pytest.mark.parametrize("text", ["", "[]", "no json", '{"error": 1}'])
def test_a_command_that_says_nothing_of_use_is_told_by_its_last_words(text: str) -> None:
    done = turned("encrypt", says(text, 9, "killed by somebody"))
    assert (done.error, done.recovery_key) == ("killed by somebody", "")


def test_a_program_that_is_gone_is_said() -> None:
    assert "cannot be started" in turned("encrypt", ["/nowhere/at/all"]).error


@pytest.mark.slow
def test_the_real_command_refuses_where_there_is_no_history(home: Path) -> None:
    for wish in WISHES:
        assert "there is no history" in turned(wish).error
