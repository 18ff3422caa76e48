"""Time to N choices against other programs on the same GGUF file, in turns in one run.

A rival is asked in the ways in which it gives N choices. What it takes is held against edge-ttp's own bare
policy on the same prompt in the same round, as seconds a token: rivals end their texts at other places. What was asked
before decides how much is left to read: the situations (`SITUATIONS`) are told apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Literal, Protocol

from edge_ttp.lab.bench.tasks import Task

Situation = Literal["new", "again", "second", "turns"]
SITUATIONS: dict[Situation, str] = {
    "new": "a prompt that nobody has seen",
    "again": "the same prompt once more",
    "second": "a user's second request: we put a core of %d texts first and one recalled text behind it, "
    "the others put four recalled ones",
    "turns": "several users' prompts by turns, each for the second time",
}
"""What is timed, in words."""
CORE = 4
"""Texts of a user that stand first in every one of their prompts, in the situation `second`."""
SITUATIONS["second"] %= CORE

Messages = list[dict[str, str]]

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

    def awake(self) -> AbstractContextManager[None]:
        """It runs within, and is stopped outside where that is possible, so that nothing of it disturbs the others."""


Opening = Callable[[Ground], AbstractContextManager[Rival]]
"""Starts a rival. Raises ExtraMissing where its package is not installed."""


@dataclass(frozen=True)
class RivalSpeed:
    """One rival at one N: medians over prompts and rounds."""

    name: str
    version: str
    way: str
    situation: Situation
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


@dataclass(frozen=True)
class RivalRound:
    """What a rival is asked in one round: first, without being timed, what it may remember; then what is timed."""

    before: tuple[Messages, ...]
    timed: tuple[Messages, ...]


def conversation(task: Task, examples: int = 4, *, mark: str = "") -> Messages:
    """The task as chat messages that any program takes: the user's last texts as earlier turns, then the prompt.

    `mark` begins the first message, so that no cache knows any of it.
    """
    return _turns(task, range(max(0, len(task.history) - examples), len(task.history)), mark)


def _turns(task: Task, places: Sequence[int], mark: str) -> Messages:
    turns: Messages = []
    for place in places:
        item = task.history[place]
        turns += [{"role": "user", "content": item.input or "Write."}, {"role": "assistant", "content": item.output}]
    turns.append({"role": "user", "content": task.prompt})
    turns[0] = {"role": "user", "content": mark + turns[0]["content"]}
    return turns


def rounds_of(situation: Situation, tasks: Sequence[Task], *, ours: bool, mark: str) -> Iterator[RivalRound]:
    """What is asked of ours or another rival in a round over `tasks`, the same prompt at the same place for each."""
    whole = [conversation(task, mark=f"({mark}.{place}) ") for place, task in enumerate(tasks)]
    if situation == "turns":
        yield RivalRound(tuple(whole), tuple(whole))
        return
    for place, (task, asked) in enumerate(zip(tasks, whole, strict=True)):
        if situation == "new":
            yield RivalRound((), (asked,))
        elif situation == "again":
            yield RivalRound((asked,), (asked,))
        else:
            yield _second(task, ours=ours, mark=f"{mark}.{place}")


def _second(task: Task, *, ours: bool, mark: str) -> RivalRound:
    """Two requests of one user that recall different texts: behind a core which stays, or nothing but recalled ones."""
    count = len(task.history)
    core = list(range(min(CORE, count)))
    recalled = [place for place in range(count) if place >= CORE] or core
    if ours:
        return RivalRound(
            (_turns(task, [*core, recalled[0]], f"({mark}) "),), (_turns(task, [*core, recalled[-1]], f"({mark}) "),)
        )
    return RivalRound((_turns(task, recalled[:4], f"({mark}a) "),), (_turns(task, recalled[-4:], f"({mark}b) "),))


def speeds(
    rivals: Sequence[Rival],
    tasks: Sequence[Task],
    counts: Sequence[int],
    *,
    situations: Sequence[Situation] = ("new", "again"),
    tokens: int,
    rounds: int,
    advance: Callable[[float], None],
    cancel: threading.Event,
) -> list[RivalSpeed]:
    """A row for each situation, number of choices and rival. The first rival is what the others are held against.

    In every round all rivals answer the same prompt, each round beginning with another one. Ends with the rows that
    were measured whole where `cancel` is set.
    """
    rows: list[RivalSpeed] = []
    done = 0
    for rival in rivals:
        with rival.awake():  # what is loaded at the first request is not timed
            rival.choices(conversation(tasks[0]), 1, tokens=2, seed=0)
    for situation in situations:
        for n in counts:
            runs: list[list[_Timed]] = [[] for _ in rivals]
            for turn in range(rounds):
                mark = f"{situation} {n}.{turn}"
                asked = zip(
                    *(rounds_of(situation, tasks, ours=at == 0, mark=mark) for at in range(len(rivals))), strict=True
                )
                for place, each in enumerate(asked):
                    first = (turn * len(tasks) + place) % len(rivals)
                    for at in [*range(first, len(rivals)), *range(first)]:
                        runs[at] += _run(rivals[at], each[at], n, tokens, seed=1000 * turn + place)
                        done += len(each[at].timed)
                        advance(done)
                        if cancel.is_set():
                            return rows
            rows += [_row(rival, situation, n, own, runs[0]) for rival, own in zip(rivals, runs, strict=True)]
    return rows


def _run(rival: Rival, asked: RivalRound, n: int, tokens: int, *, seed: int) -> list[_Timed]:
    timed = []
    with rival.awake():
        for messages in asked.before:
            rival.choices(messages, n, tokens=min(2, tokens), seed=seed)
        for messages in asked.timed:
            began = perf_counter()
            made = rival.choices(messages, n, tokens=tokens, seed=seed)
            timed.append(_Timed(perf_counter() - began, made))
    return timed


def _row(rival: Rival, situation: Situation, n: int, own: list[_Timed], ours: list[_Timed]) -> RivalSpeed:
    def each(run: _Timed) -> float:
        return run.seconds / max(1, run.made.tokens)

    return RivalSpeed(
        name=rival.name,
        version=rival.version,
        way=rival.way,
        situation=situation,
        n=n,
        seconds=median(run.seconds for run in own),
        tokens=median(run.made.tokens for run in own),
        choices=median(len(set(run.made.texts)) for run in own),
        rate=median(1 / each(run) for run in own),
        slower=median(each(theirs) / each(mine) for theirs, mine in zip(own, ours, strict=True)),
    )
