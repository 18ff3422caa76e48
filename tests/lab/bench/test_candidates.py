"""`bench candidates`: what it times is what it says, on a random model of a few kilobytes."""

from __future__ import annotations

import math
import threading
from dataclasses import fields
from pathlib import Path

import pytest
from fakes.command import one_object
from policy.tiny import language_model

from edge_ttp.cli.main import run
from edge_ttp.lab.bench import candidates
from edge_ttp.lab.bench.tasks import sample_tasks
from edge_ttp.policy.llama import LlamaPolicy

pytestmark = pytest.mark.slow

NAMED = {
    "model",
    "n",
    "temperature",
    "tokens_per_s",
    "ratio_loop",
    "ratio_unshared",
    "outside_decode",
    "cost_per_candidate_vs_1",
}
"""Keys of a row that others read."""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return language_model(tmp_path / "tiny.gguf")


def test_the_loops_time_is_read_at_the_tokens_that_were_drawn() -> None:
    pace = [(0, 2.0), (10, 4.0), (30, 8.0)]
    found = [candidates._seconds_at(pace, tokens) for tokens in (5, 10, 20, 30, 99)]
    assert found == [3.0, 4.0, 6.0, 8.0, 8.0]


def test_every_row_holds_finite_medians(tiny: Path) -> None:
    done: list[float] = []
    rows = candidates.measure(
        tiny,
        "tiny",
        "few-shot",
        sample_tasks(2),
        counts=[2, 5],
        temperatures=[0.5, 1.0],
        threads=1,
        advance=done.append,
    )
    assert [(row.model, row.n, row.temperature) for row in rows] == [
        ("tiny", n, temperature) for temperature in (0.5, 1.0) for n in (2, 5)
    ]
    assert done == list(range(1, 2 * 2 * 3 + 1))  # temperatures, prompts, and n = 1 besides
    for row in rows:
        assert (row.long_cost_vs_1 is None) == (row.temperature == 1.0)  # measured once
        numbers = [value for value in row.as_dict().values() if isinstance(value, float)]
        assert all(math.isfinite(value) and value > 0 for value in numbers)
        assert row.rows_per_token <= 1
        assert row.outside_decode < 1


@pytest.mark.parametrize(("after", "expected"), [(1, []), (2, [1]), (3, [1]), (4, [2])])
def test_an_interrupted_measurement_keeps_the_prompts_that_were_finished(
    tiny: Path, after: int, expected: list[int]
) -> None:
    cancel = threading.Event()

    def advance(done: float) -> None:
        if done == after:
            cancel.set()

    rows = candidates.measure(
        tiny,
        "tiny",
        "few-shot",
        sample_tasks(3),
        counts=[4],
        temperatures=[0.8, 1.0],
        threads=1,
        advance=advance,
        cancel=cancel,
    )
    assert [row.prompts for row in rows] == expected


def test_long_prompts_have_the_length_that_is_announced(tiny: Path) -> None:
    policy = LlamaPolicy(tiny, threads=1)
    task = sample_tasks(1)[0]
    whole = policy.tokens(f"Input: {task.prompt}\nOutput:")
    long = candidates._long(policy, task)
    policy.close()
    assert len(long) == candidates.LONG_PROMPT
    assert long[-len(whole) :] == whole[-candidates.LONG_PROMPT :]


def test_the_command_prints_rows_or_a_table_that_is_not_cut_off(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = ["bench", "candidates", "--model", str(tiny), "--n", "3", "--temperature", "0.8", "--prompts", "1"]
    assert run([*plain, "--threads", "1", "--json"]) == 0
    found = one_object(capsys.readouterr().out)
    (row,) = found["rows"]
    assert set(row) == {field.name for field in fields(candidates.CandidateSpeed)} >= NAMED
    assert (row["n"], row["temperature"], found["prompts"], found["pipeline_overhead"]) == (3, 0.8, 1, None)
    assert run([*plain, "--threads", "1"]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert "x unshared" in header
    assert "…" not in header + line
    assert run([*plain, "--n", "0"]) == 2
