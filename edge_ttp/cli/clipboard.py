"""Copying an answer: the terminal is asked to put it on the clipboard (OSC 52). Works over ssh, needs no program.

xterm's control sequences, "Operating System Commands", Ps = 52. Most terminals know it; some want it switched on.
"""

from __future__ import annotations

import base64
import sys
from typing import TextIO

MOST_BYTES = 74_994
"""xterm and tmux take no more (100,000 characters with the sequence around them)."""


def copy(text: str) -> bool:
    """Asks the terminal to copy `text`; False where no terminal is there, or the text is too long for it."""
    data = text.encode()
    terminal = _terminal()
    if terminal is None or len(data) > MOST_BYTES:
        return False
    terminal.write(f"\x1b]52;c;{base64.b64encode(data).decode()}\x07")
    terminal.flush()
    return True


def _terminal() -> TextIO | None:
    return next((stream for stream in (sys.stderr, sys.stdout) if stream is not None and stream.isatty()), None)
