"""A request with the scheduler: what it does step by step, and the messages by which its caller hears of it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

T = TypeVar("T")

Priority = Literal["interactive", "background"]

Steps = Generator[object, Any, T]
"""What a job does: it yields None after a step, Asked where it needs an answer, and anything else as a message."""

Start = Callable[["Job[T]"], "Steps[T] | None"]
"""Begins a job, on the engine thread; None where there is no room for it beside the others."""

Paused = Generator["Job[Any]", "Asked | Ended[Any]", T]
"""Work that needs jobs done: it yields each one, is sent the question or the end that this comes to, and may then yield
it again. So nobody's thread has to wait meanwhile: `waited` waits in this one, aio.py in none."""

_log = logging.getLogger("edge_ttp")


class Flag(Protocol):
    """Something that is set when a call has to end: a threading.Event, or a job."""

    def is_set(self) -> bool:
        """Whether it has to end."""


class EitherFlag(threading.Event):
    """A flag of one's own beside one that was given, which is left alone."""

    def __init__(self, given: Flag | None = None) -> None:
        super().__init__()
        self._given = given

    def is_set(self) -> bool:
        """Whether either is set."""
        return super().is_set() or (self._given is not None and self._given.is_set())


@dataclass(frozen=True)
class Asked:
    """A job that waits for `Job.reply`."""

    question: Any


@dataclass(frozen=True)
class Queued:
    """A job that waits for room beside the others."""

    position: int
    """Jobs that come before it, and itself: 1 is next."""
    expected_s: float | None
    """Seconds until it will probably begin; None where that is not known."""


_SLICE_S = 0.1
"""How long the main thread waits at a time: a Ctrl-C that came a moment before it began to wait is heard after that."""


class Ended(Generic[T]):
    """A job's last message."""

    def __init__(self, value: T | None, error: BaseException | None) -> None:
        self._value, self._error = value, error

    def result(self) -> T:
        """What the job gave. Raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # only where there is no error


@dataclass(frozen=True)
class Claim:
    """Who asks, and how much it presses."""

    user: str = ""
    priority: Priority = "interactive"
    expected_s: float | None = None
    """Seconds of the engine's time that the job will probably take."""


class Desk(Protocol):
    """Where a job's caller is heard: the scheduler."""

    def look_at(self, job: Job[Any]) -> None:
        """Makes a job end whose flag was set."""

    def resume(self, job: Job[Any], value: Any) -> None:
        """Lets a job go on that asked something."""


class Job(Generic[T]):
    """A request with the scheduler. What happens to it arrives as messages, in order: progress, questions, the end."""

    def __init__(
        self,
        desk: Desk,
        start: Start[T],
        claim: Claim,
        *,
        deadline: float | None,
        cancel: Flag | None,
        hear: Callable[[object], Any] | None = None,
        listener: Callable[[object], None] | None = None,
    ) -> None:
        """Use Scheduler.submit. `hear` is its caller: gets what it tells, and returns the reply to a question."""
        self.claim = claim
        self.deadline = deadline
        self.abort: Callable[[], None] | None = None
        """Cuts the computation under way off. Set by `start`; called from any thread."""
        self._desk = desk
        self.start = start
        self.given = cancel
        self.hear = hear or _nobody
        self._flag = threading.Event()
        self._messages: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._listener = listener
        self._telling = threading.Lock()
        # The rest belongs to the scheduler, under its lock.
        self.steps: Steps[T] | None = None
        self.spent_s = 0.0  # seconds computed
        self.turn = 0.0  # the same, counted from where the user's other jobs were when it came
        self.served = 0  # number of its last step among all
        self.parked = False  # waits for a reply
        self.blocked = False  # found no room; tried again when another job ends
        self.reply_with: Any = None
        self.dropped = False  # nobody waits for it any more
        self.position = 0

    def is_set(self) -> bool:
        """Whether it has to end: `cancel` was called, or the caller's own flag is set."""
        return self._flag.is_set() or (self.given is not None and self.given.is_set())

    def cancel(self) -> None:
        """Ends it within a step, from any thread: what it had so far is its result. May be called again."""
        self._flag.set()
        self._desk.look_at(self)

    def abandon(self) -> None:
        """Ends it without a result, from any thread: nobody waits for it any more."""
        self.dropped = True
        self.cancel()

    def reply(self, value: Any) -> None:
        """Answers the question of its last message; it goes on."""
        self._desk.resume(self, value)

    def wait(self, timeout: float | None = None) -> object:
        """The next message: Queued, Asked, Ended, or what the job itself tells. Raises queue.Empty after `timeout`."""
        if timeout is not None or threading.current_thread() is not threading.main_thread():
            return self._messages.get(timeout=timeout)
        while True:
            try:
                return self._messages.get(timeout=_SLICE_S)
            except queue.Empty:
                continue

    def tell(self, message: object) -> None:
        """Hands a message to whoever waits for it."""
        with self._telling:
            if self._listener is None:
                self._messages.put(message)
                return
            listener = self._listener
        self._call(listener, message)

    def listen(self, listener: Callable[[object], None]) -> None:
        """Has `listener` called with every message from now on, those that nobody waited for first.

        On the engine's thread, in place of `wait`; it must return at once.
        """
        with self._telling:
            while not self._messages.empty():
                self._call(listener, self._messages.get())
            self._listener = listener
        self._telling = threading.Lock()

    def _call(self, listener: Callable[[object], None], message: object) -> None:
        try:
            listener(message)
        except Exception:  # noqa: BLE001  # an event loop that is gone
            _log.exception("nobody listens to a request any more")
            self.dropped = True
            self._flag.set()

    def next_stop(self) -> Asked | Ended[T]:
        """Waits for a question or the end; `hear` gets what comes before it."""
        while True:
            message = self.wait()
            if isinstance(message, (Asked, Ended)):
                return message
            self.hear(message)

    def outcome(self) -> Paused[T]:
        """Its result, its questions answered by `hear`. Raises what the job or `hear` raised; the job then is over."""
        try:
            while True:
                stop = yield self
                if isinstance(stop, Ended):
                    result: T = stop.result()
                    return result
                self.reply(self.hear(stop))
        except BaseException:
            self.abandon()
            raise

    def drive(self) -> T:
        """As `outcome`, waited for in this thread."""
        return waited(self.outcome())


def _nobody(_: object) -> None:
    """Hears what a job tells where nobody listens."""


def waited(work: Paused[T]) -> T:
    """What `work` returns, its jobs waited for in this thread. What is raised while it waits (by a callback, or by
    Ctrl-C) is raised inside `work`, which may answer with what it has, and then here.
    """
    try:
        job = next(work)
        while True:
            try:
                stop = job.next_stop()
            except BaseException as error:
                work.throw(error)
                raise
            job = work.send(stop)
    except StopIteration as finished:
        result: T = finished.value
        return result
