"""kill -9 while importing, calibrating, judging and forgetting: nothing acknowledged is lost, nothing is half there."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path
from typing import cast

import pytest
from fakes import FakeReward

from edge_ttp.history import History
from edge_ttp.learning.learned import learned
from edge_ttp.reward.model import RewardModel

from .learner import learn

pytestmark = pytest.mark.slow

REWARD = cast(RewardModel, FakeReward())


def kill_while_learning(path: Path, times: int) -> None:
    rng = random.Random(3)
    acknowledged: list[str] = []
    for number in range(times):
        reading, writing = os.pipe()
        # Forked, so that no process spends its life importing.
        process = multiprocessing.get_context("fork").Process(target=learn, args=(str(path), f"k{number}", writing))
        process.start()
        os.close(writing)
        said = b""
        wanted = rng.randint(1, 12)  # of the lines of its first rounds
        while said.count(b"\n") < wanted and (piece := os.read(reading, 4096)):
            said += piece
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        while piece := os.read(reading, 4096):
            said += piece
        os.close(reading)
        process.join()
        assert process.exitcode == -9
        # A line cut off by the kill was acknowledged by nobody.
        acknowledged += [line.decode().strip() for line in said.splitlines(keepends=True) if line.endswith(b"\n")]
        check(path, acknowledged)
    kinds = [line.split(" ", 1)[0] for line in acknowledged]
    print(f"killed {times} times: " + ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds))))


def check(path: Path, acknowledged: list[str]) -> None:
    said = [line.split(" ", 1) for line in acknowledged]
    with History.open(path) as history:
        assert history.health(full=True).problems == ()
        feedback = {str(one.id) for one in history.feedback_for("kept")}
        assert {what for kind, what in said if kind == "feedback"} <= feedback
        outputs = {item.output for item in history.items("kept")}
        assert {what for kind, what in said if kind == "item"} <= outputs
        assert not {what for kind, what in said if kind == "forgotten"} & set(history.users())
        with history._connections.reading() as db:
            for halves in (
                "SELECT count(*) FROM calibrations c WHERE NOT EXISTS "
                "(SELECT 1 FROM evidence e WHERE e.calibration = c.id)",
                "SELECT count(*) FROM feedback f WHERE NOT EXISTS "
                "(SELECT 1 FROM evidence e JOIN feedback o ON o.id = e.feedback WHERE o.generation = f.generation)",
                "SELECT count(*) FROM feedback WHERE kind IN ('edit', 'accept') AND item IS NULL",
                "SELECT count(*) FROM generations g WHERE (SELECT count(*) FROM candidates c "
                "WHERE c.generation = g.id) <> 4",
                "SELECT count(*) FROM generations g WHERE NOT EXISTS "
                "(SELECT 1 FROM layers l WHERE l.generation = g.id)",
            ):
                assert db.execute(halves).fetchone()[0] == 0, halves
        kept = learned(history, "kept", REWARD)
        with history._connections.writing() as db:
            db.execute("DELETE FROM posteriors")
        rebuilt = learned(history, "kept", REWARD)
        assert kept.evidence == rebuilt.evidence
        assert kept.weights.mean.tobytes() == rebuilt.weights.mean.tobytes()
        assert kept.weights.covariance.tobytes() == rebuilt.weights.covariance.tobytes()
        assert kept.record == rebuilt.record
        gone = [what for kind, what in said if kind == "forgotten"]
    raw = b"".join(file.read_bytes() for file in path.parent.iterdir() if file.is_file())
    assert not [user for user in gone if f"secret {user}".encode() in raw]


def test_three_processes_killed_while_learning_lose_nothing(tmp_path: Path) -> None:
    kill_while_learning(tmp_path / "data" / "history.db", 3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_processes_killed_while_learning_lose_nothing(tmp_path: Path) -> None:
    kill_while_learning(tmp_path / "data" / "history.db", 100)
