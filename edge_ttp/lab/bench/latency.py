"""How long a person waits for an answer, and for what: a process that starts, one that is warm, and beside a server.

The same request by all three in every round, over one home that is thrown away. Files are in the system's cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from edge_ttp.errors import EdgeTTPError
from edge_ttp.lab.bench.rival_servers import empty_home, ours
from edge_ttp.lab.bench.rivals import Ground
from edge_ttp.lab.bench.tasks import Task
from edge_ttp.paths import HOME_VARIABLE
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Sampling, Timings
from edge_ttp.system.settings import VARIABLES

WAYS = ("cold process", "warm process", "warm server")
PARTS = ("start", "load", "plan", "read", "draw", "score", "choose", "store", "rest")
"""What the time goes into: Python and our modules; models, and a process's end; recall and plan; reading the prompt;
drawing; judging; choosing; recording; what is left."""

_STARTING = "import edge_ttp.cli.main, edge_ttp.cli.generate, {module}"
_MODULES = {"cold process": "edge_ttp.runtime", "warm server": "edge_ttp.cli.attached"}


@dataclass(frozen=True)
class AnswerWait:
    """One way to be answered. Seconds; medians over the rounds."""

    way: str
    seconds: float
    """From the request to the answer."""
    parts: Mapping[str, float]
    """By PARTS. Each is a median of its own: together they are about `seconds`."""
    of_cold: float
    """`seconds` over those of a cold process, the median of the rounds' ratios."""
    rounds: int

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def waits(
    ground: Ground,
    tasks: Sequence[Task],
    *,
    n: int,
    tokens: int,
    rounds: int,
    advance: Callable[[float], None],
    cancel: threading.Event,
) -> list[AnswerWait]:
    """A row for each of WAYS: requests of `n` candidates of at most `tokens` tokens, a task after another.

    Ends with the rounds that were measured whole where `cancel` is set; no rows where there is none.
    """
    seen: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with empty_home(ground) as home, Runtime.open(home=home, model=ground.model, threads=ground.threads) as runtime:
        for task in tasks:
            runtime.history.add_many(task.history)
        runtime.warm()  # before the server, which then finds the device measured
        with ours(ground, home):
            asking: list[Callable[[Task, int], dict[str, float]]] = [
                lambda task, seed: _command(home, ground, task, "cold process", n=n, tokens=tokens, seed=seed),
                lambda task, seed: _kept(runtime, task, n=n, tokens=tokens, seed=seed),
                lambda task, seed: _command(home, ground, task, "warm server", n=n, tokens=tokens, seed=seed),
            ]
            for ask in asking[1:]:
                ask(tasks[0], 0)  # the vectors of a history are computed once
            for turn in range(rounds):
                task, found = tasks[turn % len(tasks)], {}
                first = turn % len(WAYS)
                for at in [*range(first, len(WAYS)), *range(first)]:
                    found[WAYS[at]] = asking[at](task, turn + 1)
                    advance(turn * len(WAYS) + len(found))
                    if cancel.is_set():
                        return _rows(seen)
                for way, parts in found.items():
                    seen[way].append(parts)
    return _rows(seen)


def _rows(seen: Mapping[str, Sequence[Mapping[str, float]]]) -> list[AnswerWait]:
    cold = [one["whole"] for one in seen[WAYS[0]]]
    return [
        AnswerWait(
            way=way,
            seconds=median(one["whole"] for one in found),
            parts={part: median(one[part] for one in found) for part in PARTS},
            of_cold=median(one["whole"] / whole for one, whole in zip(found, cold, strict=True)),
            rounds=len(found),
        )
        for way, found in seen.items()
        if found
    ]


def _kept(runtime: Runtime, task: Task, *, n: int, tokens: int, seed: int) -> dict[str, float]:
    began = time.perf_counter()
    made = runtime.generate(task.prompt, user=task.user, n=n, seed=seed, sampling=Sampling(max_tokens=tokens))
    return _split(time.perf_counter() - began, made.timings, start=0.0, load=0.0)


def _command(home: Path, ground: Ground, task: Task, way: str, *, n: int, tokens: int, seed: int) -> dict[str, float]:
    """The command line itself, with a server of this home to answer it or without."""
    environment = {**os.environ, HOME_VARIABLE: str(home), VARIABLES["formats"]: "off"}
    start = _seconds([sys.executable, "-c", _STARTING.format(module=_MODULES[way])], environment)[0]
    asked = {"model": ground.model, "user": task.user, "n": n, "max-tokens": tokens, "seed": seed}
    options = [word for name, value in asked.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "edge_ttp", "generate", *options]
    if way == "cold process":
        command += ["--no-server", "--threads", str(ground.threads)]
    passed, said = _seconds([*command, "--json", "--", task.prompt], environment)
    timings = Timings.model_validate(json.loads(said)["timings"])
    if way == "cold process":
        return _split(passed, timings, start=start, load=max(0.0, passed - start - timings.total_s))
    return _split(passed, timings, start=start, load=0.0)


def _seconds(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, str]:
    """How long a command took, and what it printed. Raises EdgeTTPError where it failed."""
    began = time.perf_counter()
    done = subprocess.run(command, env=dict(environment), capture_output=True, check=False, text=True)
    passed = time.perf_counter() - began
    if done.returncode != 0:
        raise EdgeTTPError(f"{' '.join(command[1:4])} ended with {done.returncode}", done.stderr.strip()[-300:])
    return passed, done.stdout


def _split(whole: float, timings: Timings, *, start: float, load: float) -> dict[str, float]:
    parts = {
        "start": start,
        "load": load,
        "plan": timings.recall_s,
        "read": timings.prefill_s,
        "draw": timings.decode_s,
        "score": timings.score_s,
        "choose": timings.select_s,
        "store": timings.store_s,
    }
    return {**parts, "rest": max(0.0, whole - sum(parts.values())), "whole": whole}
