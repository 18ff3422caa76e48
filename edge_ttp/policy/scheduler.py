"""Whose step is next: one engine thread takes the steps of all requests by turns. Knows nothing of models.

A request is a job: a generator that computes one step each time it is resumed. Between two steps the thread may go on
with another job, so that a short request is not kept waiting by a long one, and a cancel is seen within a step.

Whose turn it is: interactive jobs before background ones; among those, the user who had least of the engine's time
since they came, and of that user's jobs the one that had least. So everybody who is here gets an equal part of the
time, however many candidates or requests they ask for (start-time fair queueing; Goyal et al. 1996). A newcomer has a
small credit, so that a short request hardly waits, and nobody is in debt for long for one step (`PATIENCE_S`).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from edge_ttp.errors import Cancelled, DeadlineTooShort, InvalidInput, OutOfCapacity
from edge_ttp.policy.job import Asked, Claim, Ended, Flag, Job, Priority, Queued, Start, Steps

T = TypeVar("T")

CREDIT_S = 2.0
"""Seconds of the engine's time by which a user who comes while others draw goes before them: a short request then takes
hardly longer than alone. Whoever comes again soon has no second credit."""

PATIENCE_S = 10.0
"""Seconds of the engine's time for which a user has to wait at most, while others are here, for one step that took
longer than theirs: what a busy machine makes of a step would else be paid for once by every other user."""

_REMEMBERED = 10_000
"""Users who came and went during a busy time of whom is known what they had."""

_POLL_S = 0.02
"""How soon a caller's flag is seen while a step is computed."""

_WATCH_STACK = 512 * 2**10  # bytes; it calls next to nothing

_log = logging.getLogger("edge_ttp")


