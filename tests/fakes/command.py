"""Runs the command line in a process of its own, or in this one over the fake models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.makers import gguf, reward_folder

PROGRAM = (sys.executable, "-m", "edge_ttp")
"""The console script, whether or not it is installed."""

FAKED = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
    "import pytest, fakes\n"
    "from edge_ttp.__main__ import main\n"
    "fakes.Models(pytest.MonkeyPatch())\n"
    "main()\n",
)
"""The same over the fake models, for what is asked with the options of `model_files`."""


def edge_ttp(
    *arguments: str,
    program: Sequence[str] = PROGRAM,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    before: Sequence[str] = (),
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """`edge-ttp ARGUMENTS` in a process of its own, started by the command `before` if given."""
    done = subprocess.run(
        [*before, *program, *arguments], env={**os.environ, **(env or {})}, input=stdin, capture_output=True, cwd=cwd
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def one_object(text: str) -> dict[str, Any]:
    """The single JSON object that `text` is."""
    found = json.loads(text)
    assert isinstance(found, dict)
    assert text.count("\n") == 1
    return found


def model_files(folder: Path) -> list[str]:
    """Options that name two small files which pass for a policy and a reward model, made in `folder`."""
    return [part for option, path in model_paths(folder).items() for part in (f"--{option}", path)]


def model_paths(folder: Path) -> dict[str, str]:
    """The same as options of `Runtime.open`."""
    policy = folder / "tiny.gguf"
    policy.write_bytes(gguf())
    return {"model": str(policy), "reward": str(reward_folder(folder / "judge"))}
