"""`edge-ttp history` in this process."""

from __future__ import annotations

import pytest

from edge_ttp.cli.main import run

from .history_calls import Invoke


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str]) -> Invoke:
    """Runs `edge-ttp history ARGUMENTS`, checks the exit code, and returns stdout; `stderr=True` returns stderr."""

    def call(*arguments: str, code: int = 0, stderr: bool = False) -> str:
        capfd.readouterr()
        assert run(["history", *arguments]) == code, capfd.readouterr().err
        captured = capfd.readouterr()
        assert "Traceback" not in captured.err
        return captured.err if stderr else captured.out

    return call
