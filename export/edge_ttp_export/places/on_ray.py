"""A Ray cluster: tasks that keep their worker in the process that they run in.

Ray places them, retries what a killed process or node takes along, and uses nodes that join. Nothing is written there
but Ray's own logs. Its usage reports are off before it is imported.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from edge_ttp.errors import EdgeTTPError, ExtraMissing, InvalidInput
from edge_ttp_export.places.in_order import Maker, Mishap, R, T, Worker, in_order

MOST_RETRIES = 8
"""Times that a task is begun again whose worker or node was lost."""

_OFF = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_USAGE_STATS_PROMPT_ENABLED": "0"}
_TOKEN: dict[str, str] = {}
"""What our own clusters of this process want to be shown. Ray reads it once, when it is imported, so that it stays."""
_ANSWERS_S = 5.0
_LOOK_S = 2.0
"""How often the size of the cluster is looked at."""


def ray_module(environment: Mapping[str, str] = _OFF) -> Any:
    """Ray, imported in this environment, its usage reports off. Raises ExtraMissing where it is not installed."""
    os.environ.update({**environment, **_OFF})
    try:
        import ray
    except ModuleNotFoundError as missing:
        raise ExtraMissing("--on ray needs Ray", "install the extra: pip install 'edge-ttp[scale]'") from missing
    return ray


@contextmanager
def ray_cluster(address: str | None, *, workers: int | None = None, threads: int = 1) -> Iterator[OnRay]:
    """The cluster at `address`, or one of this machine's cores, which ends with the block.

    Our own listens on 127.0.0.1 alone, wants a token that only its processes know, and keeps its files in a folder that
    is deleted. Raises EdgeTTPError where there is no cluster, InvalidInput where none of its nodes has `threads` cores.
    """
    if address is not None:
        _listening(address)
    if address is None and "ray" not in sys.modules:
        _TOKEN.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
    ray = ray_module(_TOKEN if address is None else {})
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    folder = None
    if address is None:
        folder = tempfile.mkdtemp(prefix="ettp-ray-")  # short: sockets lie in it, whose paths are at most 107 bytes
        own = {"_node_ip_address": "127.0.0.1", "_temp_dir": folder, "include_dashboard": False}
        own |= {"object_store_memory": 256 * 2**20}
        given: dict[str, Any] = own if workers is None else {**own, "num_cpus": workers * threads}
    else:
        given = {"address": address}
    try:
        try:
            ray.init(**given, **quiet, ignore_reinit_error=False)
        except Exception as error:  # ConnectionError, ValueError, RuntimeError: whatever it has
            where = "on this machine" if address is None else f"at {address}"
            raise EdgeTTPError(f"no Ray cluster {where}: {str(error)[:200]}", "start one: ray start --head") from error
        most = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
        if most < threads:
            raise InvalidInput(f"no node of the cluster has {threads} cores", "use fewer --threads")
        yield OnRay(ray, workers, threads, limited=address is None or workers is None)
    finally:
        with suppress(Exception):
            ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _listening(address: str) -> None:
    """Raises EdgeTTPError at once where nobody listens, InvalidInput for no address: Ray itself waits for minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdecimal() and int(port) < 2**16):
        raise InvalidInput(f"{address!r} is no address of a cluster", "write it as ray:10.0.0.5:6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWERS_S).close()
    except OSError as error:
        raise EdgeTTPError(f"no Ray cluster at {address}: {error}", "start one there: ray start --head") from error


class OnRay:
    """A cluster that this process is connected to."""

    def __init__(self, ray: Any, workers: int | None, threads: int, *, limited: bool) -> None:
        """`limited`: its cores leave room for no more workers than that, so that tasks may wait there for one."""
        self._ray, self._most, self._threads, self._limited = ray, workers, threads, limited

    @property
    def workers(self) -> int:
        """How many workers its nodes have room for now, at most as many as were asked for."""
        cores = [node["Resources"].get("CPU", 0) for node in self._ray.nodes() if node["Alive"]]
        room = sum(int(one // self._threads) for one in cores)
        return max(1, room if self._most is None else min(room, self._most))

    def run(self, make: Maker[T, R], tasks: Iterable[T]) -> Iterator[R]:
        """As `TaskPlace.run`."""
        crew = _ClusterTasks(self._ray, make, self, self._threads, waiting=self._limited)
        try:
            yield from in_order(crew, tasks)
        finally:
            crew.end()


class _ClusterTasks:
    """The tasks of one run. A handle is Ray's reference to the result."""

    def __init__(self, ray: Any, make: Maker[Any, Any], cluster: OnRay, threads: int, *, waiting: bool) -> None:
        self._ray, self._cluster, self._waiting = ray, cluster, waiting
        self._name, self._maker = secrets.token_hex(8), ray.put(make)
        self._do = ray.remote(num_cpus=threads, max_retries=MOST_RETRIES)(_do)
        self._room, self._looked = 0, -_LOOK_S
        self._under_way: set[Any] = set()

    def room(self) -> int:
        now = time.monotonic()
        if now - self._looked > _LOOK_S:
            # A task more for each worker hides the way there and back; not where only we keep to a number of workers.
            self._looked, self._room = now, self._cluster.workers * (2 if self._waiting else 1)
        return self._room

    def begin(self, task: Any) -> Any:
        # In a list, so that the maker is fetched once by every worker and not with every task.
        handle = self._do.remote(self._name, [self._maker], task)
        self._under_way.add(handle)
        return handle

    def wait(self, under_way: list[Any]) -> list[tuple[Any, Any]]:
        done, _ = self._ray.wait(under_way, num_returns=1, timeout=1.0)
        self._under_way.difference_update(done)
        return [(handle, self._fetched(handle)) for handle in done]

    def _fetched(self, handle: Any) -> Any:
        try:
            return self._ray.get(handle)
        except self._ray.exceptions.RayTaskError:
            raise  # a defect of ours, told as it is
        except self._ray.exceptions.RayError as lost:
            return Mishap(
                EdgeTTPError,
                f"a task was given up after {MOST_RETRIES + 1} lost workers: {type(lost).__name__}",
                "look whether the nodes' memory suffices; what is written is kept, and the same command goes on",
            )

    def end(self) -> None:
        """Calls back what is under way."""
        for handle in self._under_way:
            with suppress(Exception):
                self._ray.cancel(handle, force=True)


_made: dict[str, Worker[Any, Any]] = {}


def _do(run: str, maker: list[Any], task: Any) -> Any:
    """One task, in a worker process of the cluster."""
    import ray

    try:
        if run not in _made:
            for old in _made.values():  # of an earlier run in the same process
                old.close()
            _made.clear()
            _made[run] = ray.get(maker[0])()
        return _made[run](task)
    except EdgeTTPError as error:
        return Mishap.of(error)
