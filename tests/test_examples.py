"""The programs in examples/ run as they stand, with the real models."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.real import spare_measuring
from repository import ROOT

EXAMPLES = ROOT / "examples"


@pytest.fixture
def warm_home(models_home: Path) -> Path:
    """A home with the real policy in which the device was measured already."""
    spare_measuring(models_home)
    return models_home


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
def test_example_runs_and_answers(program: str, warm_home: Path) -> None:
    done = run(program, warm_home)
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
def test_the_demo_tells_what_is_personal_about_the_answers(warm_home: Path) -> None:
    done = run("demo.py", warm_home)
    assert done.returncode == 0, done.stderr
    told: dict[str, list[str]] = {}
    for user, text in re.findall(r"^([a-z-]+) says: (.*)$", done.stdout, re.MULTILINE):
        told.setdefault(user, []).append(text)
    assert {user: len(texts) for user, texts in told.items()} == {"somebody-new": 3, "mara": 3, "theo": 3}
    assert told["mara"] != told["theo"]
    assert done.stdout.count("imitating, among others: ") == 6
    table = {
        label.strip(): (float(small), float(marks))
        for label, small, marks in re.findall(r"^(.{24}) +(\d+)% +([\d.]+) +\d+$", done.stdout, re.MULTILINE)
    }
    assert len(table) == 5
    for user, other in (("mara", "theo"), ("theo", "mara")):  # each answer has its own person's habits

        def distance(name: str, user: str = user) -> float:
            mine, theirs = table[f"answers for {user}"], table[f"{name}'s own texts"]
            return abs(mine[0] - theirs[0]) / 100 + abs(mine[1] - theirs[1])

        assert distance(user) < distance(other)
    assert "N=1 would have said:" in done.stdout
    assert "±" in done.stdout


@pytest.mark.parametrize("program", sorted(file.name for file in EXAMPLES.glob("*.py")))
def test_every_example_says_what_it_is(program: str, home: Path) -> None:
    done = run(program, home, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
    assert not home.exists()


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
