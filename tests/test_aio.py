"""AsyncRuntime: many requests at once in one event loop, cancelled by their tasks, and the thread it all runs in."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from fakes import FakePolicy, FakeReward, Models, endless
from fakes.command import model_paths

from edge_ttp.aio import AsyncRuntime
from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Budget, Event, Generation, Rewrite, Sampling

SHORT = Sampling(max_tokens=8)
LONG = Sampling(max_tokens=1500)


@pytest.fixture
def opened(models: Models, tmp_path: Path) -> Iterator[Callable[..., AsyncRuntime]]:
    paths = model_paths(tmp_path)
    made: list[AsyncRuntime] = []

    def open_one(**options: Any) -> AsyncRuntime:
        made.append(AsyncRuntime.open(**{**paths, **options}))
        return made[-1]

    yield open_one
    for runtime in made:
        runtime.runtime.close(cancel=True, timeout=60)


ASKED: dict[str, Any] = {"user": "ann", "n": 4, "seed": 3, "sampling": SHORT}


async def until(fact: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < ends
        await asyncio.sleep(0.001)


def test_an_awaited_answer_is_the_one_that_a_thread_gets(opened: Callable[..., AsyncRuntime]) -> None:
    async def main() -> tuple[Generation, Generation]:
        async with opened() as runtime:
            awaited = await runtime.generate("what grows here", **ASKED)
            plain = await runtime.run(runtime.runtime.generate, "what grows here", **ASKED)
            assert runtime.history.generation(awaited.generation_id).text == awaited.text
            return awaited, plain

    awaited, plain = asyncio.run(main())
    assert awaited.candidates == plain.candidates


def test_the_stream_has_the_same_events_in_the_same_order(opened: Callable[..., AsyncRuntime]) -> None:
    async def main() -> tuple[list[Event], list[Event]]:
        async with opened() as runtime:
            async with aclosing(runtime.stream("what grows here", **ASKED)) as events:
                streamed = [event async for event in events]
            expected: list[Event] = []
            await runtime.run(runtime.runtime.generate, "what grows here", on_event=expected.append, **ASKED)
            return streamed, expected

    streamed, expected = asyncio.run(main())
    assert [event.type for event in streamed] == [event.type for event in expected]
    assert streamed[-1].generation is not None


def test_waves_that_are_scored_in_between_are_answered_to_the_end(
    opened: Callable[..., AsyncRuntime], models: Models
) -> None:
    models.policy = FakePolicy(table=endless, slowness=3000)
    models.reward = FakeReward(judge=lambda text: 0.1)

    async def main() -> None:
        async with opened() as runtime:
            await runtime.warm()
            for _ in range(3):
                made = await asyncio.wait_for(
                    runtime.generate("what grows here", user="ann", sampling=SHORT, budget=Budget(mode="fast")), 60
                )
                assert made.plan.decisions

    asyncio.run(main())


def test_an_answer_that_runs_on_is_gone_on_with_in_a_loop_too(
    opened: Callable[..., AsyncRuntime], models: Models
) -> None:
    models.policy = FakePolicy(table=endless)

    async def main() -> None:
        async with opened() as runtime:
            asked = {"user": "ann", "n": 2, "seed": 3, "store": False}
            made = await asyncio.wait_for(runtime.generate("what grows here", **asked), 60)
            assert made.candidates[made.chosen].tokens > made.candidates[1 - made.chosen].tokens
            events = [one async for one in runtime.stream("what grows here", **asked)]
            assert events[-1].generation is not None
            assert events[-1].generation.text == made.text

    asyncio.run(main())


def test_many_users_are_answered_at_once_without_a_thread_for_each(opened: Callable[..., AsyncRuntime]) -> None:
    most = 0

    async def main() -> list[Generation]:
        nonlocal most
        before = threading.active_count()
        async with opened() as runtime:

            async def one(index: int) -> Generation:
                nonlocal most
                made = await runtime.generate("what grows here", **{**ASKED, "user": f"user-{index}"})
                most = max(most, threading.active_count() - before)
                return made

            return await asyncio.gather(*(one(index) for index in range(40)))

    made = asyncio.run(main())
    assert {one.user for one in made} == {f"user-{index}" for index in range(40)}
    assert most <= 5  # the engine's two, the two aside, and one that may measure


def test_a_cancelled_task_ends_its_request_within_a_step_and_the_next_is_right(
    opened: Callable[..., AsyncRuntime], models: Models
) -> None:
    async def main() -> None:
        async with opened() as runtime:
            expected = await runtime.generate("what grows here", **ASKED)
            models.policy = FakePolicy(table=endless)
            runtime.runtime.unload()
            began = asyncio.Event()
            task = asyncio.create_task(
                runtime.generate(
                    "what grows here",
                    on_event=lambda event: began.set() if event.type == "progress" else None,
                    **{**ASKED, "sampling": LONG},
                )
            )
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: not runtime.runtime.busy)
            await until(lambda: runtime.runtime.scheduler.waiting() == 0)
            assert len(runtime.history.generations("ann")) == 1
            models.policy = FakePolicy()
            runtime.runtime.unload()
            assert (await runtime.generate("what grows here", **ASKED)).candidates == expected.candidates

    asyncio.run(main())


def test_a_task_can_be_cancelled_at_any_moment(opened: Callable[..., AsyncRuntime]) -> None:
    async def main() -> None:
        async with opened() as runtime:
            expected = await runtime.generate("what grows here", **ASKED)
            for wait in range(40):
                task = asyncio.create_task(runtime.generate("what grows here", **ASKED))
                await asyncio.sleep(wait / 4000)
                task.cancel()
                await asyncio.wait([task])
            await until(lambda: not runtime.runtime.busy)
            assert (await runtime.generate("what grows here", **ASKED)).candidates == expected.candidates

    asyncio.run(main())


def test_a_timeout_is_a_cancel(opened: Callable[..., AsyncRuntime], models: Models) -> None:
    models.policy = FakePolicy(table=endless, context=10**6)

    async def main() -> None:
        async with opened() as runtime:
            await runtime.warm()
            asked = runtime.generate("what grows here", **{**ASKED, "n": 1, "sampling": Sampling(max_tokens=8192)})
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asked, 0.01)
            await until(lambda: not runtime.runtime.busy)

    asyncio.run(main())


def test_leaving_a_stream_early_cancels_its_request(opened: Callable[..., AsyncRuntime], models: Models) -> None:
    models.policy = FakePolicy(table=endless)

    async def main() -> None:
        async with opened() as runtime:
            async with aclosing(runtime.stream("what grows here", **{**ASKED, "sampling": LONG})) as events:
                async for event in events:
                    if event.type == "progress":
                        break
            await until(lambda: not runtime.runtime.busy)
            assert runtime.history.generations("ann") == []

    asyncio.run(main())


def test_errors_reach_who_awaits_and_a_callbacks_own_too(opened: Callable[..., AsyncRuntime]) -> None:
    def fail(event: Event) -> None:
        if event.type == "progress":
            raise ZeroDivisionError

    async def main() -> None:
        async with opened() as runtime:
            with pytest.raises(InvalidInput, match="the prompt is empty"):
                await runtime.generate(" ")
            with pytest.raises(InvalidInput, match="no option 'sead'"):
                await runtime.generate("hello", sead=3)  # type: ignore[call-arg]
            with pytest.raises(NotFound):
                await runtime.generate("hello", model="no-such-model")
            with pytest.raises(ZeroDivisionError):
                await runtime.generate("what grows here", on_event=fail, **ASKED)
            assert runtime.history.generations("ann") == []
            await until(lambda: not runtime.runtime.busy)

    asyncio.run(main())


def test_the_text_alone_is_the_answer(opened: Callable[..., AsyncRuntime]) -> None:
    async def main() -> None:
        async with opened() as runtime:
            for n in (1, 4):
                pieces = [piece async for piece in runtime.text("what grows here", **{**ASKED, "n": n})]
                expected = await runtime.generate("what grows here", **{**ASKED, "n": n})
                assert "".join(pieces) == expected.text
                assert len(pieces) == 1 if n == 4 else len(pieces) > 1

    asyncio.run(main())


def test_a_closed_one_takes_no_more_requests(opened: Callable[..., AsyncRuntime]) -> None:
    async def main() -> None:
        runtime = opened()
        assert await runtime.close()
        with pytest.raises((InvalidInput, RuntimeError)):
            await runtime.generate("hello")

    asyncio.run(main())


def test_a_stream_in_a_thread_and_one_in_a_loop_share_a_runtime(opened: Callable[..., AsyncRuntime]) -> None:
    async def main() -> None:
        async with opened() as runtime:
            plain: Runtime = runtime.runtime
            both = await asyncio.gather(
                asyncio.to_thread(lambda: list(plain.stream("what grows here", **ASKED))),
                runtime.generate("what grows here", **ASKED),
            )
            last = both[0][-1].generation
            assert last is not None
            assert last.candidates == both[1].candidates

    asyncio.run(main())


def test_a_text_is_said_again_in_a_loop_and_as_a_stream(opened: Callable[..., AsyncRuntime]) -> None:
    async def main() -> None:
        async with opened() as runtime:
            asked: Any = {"user": "ann", "n": 4, "seed": 3}
            made = await runtime.rewrite("We meet Anna at 5 pm.", keep="strict", **asked)
            plain = await asyncio.to_thread(runtime.runtime.rewrite, "We meet Anna at 5 pm.", keep="strict", **asked)
            assert made.text == plain.text == "We meet Anna at 5 pm."
            assert made.kept.sound
            how = Rewrite(keep="strict")
            streamed = [one async for one in runtime.stream("We meet Anna at 5 pm.", rewrite=how, **asked)]
            last = streamed[-1].generation
            assert last is not None
            assert last.candidates == made.generation.candidates
            events = list(runtime.runtime.stream("We meet Anna at 5 pm.", rewrite=how, **asked))
            assert [one.type for one in events] == [one.type for one in streamed]

    asyncio.run(main())
