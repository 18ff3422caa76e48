"""The command line as a call: for kinds whose input is given to `edge-ttp` itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .case import Fault


def command(
    *arguments: str | bytes,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    program: Sequence[str] = (sys.executable, "-m", "edge_ttp"),
    timeout_s: float = 120,
) -> subprocess.CompletedProcess[bytes]:
    """`edge-ttp ARGUMENTS`, run to its end. Raises Fault for a native death, a traceback, or no end."""
    try:
        done = subprocess.run(
            [*program, *arguments],
            input=stdin,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            capture_output=True,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as endless:
        raise Fault("late", f"no end after {timeout_s:g} s") from endless
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode < 0:
        raise Fault("death", f"{signal.Signals(-done.returncode).name}: {said[-300:]}")
    if "Traceback (most recent call last)" in said:
        raise Fault("traceback", said[-300:])
    return done
