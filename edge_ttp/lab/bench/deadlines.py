"""What the planner keeps of what it says, by real runs: predicted times, deadlines, memory limits."""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from edge_ttp.errors import DeadlineTooShort, OutOfCapacity
from edge_ttp.lab.bench.tasks import Task
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Budget, Generation, Sampling

COUNTS = (1, 2, 4, 8, 16, 32)
PROMPTS = (100, 300, 700, 1500)
"""Tokens of the prompts, about."""
DEADLINES_S = (0.5, 1.0, 2.0, 5.0)
LIMITS_MB = (300, 500, 1000)
LENGTHS = (128, 512, 2048)
"""Tokens that a candidate may have under a memory limit: short ones leave a small model's cache nearly empty."""
ADAPTING = 5
"""Calls after a change of the machine that are not counted: the profile follows meanwhile."""
STATES = ("quiet", "one core", "busy neighbour")
LOADS = ("quiet", "busy neighbour")

_SPIN = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True:\n    pass\n"
_SETTLE_S = 1.0

Advance = Callable[[int], None]


@contextmanager
def state(name: str) -> Iterator[bool]:
    """The machine in one of STATES while the block runs: this process on one core, or a program that never rests on
    one of its cores. Yields False where the machine cannot be put so (one core, or no affinity)."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if name == "quiet":
        yield True
        return
    if len(cores) < 2:
        yield False
        return
    if name == "one core":
        os.sched_setaffinity(0, {cores[0]})
        try:
            yield True
        finally:
            os.sched_setaffinity(0, set(cores))
        return
    neighbour = subprocess.Popen([sys.executable, "-c", _SPIN, str(cores[-1])])
    time.sleep(_SETTLE_S)
    try:
        yield True
    finally:
        neighbour.kill()
        neighbour.wait()


def prompt_of(tasks: Sequence[Task], tokens: int, turn: int) -> str:
    """Text of real inputs, about so many tokens long; another one in each turn."""
    texts = [task.prompt for task in tasks] + [item.input for task in tasks for item in task.history]
    start = turn * 7 % len(texts)
    words = " ".join([*texts[start:], *texts[:start]]).split()
    return " ".join(itertools.islice(itertools.cycle(words), int(tokens * 0.72)))


def prediction(runtime: Runtime, tasks: Sequence[Task], *, rounds: int, advance: Advance) -> dict[str, Any]:
    """Predicted against actual seconds, from the plan to the recorded answer, over COUNTS and PROMPTS.

    `median_error` is the median of |predicted - actual| / actual over all counted calls; so are those of each state,
    N and prompt length.
    """
    calls: list[dict[str, Any]] = []
    left_out: list[str] = []
    done = 0
    for name in STATES:
        with state(name) as possible:
            if not possible:
                left_out.append(name)
                continue
            shapes = list(itertools.product(PROMPTS, COUNTS)) * rounds
            np.random.default_rng(len(name)).shuffle(shapes)
            for turn in range(-ADAPTING, len(shapes)):
                length, n = shapes[turn] if turn >= 0 else (400, (1, 16, 4, 32, 8)[turn])
                prompt = prompt_of(tasks, length, done)
                result = runtime.generate(prompt, user=tasks[done % len(tasks)].user, n=n, examples=0, seed=done)
                done += 1
                advance(done)
                if turn < 0 or result.plan.expected_s is None:
                    continue
                actual = result.timings.total_s - result.timings.recall_s
                error = result.plan.expected_s / actual - 1
                calls.append({"state": name, "n": n, "prompt": length, "actual_s": actual, "error": error})

    def median(**wanted: object) -> float | None:
        errors = [abs(one["error"]) for one in calls if all(one[key] == value for key, value in wanted.items())]
        return statistics.median(errors) if errors else None

    return {
        "median_error": median(),
        "calls": len(calls),
        "by_state": {name: median(state=name) for name in STATES if name not in left_out},
        "by_n": {str(n): median(n=n) for n in COUNTS},
        "by_prompt": {str(length): median(prompt=length) for length in PROMPTS},
        "bias": statistics.median(one["error"] for one in calls) if calls else None,
        "left_out": left_out,
    }


def deadlines(
    runtime: Runtime, tasks: Sequence[Task], *, calls: int, wanted: Sequence[float], advance: Advance
) -> list[dict[str, Any]]:
    """Whether deadlines hold: rows of deadline and load.

    `p95_overshoot_s`: of the wall time of the call. `allowed_s`: the larger of 5% and one decode step. `budget_used`:
    mean share of the deadline used by calls whose N the deadline bound, since only there gain was left.
    """
    rows, done = [], 0
    for name, deadline_s in itertools.product(LOADS, wanted):
        with state(name) as possible:
            if not possible:
                continue
            over: list[float] = []
            used: list[float] = []
            steps: list[float] = []
            counts: list[int] = []
            empty = too_short = fewer = 0
            budget = Budget(deadline_s=deadline_s, mode="best")
            for turn in range(calls):
                task = tasks[turn % len(tasks)]
                began = time.perf_counter()
                try:
                    result = runtime.generate(task.prompt, user=task.user, budget=budget, seed=turn)
                except DeadlineTooShort:
                    result = None
                    too_short += 1
                took = time.perf_counter() - began
                done += 1
                advance(done)
                over.append(max(0.0, took - deadline_s))
                if result is None:
                    continue
                empty += not result.text
                counts.append(result.n)
                steps.append(_step_s(result))
                fewer += any("recalled example" in line and "left out" in line for line in result.notes)
                if result.plan.bound_by == "deadline":
                    used.append(took / deadline_s)
            step = statistics.median(steps) if steps else 0.0
            overshoot = float(np.quantile(over, 0.95))
            allowed = max(0.05 * deadline_s, step)
            rows.append(
                {
                    "deadline_s": deadline_s,
                    "load": name,
                    "calls": calls,
                    "p95_overshoot_s": overshoot,
                    "allowed_s": allowed,
                    "kept": overshoot <= allowed,
                    "budget_used": statistics.fmean(used) if used else None,
                    "bound_by_deadline": len(used),
                    "median_n": statistics.median(counts) if counts else None,
                    "fewer_examples": fewer,
                    "empty": empty,
                    "no_time_for_a_token": too_short,
                }
            )
    return rows


def memory(runtime: Runtime, tasks: Sequence[Task], *, advance: Advance) -> list[dict[str, Any]]:
    """What each memory limit leaves for each of LENGTHS: candidates, and what the plan says.

    The request is a usual one, whose answers end early: what memory is held for and not what they take. A refusal is an
    answer too; a kill is not.
    """
    import psutil

    rows = []
    task = tasks[0]
    for done, (limit, longest) in enumerate(itertools.product(LIMITS_MB, LENGTHS), start=1):
        budget = Budget(memory_bytes=limit * 1_000_000, mode="best")
        row: dict[str, Any] = {"limit_mb": limit, "max_tokens": longest}
        try:
            sampling = Sampling(max_tokens=longest)
            result = runtime.generate(task.prompt, user=task.user, budget=budget, sampling=sampling, seed=0)
            row |= {"n": result.n, "bound_by": result.plan.bound_by, "waves": result.plan.waves}
            row["notes"] = list(result.plan.notes)
        except OutOfCapacity as refused:
            row |= {"n": 0, "bound_by": "memory", "waves": 0, "notes": [str(refused)]}
        row["process_mb"] = psutil.Process().memory_info().rss / 1e6
        rows.append(row)
        advance(done)
    return rows


def fill(runtime: Runtime, tasks: Sequence[Task]) -> None:
    """Puts the tasks' histories into the runtime's and answers once for each user: vectors are computed once."""
    seen: set[str] = set()
    for task in tasks:
        runtime.history.add_many(task.history)
        if task.user not in seen:
            seen.add(task.user)
            runtime.generate(task.prompt, user=task.user, n=2, seed=0)


def _step_s(result: Generation) -> float:
    """Mean seconds of a decode step."""
    longest = max(one.tokens for one in result.candidates)
    return result.timings.decode_s / max(1, (longest - 1) * result.plan.waves)
