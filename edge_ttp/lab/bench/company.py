"""What company costs: a short request beside long ones of other users, by turns against first come, first served."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from edge_ttp.runtime import Runtime
from edge_ttp.schema import Event, Generation, Sampling

SHORT_TOKENS = 16
PROMPT = "Please answer this in a sentence or two, the way I would."


@dataclass(frozen=True)
class CompanyCost:
    """One short request (N=1) beside so many long ones of other users, which were there first. Medians of rounds."""

    others: int
    alone_s: float
    """Seconds with nobody else there."""
    queued_s: float
    """One after another, in the order they came: what it took without turns."""
    turns_s: float
    """By turns."""
    queued_rate: float
    """Tokens per second of all requests together, one after another."""
    turns_rate: float
    """The same by turns."""
    throughput: float
    """turns_rate / queued_rate, median of the rounds' ratios."""
    effort: float
    """The same of tokens per second of this process's processor time, which others' load hardly changes where one
    thread decodes (--threads 1): more of them wait for each other spinning, and that counts too."""
    same: bool
    """Whether every seed said the same in both ways."""

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


@dataclass(frozen=True)
class _Round:
    short_s: float
    rate: float
    effort: float
    """Tokens per second of processor time."""
    made: tuple[Generation, ...]


def company(
    runtime: Runtime,
    counts: Sequence[int],
    *,
    n: int,
    tokens: int,
    rounds: int,
    advance: Callable[[float], None],
    cancel: threading.Event,
) -> list[CompanyCost]:
    """A row for each number of others in `counts`, each of which draws `n` candidates of `tokens` tokens.

    Ends with the rows that were measured whole where `cancel` is set.
    """
    costs: list[CompanyCost] = []
    done = 0
    for others in counts:
        alone, queued, turns = [], [], []
        for at in range(rounds):
            alone.append(_queued(runtime, 0, n=n, tokens=tokens, seed=at))
            queued.append(_queued(runtime, others, n=n, tokens=tokens, seed=at))
            turns.append(_turns(runtime, others, n=n, tokens=tokens, seed=at))
            if cancel.is_set():
                return costs
            done += 1
            advance(done)
        costs.append(_row(others, alone, queued, turns))
    return costs


def _row(others: int, alone: list[_Round], queued: list[_Round], turns: list[_Round]) -> CompanyCost:
    return CompanyCost(
        others=others,
        alone_s=median(one.short_s for one in alone),
        queued_s=median(one.short_s for one in queued),
        turns_s=median(one.short_s for one in turns),
        queued_rate=median(one.rate for one in queued),
        turns_rate=median(one.rate for one in turns),
        throughput=median(b.rate / a.rate for a, b in zip(queued, turns, strict=True)),
        effort=median(b.effort / a.effort for a, b in zip(queued, turns, strict=True)),
        same=all(
            [one.candidates for one in a.made] == [one.candidates for one in b.made]
            for a, b in zip(queued, turns, strict=True)
        ),
    )


def _queued(runtime: Runtime, others: int, *, n: int, tokens: int, seed: int) -> _Round:
    """One after another, the short request last."""
    clock = _Clock()
    made = [_long(runtime, at, n, tokens, seed=seed, tell=_unheard) for at in range(others)]
    made.append(_short(runtime, seed))
    return clock.round(clock.began, time.monotonic(), made)


def _turns(runtime: Runtime, others: int, *, n: int, tokens: int, seed: int) -> _Round:
    """The others draw when the short request comes."""
    drawing = threading.Semaphore(0)

    def tell(event: Event) -> None:
        if event.type == "planned":
            drawing.release()

    clock = _Clock()
    with ThreadPoolExecutor(max(1, others)) as threads:
        running = [threads.submit(_long, runtime, at, n, tokens, seed=seed, tell=tell) for at in range(others)]
        for _ in running:
            drawing.acquire()
        came = time.monotonic()
        short = _short(runtime, seed)
        went = time.monotonic()
        made = [*(one.result() for one in running), short]
    return clock.round(came, went, made)


class _Clock:
    """What a round takes, from now on."""

    def __init__(self) -> None:
        self.began, self._spent = time.monotonic(), time.process_time()

    def round(self, came: float, went: float, made: list[Generation]) -> _Round:
        """The round, which is over: the short request came and went at these moments."""
        total = sum(one.usage.completion_tokens for one in made)
        passed, spent = time.monotonic() - self.began, time.process_time() - self._spent
        return _Round(went - came, total / passed, total / max(spent, 1e-6), tuple(made))


def _unheard(_: Event) -> None:
    """What is told one after another costs as much as by turns."""


def _long(
    runtime: Runtime, at: int, n: int, tokens: int, *, seed: int, tell: Callable[[Event], None] | None = None
) -> Generation:
    return runtime.generate(
        f"{PROMPT} ({at})",
        user=f"company-{at}",
        n=n,
        seed=seed + at,
        select="first",
        sampling=Sampling(max_tokens=tokens),
        store=False,
        on_event=tell,
    )


def _short(runtime: Runtime, seed: int) -> Generation:
    return runtime.generate(
        PROMPT,
        user="short",
        n=1,
        seed=seed,
        select="first",
        sampling=Sampling(max_tokens=SHORT_TOKENS),
        store=False,
    )
