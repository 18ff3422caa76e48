"""What the server costs over the Python API: the same requests to both in turns, in one run, medians of the pairs.

Both lie over one home and hold the same models; prompt, seed and options of a pair are the same, and so is its text.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from edge_ttp.errors import EdgeTTPError
from edge_ttp.lab.bench.rival_servers import empty_home, ours
from edge_ttp.lab.bench.rivals import Ground
from edge_ttp.paths import HOME_VARIABLE
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Generation, Sampling

AT_ONCE = 4
"""Users that ask at once, where throughput is measured."""
PROMPT = "Please answer this in a sentence or two, the way I would."
_USER = "overhead"


@dataclass(frozen=True)
class ServerOverhead:
    """What the server adds. Seconds; medians of pairs."""

    api_s: float
    """A request by Runtime.generate."""
    server_s: float
    """The same request by HTTP, the whole answer at once."""
    added_s: float
    """server_s - api_s, the median of the pairs' differences."""
    streamed_s: float
    """What is added where its events are streamed and read."""
    api_rate: float
    """Tokens a second of AT_ONCE users' requests by Runtime.generate in as many threads."""
    server_rate: float
    """The same over HTTP."""
    throughput: float
    """server_rate / api_rate, the median of the rounds' ratios."""
    command_s: float
    """`edge-ttp generate` beside the server, from start to end, less the seconds that the answer says it took."""
    same: bool
    """Whether both said the same in every pair."""
    pairs: int
    rounds: int

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


@dataclass(frozen=True)
class _TimedAnswer:
    seconds: float
    texts: tuple[str, ...]
    tokens: int


Way = Callable[[dict[str, Any]], Generation]


def overhead(
    ground: Ground,
    *,
    n: int,
    tokens: int,
    pairs: int,
    rounds: int,
    commands: int,
    advance: Callable[[float], None],
    cancel: threading.Event,
) -> ServerOverhead | None:
    """What the server adds to requests of `n` candidates of `tokens` tokens. None where `cancel` ends it early.

    `pairs`: requests to the API, to the server, and to the server as a stream, in turns. `rounds`: of AT_ONCE requests
    at once, by each way. `commands`: runs of the command line.
    """
    with empty_home(ground) as home, Runtime.open(home=home, model=ground.model, threads=ground.threads) as runtime:
        runtime.warm()  # before the server, which finds the device measured
        with ours(ground, home) as served, served.client() as http:
            ways: list[Way] = [
                lambda asked: _of_api(runtime, asked),
                lambda asked: _of_server(http, asked),
                lambda asked: _of_stream(http, asked),
            ]
            for way in ways:
                way(_asked(0, n, tokens))  # what is loaded and measured at the first request is not timed
            progress = _Progress(advance, cancel)
            alone = _alone(ways, n, tokens, pairs, progress)
            together = _together(ways[:2], n, tokens, rounds, progress)
            spent = _commands(home, commands, progress)
    if cancel.is_set():
        return None
    return _found(alone, together, spent)


class _Progress:
    """Counts what was done."""

    def __init__(self, advance: Callable[[float], None], cancel: threading.Event) -> None:
        self._advance, self._cancel, self._done = advance, cancel, 0

    def step(self) -> bool:
        """One more; whether it goes on."""
        self._done += 1
        self._advance(self._done)
        return not self._cancel.is_set()


def _alone(ways: list[Way], n: int, tokens: int, pairs: int, progress: _Progress) -> list[list[_TimedAnswer]]:
    """The ways' times of every pair, each beginning with another one."""
    runs: list[list[_TimedAnswer]] = [[] for _ in ways]
    for at in range(pairs):
        for way in [*range(at % len(ways), len(ways)), *range(at % len(ways))]:
            runs[way].append(_timed(ways[way], _asked(at + 1, n, tokens)))
        if not progress.step():
            break
    return runs


