"""`bench candidates`: what it times is what it says, on a random model of a few kilobytes."""

from __future__ import annotations

import math
import threading
from dataclasses import fields
from pathlib import Path

import pytest
from fakes.command import one_object
from policy.calls import OPEN, PROMPT, restless, sample
from policy.table import TableDecoder
from policy.tiny import language_model

from edge_ttp.cli.main import run
from edge_ttp.lab.bench import candidates
from edge_ttp.lab.bench.bare_decode import Bare, steps_of
from edge_ttp.lab.bench.tasks import sample_tasks
from edge_ttp.policy.bindings import Step
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import Sampling

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


@pytest.mark.parametrize("n", [1, 2, 20])
def test_the_steps_are_those_that_the_engine_asked_for(n: int) -> None:
    decoder = TableDecoder(restless, ends=[0])
    sampled = sample(decoder, Request(PROMPT, n=n, sampling=OPEN, seed=3, max_tokens=9))
    steps = steps_of(sampled)
    assert [tuple(zip(step.tokens, step.members, strict=True)) for step in steps] == decoder.steps
    assert [step.position for step in steps] == list(range(len(PROMPT), len(PROMPT) + len(steps)))
    ended = [sequence for step in steps for sequence in step.drops]
    assert len(ended) == len(set(ended)) < n + 1


def test_repeated_calls_decode_as_many_rows_and_leave_the_prompt_alone(tiny: Path) -> None:
    policy = LlamaPolicy(tiny, threads=1)
    asked = Request(tuple(range(3, 203)), n=12, sampling=Sampling(), seed=1, max_tokens=12)
    sampled = policy.sample(asked, Control())
    policy.close()
    assert sum(len(step.tokens) for step in steps_of(sampled)) == sampled.rows
    bare = Bare(tiny, cells=600, most=12, threads=1, on_gpu=False)
    bare.read(asked.prompt)
    for _ in range(3):
        assert bare.seconds(sampled) > 0
        lengths = [bare._context.length(sequence) for sequence in range(13)]
        assert lengths == [len(asked.prompt), *[0] * 12]
    assert steps_of(sampled)[0] == Step(
        tokens=tuple(dict.fromkeys(ids[0] for ids in sampled.token_ids if len(ids) > 1)),
        position=len(asked.prompt),
        members=steps_of(sampled)[0].members,
        drops=tuple(one.index + 1 for one in sampled.candidates if one.tokens == 1),
    )
    bare.close()


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
