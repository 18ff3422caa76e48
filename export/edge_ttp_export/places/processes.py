"""Processes of this machine: a worker each. One that is killed is replaced, and its task done again."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from edge_ttp.errors import EdgeTTPError
from edge_ttp_export.places.in_order import Maker, Mishap, R, T, Worker, in_order

MOST_DEATHS = 5
"""Times that workers may die in a row without any result between."""


class Processes:
    """As many processes as `workers`, begun anew for every run."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    @property
    def workers(self) -> int:
        """How many there are."""
        return self._workers

    def run(self, make: Maker[T, R], tasks: Iterable[T]) -> Iterator[R]:
        """As `TaskPlace.run`."""
        crew = _Processes(make, self._workers)
        try:
            yield from in_order(crew, tasks)
        finally:
            crew.end()


class _Processes:
    """The processes of one run. A handle is the number of a task: its future changes when it is done again."""

    def __init__(self, make: Maker[Any, Any], workers: int) -> None:
        self._make, self._workers = make, workers
        self._tasks: dict[int, Any] = {}
        self._futures: dict[int, Future[Any]] = {}
        self._begun, self._deaths = 0, 0
        self._open()

    def _open(self) -> None:
        self._others = set(multiprocessing.active_children())
        # Not by fork: this process may hold threads of llama.cpp and onnxruntime.
        self._pool = ProcessPoolExecutor(
            self._workers, multiprocessing.get_context("spawn"), initializer=_remember, initargs=(self._make,)
        )

    def room(self) -> int:
        return 2 * self._workers

    def begin(self, task: Any) -> int:
        self._begun += 1
        self._tasks[self._begun] = task
        self._submit(self._begun)
        return self._begun

    def _submit(self, number: int) -> None:
        try:
            self._futures[number] = self._pool.submit(_do, self._tasks[number])
        except BrokenProcessPool as broken:  # noticed here before it was noticed by waiting
            self._futures[number] = Future()
            self._futures[number].set_exception(broken)

    def wait(self, under_way: list[int]) -> list[tuple[int, Any]]:
        numbers = {self._futures[number]: number for number in under_way}
        done, _ = wait(numbers, timeout=1.0, return_when=FIRST_COMPLETED)
        found, lost = [], False
        for future in done:
            if isinstance(future.exception(), BrokenProcessPool):
                lost = True
                continue
            number = numbers[future]
            found.append((number, future.result()))
            del self._futures[number], self._tasks[number]
        if found:
            self._deaths = 0
        if lost:
            self._begin_again()
        return found

    def _begin_again(self) -> None:
        """New processes for the tasks that are not done: one that dies takes the others' work with it."""
        self._deaths += 1
        if self._deaths > MOST_DEATHS:
            raise EdgeTTPError(
                f"workers died {self._deaths} times at the same tasks", "look whether the memory suffices; use fewer"
            )
        self.end()
        self._open()
        for number, future in self._futures.items():
            if not future.done() or isinstance(future.exception(), BrokenProcessPool):
                self._submit(number)

    def end(self) -> None:
        """Ends the processes at once: what they are at is not wanted any more."""
        for child in set(multiprocessing.active_children()) - self._others:
            child.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


_made: list[Worker[Any, Any]] = []
_maker: list[Maker[Any, Any]] = []


def _remember(make: Maker[Any, Any]) -> None:
    """First of all in a new process. The worker itself is made with the first task, so that its errors are told."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever waits, who ends the processes
    _maker.append(make)


def _do(task: Any) -> Any:
    try:
        if not _made:
            _made.append(_maker[0]())
        return _made[0](task)
    except EdgeTTPError as error:
        return Mishap.of(error)
