"""Time to N choices against other programs on the same GGUF file, in turns in one run.

A rival is asked in the ways in which it gives N choices. What it takes is held against edge-ttp's own bare
policy on the same prompt in the same round, as seconds a token: rivals end their texts at other places.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Protocol

from edge_ttp.lab.bench.tasks import Task

TEMPERATURE = 0.8
OURS = "edge-ttp"
"""The rival that all others are held against."""


@dataclass(frozen=True)
class Ground:
    """What all rivals run on."""

    model: str
    """Name of the policy in the store."""
    path: Path
    """Its GGUF file."""
    threads: int
    context: int
    """Tokens of one conversation, prompt and answer."""
    most: int
    """Most choices that will be asked for at once."""
    end_token: int | None
    """Banned, so that every choice has the same length; None where the file names none."""


@dataclass(frozen=True)
class DrawnTexts:
    """What came of one request for N choices."""

    texts: tuple[str, ...]
    tokens: int
    """Drawn in all."""


class Rival(Protocol):
    """A program that gives N choices for a prompt."""

    name: str
    version: str
    way: str
    """How it is asked for N choices, in a few words."""

    def choices(self, messages: Sequence[dict[str, str]], n: int, *, tokens: int, seed: int) -> DrawnTexts:
        """`n` choices of `tokens` tokens each, at TEMPERATURE. Raises OSError, ValueError or an error of httpx's."""


Opening = Callable[[Ground], AbstractContextManager[Rival]]
"""Starts a rival. Raises ExtraMissing where its package is not installed."""


@dataclass(frozen=True)
class RivalSpeed:
    """One rival at one N: medians over prompts and rounds."""

    name: str
    version: str
    way: str
    n: int
    seconds: float
    """From the request to the last choice."""
    tokens: float
    """Drawn in all."""
    choices: float
    """Different texts among them."""
    rate: float
    """Tokens per second."""
    slower: float
    """Seconds a token of its own over those of edge-ttp's bare policy, median of the paired ratios; 1 for that one."""

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


@dataclass(frozen=True)
class _Timed:
    seconds: float
    made: DrawnTexts


def conversation(task: Task, examples: int = 4) -> list[dict[str, str]]:
    """The task as chat messages that any program takes: the user's last texts as earlier turns, then the prompt."""
    turns: list[dict[str, str]] = []
    for item in task.history[-examples:]:
        turns += [{"role": "user", "content": item.input or "Write."}, {"role": "assistant", "content": item.output}]
    return [*turns, {"role": "user", "content": task.prompt}]


def speeds(
    rivals: Sequence[Rival],
    tasks: Sequence[Task],
    counts: Sequence[int],
    *,
    tokens: int,
    rounds: int,
    advance: Callable[[float], None],
    cancel: threading.Event,
) -> list[RivalSpeed]:
    """A row for each rival and each number of choices. The first of `rivals` is what the others are held against.

    In every round all rivals answer the same prompt, each round beginning with another one. Ends with the rows that
    were measured whole where `cancel` is set.
    """
    found: list[RivalSpeed] = []
    done = 0
    for rival in rivals:
        rival.choices(conversation(tasks[0]), 1, tokens=2, seed=0)  # what is loaded at the first request is not timed
    for n in counts:
        runs: list[list[_Timed]] = [[] for _ in rivals]
        for turn in range(rounds):
            for place, task in enumerate(tasks):
                first = (turn * len(tasks) + place) % len(rivals)
                for at in [*range(first, len(rivals)), *range(first)]:
                    runs[at].append(_run(rivals[at], task, n, tokens, seed=1000 * turn + place))
                    done += 1
                    advance(done)
                    if cancel.is_set():
                        return found
        found += [_row(rival, n, own, runs[0]) for rival, own in zip(rivals, runs, strict=True)]
    return found


def _run(rival: Rival, task: Task, n: int, tokens: int, *, seed: int) -> _Timed:
    began = perf_counter()
    made = rival.choices(conversation(task), n, tokens=tokens, seed=seed)
    return _Timed(perf_counter() - began, made)


def _row(rival: Rival, n: int, own: list[_Timed], ours: list[_Timed]) -> RivalSpeed:
    def each(run: _Timed) -> float:
        return run.seconds / max(1, run.made.tokens)

    return RivalSpeed(
        name=rival.name,
        version=rival.version,
        way=rival.way,
        n=n,
        seconds=median(run.seconds for run in own),
        tokens=median(run.made.tokens for run in own),
        choices=median(len(set(run.made.texts)) for run in own),
        rate=median(1 / each(run) for run in own),
        slower=median(each(theirs) / each(mine) for theirs, mine in zip(own, ours, strict=True)),
    )
