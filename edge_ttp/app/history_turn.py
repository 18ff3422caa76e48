"""Encrypting the history from the window, and back: by this program's own command, while nobody else has it open."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from edge_ttp.app.model_process import own_program

WISHES = {"encrypt": ("encrypt", "--recovery-key"), "decrypt": ("decrypt",), "recovery-key": ("recovery-key",)}
"""What the page may wish, and the command of `edge-ttp history` that fulfils it."""


@dataclass(frozen=True)
class HistoryTurn:
    """What became of a wish."""

    wish: str
    recovery_key: str
    """Opens the history where the keyring is lost; empty where there is none."""
    error: str
    """Why nothing was changed; empty where the wish is fulfilled."""
    cure: str


def turned(wish: str, program: Sequence[str] | None = None) -> HistoryTurn:
    """Fulfils one of WISHES; the process that has the history open must have ended. Never raises: it says what failed.

    `program`: how edge-ttp is started, None for this one.
    """
    command = [*(own_program() if program is None else program), "history", *WISHES[wish], "--json"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        return HistoryTurn(wish, "", f"{command[0]} cannot be started ({error.strerror or error})", "")
    try:
        told = json.loads(done.stdout)
        if done.returncode == 0:
            return HistoryTurn(wish, str(told.get("recovery_key", "")), "", "")
        return HistoryTurn(wish, "", str(told["error"]["message"]), str(told["error"].get("cure", "")))
    except (ValueError, TypeError, KeyError, AttributeError):
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return HistoryTurn(wish, "", lines[-1][:300] if lines else f"it ended with {done.returncode}", "")