class Scheduler:
    """One engine thread for all the policies of a runtime. Safe to use from any thread, also from its own messages."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._jobs: list[Job[Any]] = []
        self._computing: Job[Any] | None = None
        self._steps = 0
        self._spent: dict[tuple[Priority, str], float] = {}  # of those who came since nobody was here
        self._present: Counter[tuple[Priority, str]] = Counter()
        self._threads: dict[str, threading.Thread] = {}
        self._closed = False
        self._process = os.getpid()

    # Who is here

    @contextmanager
    def present(self, user: str, priority: Priority = "interactive") -> Iterator[None]:
        """Counts a request from the moment it comes, before it is planned, so that others' plans know of it."""
        key = (priority, user)
        with self._changed:
            self._present[key] += 1
        try:
            yield
        finally:
            with self._changed:
                self._present[key] -= 1
                if not self._present[key]:
                    del self._present[key]

    def share(self, user: str, priority: Priority = "interactive") -> float:
        """The part of the engine's time that one request of this user gets now, above 0 and at most 1."""
        with self._changed:
            here = {key for key in self._present if key[0] in ("interactive", priority)} | {(priority, user)}
            return 1 / (len(here) * max(1, self._present[priority, user]))

    @property
    def busy(self) -> int:
        """Requests that are here now, background ones left out."""
        with self._changed:
            return sum(count for (priority, _), count in self._present.items() if priority == "interactive")

    def waiting(self) -> int:
        """Jobs that are not over."""
        with self._changed:
            return len(self._jobs)

    # Jobs

    def submit(
        self,
        start: Start[T],
        claim: Claim | None = None,
        *,
        deadline: float | None = None,
        cancel: Flag | None = None,
        hear: Callable[[object], Any] | None = None,
        listener: Callable[[object], None] | None = None,
    ) -> Job[T]:
        """A job that begins when its turn comes. `deadline` is a moment of the clock.

        `cancel`, set from any thread, ends it as Job.cancel does. `hear` gets, in the thread that waits for the job,
        what it tells, and returns the reply to a question. `listener` is called with every message on the engine's
        thread, in place of Job.wait; it must return at once. Raises InvalidInput after `close`.
        """
        if os.getpid() != self._process:  # before any lock, which may have been held when the process forked
            raise InvalidInput(
                "this runtime was opened before the process forked", "open another with Runtime.open in the child"
            )
        job = Job(self, start, claim or Claim(), deadline=deadline, cancel=cancel, hear=hear, listener=listener)
        with self._changed:
            if self._closed:
                raise InvalidInput("the runtime was closed", "open another with Runtime.open")
            self._begin()
            key = (job.claim.priority, job.claim.user)
            others = [one.turn for one in self._jobs if (one.claim.priority, one.claim.user) == key]
            job.turn = min(others, default=0.0)
            if not others:
                here = {(one.claim.priority, one.claim.user) for one in self._jobs}
                least = min((self._spent[one] for one in here if one[0] == key[0]), default=0.0)
                self._spent[key] = max(self._spent.get(key, -CREDIT_S), least - CREDIT_S)
            self._jobs.append(job)
            self._changed.notify_all()
        return job

    def call(self, work: Callable[[], T]) -> T:
        """What `work` gives, called once on the engine's thread between two steps."""
        if threading.current_thread() is self._threads.get("edge-ttp-engine"):
            return work()  # somebody who listens to a step; waiting would be for ever

        def start(_: Job[T]) -> Steps[T]:
            yield from ()
            return work()

        return self.submit(start).drive()

    def look_at(self, job: Job[Any]) -> None:
        """Makes a job end whose flag was set."""
        with self._changed:
            # Under the lock: a moment later the engine may be with another job in the same place.
            if self._computing is job and job.abort is not None:
                job.abort()
            self._changed.notify_all()

    def resume(self, job: Job[Any], value: Any) -> None:
        """Lets a job go on that asked something."""
        with self._changed:
            job.reply_with, job.parked = value, False
            self._changed.notify_all()

    def cancel_all(self) -> None:
        """Ends all jobs that there are within a step."""
        with self._changed:
            jobs = list(self._jobs)
        for job in jobs:
            job.cancel()

    def close(self, *, cancel: bool = False, timeout: float | None = None) -> bool:
        """Takes no more jobs, and ends the thread when those that there are have ended; True once it has.

        `cancel` ends them now. `timeout`: most seconds to wait. May be called again; from a job's own step it only
        says so and returns.
        """
        with self._changed:
            self._closed = True
            threads = list(self._threads.values())
            self._changed.notify_all()
        if cancel:
            self.cancel_all()
        until = None if timeout is None else time.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(None if until is None else max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    # The engine's thread

    def _begin(self) -> None:
        """Starts the threads when the first job comes."""
        for name, run in (("edge-ttp-engine", self._run), ("edge-ttp-watch", self._watch)):
            if name in self._threads:
                continue
            self._threads[name] = _started(name, run)

    def _run(self) -> None:
        """Takes one step after another, of the job whose turn it is."""
        while True:
            with self._changed:
                while (job := self._next()) is None:
                    if self._closed and not self._jobs:
                        self._changed.notify_all()
                        return
                    self._changed.wait()
                self._computing = job
            began = self._clock()
            ended = self._step(job)
            took = self._clock() - began
            with self._changed:
                self._computing = None
                if job.steps is not None:  # one that found no room keeps its place in the queue
                    self._steps += 1
                    job.served = self._steps
                job.spent_s += took
                job.turn += took
                key = (job.claim.priority, job.claim.user)
                if key in self._spent:
                    self._spent[key] = self._had(key, took)
                if ended is not None:
                    self._leave(job, key)
            if ended is not None:
                job.tell(ended)
            del job, ended  # an idle thread must keep nothing alive

    def _had(self, key: tuple[Priority, str], took: float) -> float:
        """What the user has had after a step: at most so far beyond all others that they catch up in PATIENCE_S."""
        before = self._spent[key]
        here = {(one.claim.priority, one.claim.user) for one in self._jobs} - {key}
        others = [self._spent[one] for one in here if one[0] == key[0]]
        if not others:
            return before + took
        return min(before + took, max(before, max(others) + PATIENCE_S / len(others)))

    def _leave(self, job: Job[Any], key: tuple[Priority, str]) -> None:
        self._jobs.remove(job)
        if not self._jobs:
            self._spent.clear()  # nobody is owed anything any more
        elif len(self._spent) > _REMEMBERED:
            here = {(one.claim.priority, one.claim.user) for one in self._jobs}
            self._spent = {one: spent for one, spent in self._spent.items() if one in here}
        for other in self._jobs:
            other.blocked = False
        self._changed.notify_all()

    def _next(self) -> Job[Any] | None:
        """The job whose step is next, None where none can go on."""
        ready = [job for job in self._jobs if not job.parked or job.dropped]
        now = self._clock()
        ending = [job for job in ready if job.is_set() or (job.steps is None and _late(job, now))]
        if ending:  # takes no time, and frees what others wait for
            return ending[0]
        ready.sort(key=self._rank)
        for job in ready:
            if job.steps is not None:
                return job
            if job.blocked:
                # Whoever stands behind it must not take the room it waits for; those under way go on.
                rest = [one for one in ready if one.steps is not None]
                return rest[0] if rest else None
            return job
        return None

    def _rank(self, job: Job[Any]) -> tuple[bool, float, float, int]:
        claim = job.claim
        spent = self._spent.get((claim.priority, claim.user), 0.0)
        return claim.priority == "background", spent, job.turn, job.served

    def _step(self, job: Job[Any]) -> Ended[Any] | None:
        """Begins a job or takes its next step; its last message where it has ended."""
        try:
            if job.dropped:
                raise Cancelled("cancelled")
            if job.steps is None:
                self._refuse_late(job)
                job.steps = job.start(job)
                if job.steps is None:
                    self._no_room(job)
                    return None
            answer, job.reply_with = job.reply_with, None
            message = job.steps.send(answer)
        except StopIteration as finished:
            return self._end(job, finished.value, None)
        except BaseException as error:  # noqa: BLE001  # belongs to whoever waits for the job
            return self._end(job, None, error)
        if isinstance(message, Asked):
            with self._changed:
                job.parked = True
        if message is not None:
            job.tell(message)
        return None

    def _refuse_late(self, job: Job[Any]) -> None:
        if job.is_set():
            raise Cancelled("cancelled before it began")
        if _late(job, self._clock()):
            raise DeadlineTooShort("the deadline passed before the request could begin", "allow more time")

    def _no_room(self, job: Job[Any]) -> None:
        """Makes a job wait until another ends; background ones make way, and begin anew later."""
        with self._changed:
            seated = [one for one in self._jobs if one.steps is not None]
            giving = [one for one in seated if one.claim.priority == "background" != job.claim.priority]
            job.blocked = not giving
        for one in giving:
            assert one.steps is not None
            one.steps.close()
            one.steps = None
            one.parked = False
        if not seated:
            raise OutOfCapacity("there is no room for the request", "allow more memory")
        if job.blocked:
            self._tell_positions()

    def _tell_positions(self) -> None:
        with self._changed:
            waiting = sorted((one for one in self._jobs if one.steps is None), key=self._rank)
            left = sorted(_left_s(one) for one in self._jobs if one.steps is not None)
        for position, job in enumerate(waiting, start=1):
            if job.position != position:
                job.position = position
                job.tell(Queued(position, _begins_in(left, position)))

    def _end(self, job: Job[Any], value: Any, error: BaseException | None) -> Ended[Any]:
        steps, job.steps = job.steps, None
        if steps is not None:
            try:
                steps.close()
            except Exception:  # noqa: BLE001  # its result is there all the same
                _log.exception("a request that had ended could not be cleared away")
        return Ended(value, error)

    def _watch(self) -> None:
        """Looks for callers' flags and for deadlines while a step is computed: a long one is cut off."""
        while True:
            with self._changed:
                while not any(job.given is not None or job.deadline is not None for job in self._jobs):
                    if self._closed and not self._jobs:
                        return
                    self._changed.wait()
                job = self._computing
                if job is None:
                    self._changed.notify_all()  # one that waits may have been cancelled
                elif job.abort is not None and (job.is_set() or _late(job, self._clock())):
                    job.abort()
                del job
            time.sleep(_POLL_S)


def _started(name: str, run: Callable[[], None]) -> threading.Thread:
    """A thread that runs. Raises OutOfCapacity where there is no address space for its stack, or too many run."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    usual = threading.stack_size(_WATCH_STACK if run.__name__ == "_watch" else 0)
    try:
        thread.start()
    except RuntimeError as error:
        raise OutOfCapacity(f"a thread cannot be started ({error})", "allow more memory or threads") from error
    finally:
        threading.stack_size(usual)
    return thread


def _late(job: Job[Any], now: float) -> bool:
    return job.deadline is not None and now >= job.deadline


def _left_s(job: Job[Any]) -> float:
    """Seconds that a job will probably still compute; infinite where that is not known."""
    expected = job.claim.expected_s
    return float("inf") if expected is None else max(0.0, expected - job.spent_s)


def _begins_in(left: list[float], position: int) -> float | None:
    """Seconds until `position` of the jobs under way, with `left` seconds each (sorted), have ended by turns."""
    if not left:
        return None
    last = left[min(position, len(left)) - 1]
    seconds = sum(min(one, last) for one in left)
    return None if seconds == float("inf") else seconds
