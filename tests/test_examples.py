"""The programs in examples/ run as they stand, with the real models."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

EXAMPLES = ROOT / "examples"


def run(program: str, home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "EDGE_TTP_HOME": str(home), **variables}
    return subprocess.run(
        [sys.executable, str(EXAMPLES / program), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.real
@pytest.mark.parametrize(
    "program", ["quickstart.py", "assistant.py", "async_assistant.py", "desktop_app.py", "fastapi_route.py"]
)
def test_example_runs_and_answers(program: str, models_home: Path) -> None:
    done = run(program, models_home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "Traceback" not in done.stderr


@pytest.mark.real
@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb for a window")
def test_the_window_asks_edits_and_sends(models_home: Path) -> None:
    shown, number = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(number), "-screen", "0", "800x600x24"], pass_fds=(number,))
    os.close(number)
    try:
        with os.fdopen(shown) as line:
            display = f":{line.readline().strip()}"
        done = run("tk_composer.py", models_home, "--show", DISPLAY=display)
    finally:
        server.terminate()
        server.wait(60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("bring bread.")
    assert "Traceback" not in done.stderr


@pytest.mark.real
def test_demo_shows_each_voice_and_what_one_candidate_would_have_said(models_home: Path) -> None:
    done = run("demo.py", models_home)
    assert done.returncode == 0, done.stderr
    for user in ("mara", "theo"):
        assert done.stdout.count(f"{user} says:") == 3
    assert done.stdout.count("N=1 would have said:") >= 6
    assert "±" in done.stdout
    says = {
        line.split(" says: ")[0]: line.split(" says: ")[1] for line in done.stdout.splitlines() if " says: " in line
    }
    assert says["mara"] != says["theo"]


def test_every_example_is_tested() -> None:
    assert {file.name for file in EXAMPLES.glob("*.py")} == {
        "assistant.py",
        "async_assistant.py",
        "demo.py",
        "desktop_app.py",
        "fastapi_route.py",
        "quickstart.py",
        "tk_composer.py",
    }