def _together(ways: list[Way], n: int, tokens: int, rounds: int, progress: _Progress) -> list[list[float]]:
    """Tokens a second of AT_ONCE users at once, by each way, in turns."""
    rates: list[list[float]] = [[] for _ in ways]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for at in range(rounds):
            for place in (0, 1) if at % 2 else (1, 0):
                asked = [_asked(100 * at + user, n, tokens, f"{_USER}-{user}") for user in range(AT_ONCE)]
                began = time.perf_counter()
                made = list(threads.map(ways[place], asked))
                rates[place].append(sum(one.usage.completion_tokens for one in made) / (time.perf_counter() - began))
            if not progress.step():
                break
    return rates


def _commands(home: Path, count: int, progress: _Progress) -> list[float]:
    """Seconds of `edge-ttp generate` beside the server, less those that the answer says it took."""
    command = [sys.executable, "-m", "edge_ttp", "generate", "Say hello.", "--n", "2", "--max-tokens", "4"]
    spent = []
    for _ in range(count):
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--select", "first", "--no-store", "--json"],
            env={**os.environ, HOME_VARIABLE: str(home)},
            capture_output=True,
            check=False,
        )
        passed = time.perf_counter() - began
        if done.returncode != 0:
            raise EdgeTTPError(f"edge-ttp generate ended with {done.returncode}", "run it by hand to see why")
        spent.append(passed - float(json.loads(done.stdout)["timings"]["total_s"]))
        if not progress.step():
            break
    return spent


def _found(alone: list[list[_TimedAnswer]], together: list[list[float]], spent: list[float]) -> ServerOverhead:
    api, whole, streamed = alone
    return ServerOverhead(
        api_s=median(one.seconds for one in api),
        server_s=median(one.seconds for one in whole),
        added_s=_added(api, whole),
        streamed_s=_added(api, streamed),
        api_rate=median(together[0]),
        server_rate=median(together[1]),
        throughput=median(over / bare for bare, over in zip(*together, strict=True)),
        command_s=median(spent),
        same=[one.texts for one in api] == [one.texts for one in whole] == [one.texts for one in streamed],
        pairs=len(api),
        rounds=len(together[0]),
    )


def _added(bare: list[_TimedAnswer], over: list[_TimedAnswer]) -> float:
    return median(theirs.seconds - ours.seconds for ours, theirs in zip(bare, over, strict=True))


def _timed(way: Way, asked: dict[str, Any]) -> _TimedAnswer:
    began = time.perf_counter()
    made = way(asked)
    passed = time.perf_counter() - began
    return _TimedAnswer(passed, tuple(one.text for one in made.candidates), made.usage.completion_tokens)


def _asked(seed: int, n: int, tokens: int, user: str = _USER) -> dict[str, Any]:
    """One request, as the native protocol has it."""
    sampling = {"max_tokens": tokens}
    return {"user": user, "prompt": PROMPT, "n": n, "seed": seed, "sampling": sampling, "store": False}


def _of_api(runtime: Runtime, asked: dict[str, Any]) -> Generation:
    return runtime.generate(**{**asked, "sampling": Sampling(**asked["sampling"])})


def _of_server(http: httpx.Client, asked: dict[str, Any]) -> Generation:
    body = {name: value for name, value in asked.items() if name != "user"}
    answer = http.post("/ttp/v1/generate", params={"user": asked["user"]}, json=body)
    answer.raise_for_status()
    return Generation.model_validate_json(answer.content)


def _of_stream(http: httpx.Client, asked: dict[str, Any]) -> Generation:
    body = {**{name: value for name, value in asked.items() if name != "user"}, "stream": True}
    last: dict[str, Any] = {}
    with http.stream("POST", "/ttp/v1/generate", params={"user": asked["user"]}, json=body) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if line.startswith("data: "):
                last = json.loads(line[len("data: ") :])
    return Generation.model_validate(last["generation"])
