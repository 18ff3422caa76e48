"""How the cost of drawing pools grows: with workers, N, policies; and what the way to a worker on Ray costs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from edge_ttp.errors import EdgeTTPError
from edge_ttp_export.draw_pools import make_pools
from edge_ttp_export.places.in_order import Here, Maker, R, T, TaskPlace
from edge_ttp_export.places.named import place_at
from edge_ttp_export.places.on_ray import OnRay, ray_module
from edge_ttp_export.pool_drawer import Recipe

CLUSTER = (1, 2, 4, 8, 16, 32)
"""Workers of the simulated cluster."""


@dataclass(frozen=True)
class TimedResult:
    """A task's result with the seconds that it took where it was done."""

    result: Any
    seconds: float


@dataclass(frozen=True)
class TimingMaker:
    """Makes workers that time themselves."""

    make: Maker[Any, Any]

    def __call__(self) -> TimingWorker:
        """One."""
        return TimingWorker(self.make())


class TimingWorker:
    """A worker that says how long its tasks took."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    def __call__(self, task: Any) -> TimedResult:
        """The task's result and its seconds."""
        began = time.perf_counter()
        result = self._worker(task)
        return TimedResult(result, time.perf_counter() - began)

    def close(self) -> None:
        """Frees the worker."""
        self._worker.close()


class Stopwatch:
    """A place that does what another does and keeps when its results came and how long the tasks took."""

    def __init__(self, place: TaskPlace) -> None:
        self._place = place
        self.came: list[float] = []
        self.seconds: list[float] = []

    @property
    def workers(self) -> int:
        """Those of the other."""
        return self._place.workers

    def run(self, make: Maker[T, R], tasks: Any) -> Iterator[R]:
        """As `TaskPlace.run`."""
        for timed in self._place.run(TimingMaker(make), tasks):
            self.came.append(time.perf_counter())
            self.seconds.append(timed.seconds)
            yield timed.result

    def rate(self, workers: int) -> float:
        """Queries a second, the start of the workers left out."""
        skipped = 2 * workers
        return (len(self.came) - skipped) / (self.came[-1] - self.came[skipped - 1])

    def each(self, workers: int) -> float:
        """Seconds of a worker for a query, the way to it and back included."""
        return workers / self.rate(workers)


@dataclass(frozen=True)
class SleeperMaker:
    """Makes workers that sleep as long as a query takes: a cluster of many cores on a few."""

    seconds: float

    def __call__(self) -> Sleeper:
        """One."""
        return Sleeper(self.seconds)


class Sleeper:
    """Sleeps for every task."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, task: int) -> int:
        """The task itself, late."""
        time.sleep(self._seconds)
        return task

    def close(self) -> None:
        """Nothing is held."""


def drawn(
    data: Path, model: Path, recipe: Recipe, *, queries: int, place: TaskPlace, report: Callable[[str], None]
) -> Stopwatch:
    """The times of drawing pools for so many queries, which are thrown away."""
    watch = Stopwatch(place)
    with tempfile.TemporaryDirectory(prefix="edge-ttp-growth-") as folder:
        out = Path(folder) / "pools.jsonl.zst"
        count = make_pools(data, model, out, recipe, queries=queries, threads=1, report=lambda *_: None, place=watch)
    if count < queries:
        raise EdgeTTPError(f"{data} has {count} queries only", "ask for fewer --queries")
    report(f"{count} pools of N={recipe.n}, {place.workers} workers: {watch.rate(place.workers):.2f} a second")
    return watch


@dataclass(frozen=True)
class PairedPlaces:
    """The same queries by as many workers of this machine and of a Ray cluster, a round after the other."""

    workers: int
    local: list[float]
    """Seconds of a worker for a query, by round."""
    ray: list[float]

    @property
    def overheads(self) -> list[float]:
        """What Ray adds to a query, as a part of what it takes locally, by round."""
        return [there / here - 1 for here, there in zip(self.local, self.ray, strict=True)]

    def as_dict(self) -> dict[str, Any]:
        """For --json. `overhead` is the median of the rounds."""
        rates = {"local_rate": self.workers / median(self.local), "ray_rate": self.workers / median(self.ray)}
        return {**asdict(self), **rates, "overheads": self.overheads, "overhead": median(self.overheads)}


def paired_places(
    data: Path, model: Path, recipe: Recipe, *, queries: int, rounds: int, report: Callable[[str], None]
) -> list[PairedPlaces]:
    """One and two workers of a thread each, locally and on a cluster of this machine, in turns on the same queries.

    Starting workers and clusters is left out: what is measured is the way of a query there and back.
    """
    found = []
    for workers in (1, 2):
        taken = PairedPlaces(workers, [], [])
        for turn in range(rounds):
            both = [("local", taken.local), ("ray", taken.ray)]
            for on, times in both if turn % 2 == 0 else reversed(both):
                with place_at(on, workers=workers) as place:
                    watch = drawn(data, model, recipe, queries=queries, place=place, report=report)
                times.append(watch.each(workers))
        report(f"{workers} workers on Ray: {median(taken.overheads):+.1%} a query")
        found.append(taken)
    return found


def sizes(
    data: Path, models: dict[str, Path], recipe: Recipe, *, queries: int, report: Callable[[str], None],
    candidates: Sequence[int] = (1, 4, 16),
) -> list[dict[str, Any]]:  # fmt: skip
    """Seconds of one thread for a query, by policy and number of candidates."""
    found = []
    for name, path in models.items():
        for n in candidates:
            watch = drawn(data, path, replace(recipe, n=n), queries=queries, place=Here(), report=report)
            found.append({"model": name, "n": n, "seconds": sum(watch.seconds[2:]) / len(watch.seconds[2:])})
    return found


def simulated(report: Callable[[str], None], seconds: float = 0.5, tasks: int = 12) -> list[dict[str, Any]]:
    """Rates of clusters of several nodes whose workers sleep for `seconds` a task, `tasks` for each worker."""
    ray = ray_module()
    found = []
    for workers in CLUSTER:
        with _nodes(ray, workers) as address, place_at(f"ray:{address}") as place:
            assert isinstance(place, OnRay)
            watch = Stopwatch(place)
            count = sum(1 for _ in watch.run(SleeperMaker(seconds), range((tasks + 2) * workers)))
            rate = watch.rate(workers)
            found.append({"workers": workers, "nodes": min(workers, 4), "rate": rate, "ideal": workers / seconds})
            report(f"simulated, {workers} workers: {count} tasks, {rate:.1f} a second")
    return found


@contextmanager
def _nodes(ray: Any, workers: int) -> Iterator[str]:
    """The address of a cluster on this machine with so many cores, said to be on at most four nodes."""
    from ray.cluster_utils import Cluster

    nodes = min(workers, 4)
    room = {"num_cpus": workers // nodes, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **room})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**room)
        yield str(cluster.address)
    finally:
        cluster.shutdown()
