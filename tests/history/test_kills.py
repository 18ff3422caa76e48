"""Processes killed with `kill -9` while they generate, import, adapt, forget, restore, encrypt, judge and add.

Every acknowledged row is there afterwards, what was forgotten is gone, nothing is half there, and no work file stays.
`make soak` kills 25 of each, 200 in all; with EDGE_TTP_SOAK_LOG=FILE those that are done are not done again.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakes.real import spare_measuring

from edge_ttp.history import History, driver
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem

from .conftest import new_generation, new_item
from .killed import DOES, FileKeys

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("killed.py")
LONGEST_S = {"generate": 1.5, "restore": 1.0, "encrypt": 1.0, "import": 1.5}
EACH = 25
LINES = 3_000


def records(path: Path) -> list[str]:
    with History.open(path) as history:
        assert history.health(full=True).problems == ()
        return [str(one) for one in history.records(None, everything=True)]


def fill(what: str, home: Path) -> None:
    """What the process needs to find."""
    path = locate(home).database
    with History.open(path) as history:
        if what == "import":
            lines = (json.dumps({"input": f"ask {at}", "output": f"imported {at}"}) for at in range(LINES))
            (home / "lines.jsonl").write_text("\n".join(lines))
        if what in ("adapt", "restore", "encrypt"):
            history.add_many(new_item(f"text {at} " * 9, given=f"ask {at}", day=at % 9) for at in range(400))
        if what == "forget":
            for number in range(30):
                history.add_many(new_item(f"secret-{number}-{at}", user=f"user {number}") for at in range(10))
        if what == "feedback":
            for number in range(5):
                history.record(new_generation(f"g{number}"))
        if what == "restore":
            history.backup(home / "one.backup")
            history.add_many(new_item(f"more {at}", user="bob") for at in range(50))
            history.backup(home / "two.backup")


def kill(what: str, home: Path, chance: random.Random) -> list[str]:
    """Runs the process for a while and kills it; the lines that it said."""
    environment = {**os.environ, "EDGE_TTP_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), what, str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=PROGRAM.parent,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()
    assert first == "ready\n", process.stderr.read()
    time.sleep(chance.uniform(0, LONGEST_S.get(what, 0.6)))
    process.kill()
    said, errors = process.communicate()
    assert "Traceback" not in errors, errors
    return said.splitlines(keepends=False) if said.endswith("\n") else said.splitlines()[:-1]


def check(what: str, home: Path, said: list[str], before: list[str]) -> None:
    path = locate(home).database
    after = records(path)
    assert sorted(name for name in os.listdir(path.parent) if name.startswith(".") and not name.endswith(".lock")) == []
    with History.open(path) as history:
        if what == "generate":
            assert set(said) <= {one.generation_id for one in history.generations("ann")}
            assert all(len(one.candidates) == 2 for one in history.generations("ann"))
        elif what == "import":
            assert history.count("ann") % 500 == 0  # whole batches
            if said:
                assert history.count("ann") == LINES
        elif what == "adapt":
            done = {int(number) for number in said}
            assert not done & {item.id for item in history.uncalibrated("ann", 10_000)}
            version, evidence = history.evidence("ann", "r1", 10_000)
            assert version == len(evidence) == 400 - len(history.uncalibrated("ann", 10_000))
        elif what == "forget":
            raw = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
            assert not set(said) & set(history.users())
            for user in said:
                assert f"secret-{user.split()[1]}-".encode() not in raw
            assert all(history.count(user) == 10 for user in history.users())
        elif what == "restore":
            known = {len(records(home / f"{name}.backup")) for name in ("one", "two")}
            assert len(after) in known
        elif what == "encrypt":
            assert after == before
        elif what == "feedback":
            texts = {one.generation_id: one.text for one in history.feedback_for("ann")}
            numbers = {name: int((text or "edit 0").split()[1]) for name, text in texts.items()}
            for line in said:
                name, _, number = line.split()
                assert numbers[name] >= int(number)
            edits = {item.output for item in history.items("ann")}
            assert edits == set(texts.values())
        elif what == "add":
            assert {int(number) for number in said} <= {item.id for item in history.items("ann")}
        history.add(HistoryItem(user_id="zoe", input="", output="goes on"))


def endure(what: str, home: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Fills, kills, checks; how much had been done."""
    monkeypatch.setattr(driver, "_keyring", lambda: FileKeys(home / "keys.json"))
    fill(what, home)
    before = records(locate(home).database)
    said = kill(what, home, random.Random(f"{what}/{seed}"))
    check(what, home, said, before)
    return len(said)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("what", [what for what in DOES if what != "generate"])
def test_a_killed_process_loses_nothing_that_it_said(
    what: str, seed: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endure(what, home, seed, monkeypatch)


@pytest.mark.real
@pytest.mark.timeout(300)
def test_a_killed_request_loses_no_answer_that_it_gave(models_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spare_measuring(models_home)
    endure("generate", models_home, 0, monkeypatch)


@pytest.mark.soak
@pytest.mark.real
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("what", DOES)
def test_two_hundred_killed_processes_lose_nothing(
    what: str, tmp_path: Path, policy_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Path(os.environ.get("EDGE_TTP_SOAK_LOG", tmp_path / "kills.log"))
    known = set(log.read_text().splitlines()) if log.exists() else set()
    done = 0
    for seed in range(100, 100 + EACH):
        if f"{what} {seed}" in known:
            continue
        home = tmp_path / str(seed)
        store = locate(home).models / policy_path.parent.name
        store.mkdir(parents=True)
        for file in policy_path.parent.iterdir():
            (store / file.name).symlink_to(file)
        spare_measuring(home)
        done += endure(what, home, seed, monkeypatch)
        with log.open("a") as file:
            file.write(f"{what} {seed}\n")
    print(f"{what}: {EACH} killed, {done} acknowledged")
