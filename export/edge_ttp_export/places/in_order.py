"""What every place has in common: tasks go in, their results come out in the tasks' order, each exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from edge_ttp.errors import EdgeTTPError

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
H = TypeVar("H")


class Worker(Protocol[T_contra, R_co]):
    """Does one task after another. It keeps nothing that a task depends on: any worker gives the same result."""

    def __call__(self, task: T_contra, /) -> R_co:
        """The task's result."""

    def close(self) -> None:
        """Frees what it holds."""


Maker = Callable[[], Worker[T, R]]
"""Makes a worker where it is to work. It travels there, so that it has to pickle."""


class TaskPlace(Protocol):
    """Somewhere tasks are done. Only the caller writes files: workers give results back."""

    @property
    def workers(self) -> int:
        """How many tasks are done at once, as things stand."""

    def run(self, make: Maker[T, R], tasks: Iterable[T]) -> Iterator[R]:
        """The results in the order of the tasks, which are taken from the iterable as workers get free.

        A task whose worker is lost is done again by another. An EdgeTTPError of a task is raised in its turn, after the
        results before it.
        """


class Here:
    """This process: one worker."""

    workers = 1

    def run(self, make: Maker[T, R], tasks: Iterable[T]) -> Iterator[R]:
        """As `TaskPlace.run`."""
        worker = None
        try:
            for task in tasks:
                worker = worker or make()
                yield worker(task)
        finally:
            if worker is not None:
                worker.close()


@dataclass(frozen=True)
class Mishap:
    """An error on its way from a worker: the error itself may hold what does not travel."""

    kind: type[EdgeTTPError]
    fact: str
    cure: str

    @classmethod
    def of(cls, error: EdgeTTPError) -> Mishap:
        """`error`, as the nearest kind that needs nothing but its words."""
        kind = next(one for one in type(error).__mro__ if one.__module__ == EdgeTTPError.__module__)
        return cls(kind, error.fact, error.cure)

    def again(self) -> EdgeTTPError:
        """The error for whoever waits."""
        return self.kind(self.fact, self.cure)


class Crew(Protocol[H]):
    """Workers that take tasks and tell when they are through; what `in_order` needs of processes and of a cluster."""

    def room(self) -> int:
        """How many tasks may be under way."""

    def begin(self, task: Any) -> H:
        """Hands a task over."""

    def wait(self, under_way: list[H]) -> list[tuple[H, Any]]:
        """What has come of some of them: a result or Mishap; none after a while without any."""


def in_order(crew: Crew[H], tasks: Iterable[T]) -> Iterator[Any]:
    """The results of `tasks` in their order.

    Results that come early wait for those before them: at most as many as there is room for, so that a slow task holds
    the others up rather than filling the memory.
    """
    waiting: dict[H, int] = {}
    early: dict[int, Any] = {}
    source, begun, given, over = iter(tasks), 0, 0, False
    while True:
        while not over and len(waiting) < crew.room() and begun - given < 8 * crew.room():
            try:
                task = next(source)
            except StopIteration:
                over = True
                break
            waiting[crew.begin(task)] = begun
            begun += 1
        if given in early:
            result = early.pop(given)
            if isinstance(result, Mishap):
                raise result.again()
            given += 1
            yield result
            continue
        if not waiting:
            return
        for handle, result in crew.wait(list(waiting)):
            early[waiting.pop(handle)] = result
