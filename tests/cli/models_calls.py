"""`edge-ttp models` in this process, as the tests of its commands call it."""

from __future__ import annotations

import pytest

from edge_ttp.cli.main import run


def out(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What `edge-ttp models ARGUMENTS` prints on stdout; checks the exit code."""
    assert run(["models", *arguments]) == code
    return capsys.readouterr().out
