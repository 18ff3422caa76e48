"""The planner's benchmark: states of the machine, tables over invented models, adaptive N on made-up pools."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import psutil
import pytest
from budget.test_device_profile import PROFILE
from fakes import FakeReward, Models
from fakes.command import model_files

from edge_ttp.cli.main import run
from edge_ttp.lab.bench import adaptive_n, deadlines
from edge_ttp.lab.bench.scored_pools import TUNE, part_of
from edge_ttp.lab.bench.tasks import sample_tasks
from edge_ttp.runtime import Runtime

affinity = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores to choose from"
)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    models = Models(monkeypatch)
    models.reward = FakeReward()
    _, policy, _, reward = model_files(tmp_path)
    with Runtime.open(home=tmp_path / "home", model=policy, reward=reward) as opened:
        yield opened


@affinity
def test_states_of_the_machine_end_with_the_block() -> None:
    before = os.sched_getaffinity(0)
    with deadlines.state("one core") as possible:
        assert possible
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
    children = len(psutil.Process().children())
    with deadlines.state("busy neighbour") as possible:
        assert possible
        assert len(psutil.Process().children()) == children + 1
    assert len(psutil.Process().children()) == children


def test_a_machine_of_one_core_has_no_other_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    for name in ("one core", "busy neighbour"):
        with deadlines.state(name) as possible:
            assert not possible


@pytest.mark.slow
def test_every_part_reports_what_it_measured(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "STATES", ("quiet",))
    monkeypatch.setattr(deadlines, "LOADS", ("quiet",))
    monkeypatch.setattr(deadlines, "PROMPTS", (50, 100))
    tasks = sample_tasks(2)
    deadlines.fill(runtime, tasks)
    done: list[int] = []
    told = deadlines.prediction(runtime, tasks, rounds=1, advance=done.append)
    assert told["calls"] == 2 * len(deadlines.COUNTS)
    assert done[-1] == told["calls"] + deadlines.ADAPTING
    assert told["median_error"] >= 0
    assert set(told["by_n"]) == {str(n) for n in deadlines.COUNTS}
    (row,) = deadlines.deadlines(runtime, tasks, calls=3, wanted=[5.0], advance=done.append)
    assert (row["deadline_s"], row["load"], row["calls"]) == (5.0, "quiet", 3)
    assert row["kept"] == (row["p95_overshoot_s"] <= row["allowed_s"])
    limits = deadlines.memory(runtime, tasks, advance=done.append)
    assert [(row["limit_mb"], row["max_tokens"]) for row in limits] == list(
        product(deadlines.LIMITS_MB, deadlines.LENGTHS)
    )
    assert all(row["process_mb"] > 0 for row in limits)


# Stored pools


def write(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def users_of(tenths: tuple[int, ...], count: int) -> list[str]:
    return [name for name in (f"u{index}" for index in range(1000)) if part_of(name) in tenths][:count]


@pytest.mark.usefixtures("few")
def test_the_command_prints_what_it_promises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    Models(monkeypatch)
    files = model_files(tmp_path)[:2]
    rng = np.random.default_rng(1)
    rows = [
        {"user_id": user, "query_id": "q", "utility": float(rng.random()), "score": float(rng.random()), "tokens": 9}
        for user in users_of(TUNE, 4)
        for _ in range(8)
    ]
    pools = write(tmp_path / "pools.jsonl", rows)
    assert run(["bench", "budget", *files, "--part", "adaptive", "--pools", pools, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"policy", "gain_over_best_fixed", "low", "high", "oracle_gain"} <= set(found["adaptive"][0])
    assert len(found["adaptive"]) == 3
    assert run(["bench", "budget", *files, "--part", "adaptive", "--pools", pools]) == 0
    assert "gain over fixed" in capsys.readouterr().out
    for wrong in (["--part", "nothing"], ["--part", "adaptive"]):
        assert run(["bench", "budget", *files, *wrong]) == 2


def test_the_profile_used_for_stored_pools_is_this_devices() -> None:
    timing = adaptive_n.Timing(PROFILE, 2)
    assert timing.wave_s(np.array([20] * 8)) > timing.wave_s(np.array([20])) > 0
    assert sys.float_info.max > timing.wave_s(np.array([1]))
