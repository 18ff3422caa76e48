"""AsyncRuntime: the runtime for an event loop. The same objects; no thread waits for a request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from dataclasses import replace
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, Unpack

from edge_ttp.answer import answering
from edge_ttp.answer.ask import Ask
from edge_ttp.history import History
from edge_ttp.policy.job import Asked, EitherFlag, Ended, Job, Paused
from edge_ttp.runtime import Runtime
from edge_ttp.runtime.asking import Options, checked_flag
from edge_ttp.schema import Event, Feedback, FeedbackKind, Generation, Keep, Rewrite, Rewritten
from edge_ttp.system.help_page import Page

_WORKERS = 2
"""Threads for what takes processor time between the engine's steps: recall, scoring, recording, loading."""

T = TypeVar("T")
P = ParamSpec("P")


class AsyncRuntime(metaclass=Page):
    """A Runtime whose answers are awaited. Use as an async context manager, in one event loop.

    While the engine draws, a request occupies no thread: the engine's own one, and two for recall and scoring, serve
    any number of them. A task that is cancelled ends its request within a decode step.
    """

    def __init__(self, runtime: Runtime) -> None:
        """Over an open runtime, which may go on to be used from threads; closing this one closes it too."""
        self.runtime = runtime
        self._pool = ThreadPoolExecutor(_WORKERS, "edge-ttp-aside")

    @classmethod
    def open(cls, **options: Any) -> AsyncRuntime:
        """Takes the options of Runtime.open."""
        return cls(Runtime.open(**options))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close(cancel=error is not None)

    @property
    def history(self) -> History:
        """What the users wrote. Its calls are short; take `run` for long ones."""
        return self.runtime.history

    async def close(self, *, cancel: bool = False, timeout: float | None = None) -> bool:
        """As Runtime.close, without holding up the event loop."""
        done = await asyncio.to_thread(self.runtime.close, cancel=cancel, timeout=timeout)
        if done:
            self._pool.shutdown(wait=False)
        return done

    async def run(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """What `work` returns, called beside the event loop: run(runtime.history.search, "ann", "rain")."""
        return await asyncio.wrap_future(self._pool.submit(work, *arguments, **options))

    async def warm(self, **options: Any) -> None:
        """As Runtime.warm. A cancelled task ends it."""
        flag = EitherFlag(checked_flag(options.get("cancel")))
        work = self._pool.submit(self.runtime.warm, **{**options, "cancel": flag})
        try:
            await asyncio.wrap_future(work)
        finally:
            flag.set()

    async def generate(
        self,
        prompt: str | None = None,
        *,
        on_event: Callable[[Event], None] | None = None,
        **options: Unpack[Options],
    ) -> Generation:
        """As Runtime.generate. A cancelled task ends drawing within a step.

        `on_event` is called in the event loop with what happens. Raises as Runtime.generate.
        """
        loop = asyncio.get_running_loop()
        emit = None if on_event is None else _to_loop(loop, on_event)
        return await self._answer(self.runtime.prepared(prompt, options, emit))

    async def stream(
        self, prompt: str | None = None, *, rewrite: Rewrite | None = None, **options: Unpack[Options]
    ) -> AsyncGenerator[Event, None]:
        """The events of one request as they happen; the last one (`done`) carries the generation.

        Take it in `async with contextlib.aclosing(...)` where it may be left early: leaving cancels the request, and so
        does cancelling the task. Raises as Runtime.generate.
        """
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        ask = self.runtime.prepared(prompt, options, _to_loop(loop, events.put_nowait), rewrite=rewrite)
        task = loop.create_task(self._answer(ask))
        task.add_done_callback(lambda _: loop.call_soon(events.put_nowait, None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    async def text(self, prompt: str | None = None, **options: Unpack[Options]) -> AsyncGenerator[str, None]:
        """The answer's text alone, in pieces where it is certain before it is complete. As `stream`."""
        certain = None
        async with aclosing(self.stream(prompt, **options)) as events:
            async for event in events:
                if event.type == "selected":
                    certain = event.candidate
                if event.text and (event.type == "selected" or (event.type == "delta" and event.candidate == certain)):
                    yield event.text

    async def rewrite(
        self,
        text: str,
        *,
        notes: bool = False,
        keep: Keep = "words",
        on_event: Callable[[Event], None] | None = None,
        **options: Unpack[Options],
    ) -> Rewritten:
        """As Runtime.rewrite. A cancelled task ends drawing within a step."""
        emit = None if on_event is None else _to_loop(asyncio.get_running_loop(), on_event)
        how = Rewrite(notes=notes, keep=keep)
        made = await self._answer(self.runtime.prepared(text, options, emit, rewrite=how))
        from edge_ttp.answer.rewriting import described

        return await self.run(described, self.history, made)

    async def feedback(
        self,
        generation_id: str,
        kind: FeedbackKind,
        *,
        user: str | None = None,
        candidate: int | None = None,
        text: str | None = None,
    ) -> Feedback:
        """As Runtime.feedback."""
        return await self.run(self.runtime.feedback, generation_id, kind, user=user, candidate=candidate, text=text)

    async def _answer(self, ask: Ask) -> Generation:
        """The answer, its work between the engine's steps done aside."""
        flag = EitherFlag(ask.cancel)
        task = _Steps(self, replace(ask, cancel=flag))
        try:
            return await task.run()
        except BaseException:
            flag.set()  # ends what is still loading or drawing for it
            raise


class _Steps:
    """One request between the event loop, the engine and the threads aside."""

    def __init__(self, runtime: AsyncRuntime, ask: Ask) -> None:
        self._runtime, self._ask = runtime, ask
        self._loop = asyncio.get_running_loop()
        self._steps: Paused[Generation] | None = None
        self._stay = ExitStack()
        self._job: Job[Any] | None = None
        self._told: asyncio.Queue[object] = asyncio.Queue()
        self._finished: Generation | None = None

    async def run(self) -> Generation:
        """The answer. Cancelled or failed, what it held is given back by whoever is working for it just then."""
        stop: Asked | Ended[Any] | None = None
        while True:
            job = await self._aside(stop)
            if job is None:
                assert self._finished is not None
                return self._finished
            try:
                stop = await self._heard(job)
            except BaseException:
                job.abandon()
                self._runtime._pool.submit(self._end)
                raise

    async def _aside(self, stop: Asked | Ended[Any] | None) -> Job[Any] | None:
        """Goes on to where the engine works next; None where the answer is there."""
        work = self._runtime._pool.submit(self._go_on, stop)
        try:
            return await asyncio.shield(asyncio.wrap_future(work))
        except asyncio.CancelledError:
            self._ask.cancel.set()  # type: ignore[union-attr]  # a flag of its own
            work.add_done_callback(self._abandoned)
            raise

    def _abandoned(self, done: Any) -> None:
        """The work aside came to its end after nobody waited any more."""
        job = None if done.cancelled() or done.exception() is not None else done.result()
        if job is not None:
            job.abandon()
            self._end()

    def _go_on(self, stop: Asked | Ended[Any] | None) -> Job[Any] | None:
        """In a thread aside."""
        try:
            if self._steps is None:
                self._steps = answering(self._stay.enter_context(self._runtime.runtime.serving(self._ask)), self._ask)
                return next(self._steps)
            assert stop is not None
            return self._steps.send(stop)
        except StopIteration as finished:
            self._finished = finished.value
            self._end()
            return None
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        """In a thread aside: gives back what the request held. May be called again."""
        steps, self._steps = self._steps, None
        with self._stay:
            if steps is not None:
                steps.close()

    async def _heard(self, job: Job[Any]) -> Asked | Ended[Any]:
        """The question or the end that the engine comes to; what happens before is told in the event loop."""
        if self._job is not job:  # a request may draw more than once: a text that is gone on with, or in parts
            self._job, told = job, asyncio.Queue[object]()
            self._told = told

            def listen(message: object) -> None:
                self._loop.call_soon_threadsafe(told.put_nowait, message)

            job.listen(listen)
        while True:
            message = await self._told.get()
            if isinstance(message, (Asked, Ended)):
                return message
            job.hear(message)


def _to_loop(loop: asyncio.AbstractEventLoop, emit: Callable[[Event], None]) -> Callable[[Event], None]:
    """`emit` for events that come from the event loop or from other threads, in their order."""
    here = threading.get_ident()

    def tell(event: Event) -> None:
        if threading.get_ident() == here:
            emit(event)
        else:
            loop.call_soon_threadsafe(emit, event)

    return tell
