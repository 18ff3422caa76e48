"""Long lives: open and close, request after request, cancels of every kind; short here, long under `make soak`.

A real (random, tiny) policy on llama.cpp and a real history; nothing here is about what the answers say.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from pathlib import Path

import psutil
import pytest
from policy.tiny import language_model

from edge_ttp.aio import AsyncRuntime
from edge_ttp.errors import Cancelled
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Candidate, Generation, Sampling

MIB = 2**20
SHORT = Sampling(max_tokens=6)
LONG = Sampling(max_tokens=200)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(language_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf"))


@pytest.fixture
def runtime(model: str) -> Iterator[Runtime]:
    with Runtime.open(model=model, threads=1) as opened:
        opened.warm(rule="first")
        yield opened


def ask(runtime: Runtime, seed: int = 1, **options: object) -> Generation:
    asked = {"user": "ann", "n": 2, "select": "first", "sampling": SHORT, "store": False, **options}
    return runtime.generate("what grows here", seed=seed, **asked)  # type: ignore[arg-type]


def settled_bytes() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


def grows(work: Callable[[int], object], *, warm_up: int, count: int) -> list[int]:
    """Bytes of this process after the warm-up, and after each tenth of the rest."""
    for index in range(warm_up):
        work(index)
    measured = [settled_bytes()]
    for index in range(count):
        work(warm_up + index)
        if index % max(1, count // 10) == 0:
            measured.append(settled_bytes())
    return [*measured, settled_bytes()]


def cycle(model: str, index: int) -> None:
    with Runtime.open(model=model, threads=1) as runtime:
        ask(runtime, index, store=index % 3 == 0)


def test_some_cycles_leave_nothing(model: str) -> None:
    threads, files = threading.active_count(), open_files()
    for index in range(12):
        cycle(model, index)
    assert threading.active_count() <= threads
    assert open_files() <= files + 1


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_cycles_leave_nothing(model: str) -> None:
    threads = threading.active_count()
    measured = grows(lambda index: cycle(model, index), warm_up=50, count=1000)
    print("MiB after the warm-up and on:", [size // MIB for size in measured])
    assert measured[-1] - measured[0] <= 20 * MIB, measured
    assert threading.active_count() <= threads


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_ten_thousand_requests_take_no_memory(runtime: Runtime) -> None:
    rng = random.Random(0)
    files = open_files()

    def one(index: int) -> None:
        ask(runtime, index, user=f"user-{index % 7}", n=rng.choice([1, 2, 5]), store=index % 10 == 0)

    measured = grows(one, warm_up=500, count=10_000)
    print("MiB after the warm-up and on:", [size // MIB for size in measured])
    assert measured[-1] - measured[0] <= 20 * MIB, measured
    assert open_files() <= files + 2


def by_event(runtime: Runtime, wait_s: float) -> None:
    cancel = threading.Event()
    timer = threading.Timer(wait_s, cancel.set)
    timer.start()
    try:
        ask(runtime, n=4, sampling=LONG, cancel=cancel)
    except Cancelled:
        pass
    finally:
        timer.join()


def by_iterator(runtime: Runtime, wait_s: float) -> None:
    ends = time.monotonic() + wait_s
    events = runtime.stream("what grows here", user="ann", n=4, select="first", sampling=LONG, store=False)
    for _ in events:
        if time.monotonic() > ends:
            break
    events.close()  # type: ignore[attr-defined]  # a generator


def by_task(runtime: Runtime, wait_s: float) -> None:
    async def main() -> None:
        aside = AsyncRuntime(runtime)
        task = asyncio.create_task(
            aside.generate("what grows here", user="ann", n=4, select="first", sampling=LONG, store=False)
        )
        await asyncio.sleep(wait_s)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())


def by_async_iterator(runtime: Runtime, wait_s: float) -> None:
    async def main() -> None:
        ends = time.monotonic() + wait_s
        asked = AsyncRuntime(runtime).stream(
            "what grows here", user="ann", n=4, select="first", sampling=LONG, store=False
        )
        async with aclosing(asked) as events:
            async for _ in events:
                if time.monotonic() > ends:
                    break

    asyncio.run(main())


def by_failing(runtime: Runtime, wait_s: float) -> None:
    """The caller's own callback fails."""
    ends = time.monotonic() + wait_s

    def fail(_: object) -> None:
        if time.monotonic() > ends:
            raise ZeroDivisionError

    with suppress(ZeroDivisionError):
        ask(runtime, n=4, sampling=LONG, on_event=fail)


WAYS = (by_event, by_iterator, by_task, by_async_iterator, by_failing)


def storm(runtime: Runtime, way: Callable[[Runtime, float], None], count: int) -> None:
    """So many cancels at random moments; after each the next request is the right one."""
    expected: tuple[Candidate, ...] = ask(runtime).candidates
    rng = random.Random(way.__name__)
    for _ in range(count):
        way(runtime, rng.random() * 0.05)
        assert ask(runtime).candidates == expected
    ends = time.monotonic() + 60
    while runtime.busy or runtime.scheduler.waiting():
        assert time.monotonic() < ends
        time.sleep(0.01)
    for seat in [seat for seat in _seats(runtime) if not seat.busy]:  # type: ignore[attr-defined]
        context = seat.context  # type: ignore[attr-defined]
        assert {context.length(sequence) for sequence in range(1, context.sequences)} == {0}


def _seats(runtime: Runtime) -> list[object]:
    with runtime.models.using() as ready:
        return list(ready.policy._seats.all)


@pytest.mark.parametrize("way", WAYS)
def test_after_some_cancels_the_next_request_is_right(runtime: Runtime, way: Callable[[Runtime, float], None]) -> None:
    storm(runtime, way, 6)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", WAYS)
def test_after_a_hundred_cancels_the_next_request_is_right(
    runtime: Runtime, way: Callable[[Runtime, float], None]
) -> None:
    storm(runtime, way, 100)
