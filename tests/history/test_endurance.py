"""Nothing acknowledged is lost: many processes writing at once, and processes killed in the middle of writing."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_ttp.history import History

from .writer import CANDIDATES

pytestmark = pytest.mark.slow

WRITER = Path(__file__).with_name("writer.py")


def start(path: Path, name: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), str(path), name, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check(path: Path, acknowledged: list[str]) -> dict[str, int]:
    """Asserts that the file is sound, that every acknowledged row is there, and that nothing is half there."""
    wanted: dict[str, set[str]] = {"item": set(), "generation": set(), "feedback": set()}
    for line in acknowledged:
        kind, number = line.split()
        wanted[kind].add(number)
    with History.open(path) as history:
        health = history.health(full=True)
        assert health.problems == ()
        with history._connections.reading() as db:
            tables = {"item": "items", "generation": "generations", "feedback": "feedback"}
            there = {kind: {str(row[0]) for row in db.execute(f"SELECT id FROM {tables[kind]}")} for kind in tables}
            for kind, numbers in wanted.items():
                assert numbers <= there[kind], f"lost {kind}: {sorted(numbers - there[kind])[:5]}"
            halves = db.execute(
                "SELECT count(*) FROM generations g "
                "WHERE (SELECT count(*) FROM candidates c WHERE c.generation = g.id) <> ?",
                (CANDIDATES,),
            ).fetchone()[0]
            edits = db.execute("SELECT count(*) FROM items WHERE source = 'edit'").fetchone()[0]
        assert halves == 0
        assert edits == len(there["feedback"])
    return {kind: len(numbers) for kind, numbers in there.items()}


def write_together(path: Path, processes: int, seconds: float) -> None:
    running = [start(path, f"p{number}", seconds) for number in range(processes)]
    acknowledged: list[str] = []
    slowest = 0.0
    for process in running:
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        *lines, last = output.splitlines()
        slowest = max(slowest, float(last.removeprefix("done ")))
        acknowledged += lines
    there = check(path, acknowledged)
    print(f"{processes} processes, {seconds:g} s: {there}, slowest write {slowest:.3f} s")
    assert len(acknowledged) == sum(there.values()) - there["feedback"]  # each edit made an item as well


def kill_while_writing(path: Path, times: int) -> None:
    rng = random.Random(7)
    acknowledged: list[str] = []
    for number in range(times):
        process = start(path, f"k{number}", 60)
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()  # it is writing now
        time.sleep(rng.uniform(0, 0.15))
        process.kill()
        rest = process.stdout.read()
        process.wait()
        assert process.stderr.read() == ""
        # A line cut off by the kill was acknowledged by nobody.
        acknowledged += [line.strip() for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]
        process.stdout.close()
        process.stderr.close()
        with History.open(path) as history:
            assert history.health().problems == ()
    there = check(path, acknowledged)
    print(f"killed {times} times: {len(acknowledged)} rows acknowledged, {there} there")
    assert len(acknowledged) >= times


def test_eight_processes_write_for_three_seconds_and_nothing_is_lost(path: Path) -> None:
    write_together(path, 8, 3)


def test_five_processes_killed_while_writing_lose_nothing(path: Path) -> None:
    kill_while_writing(path, 5)


@pytest.mark.soak
def test_eight_processes_write_for_a_minute_and_nothing_is_lost(path: Path) -> None:
    write_together(path, 8, 60)


@pytest.mark.soak
def test_fifty_processes_killed_while_writing_lose_nothing(path: Path) -> None:
    kill_while_writing(path, 50)
