"""The place that a command's `--on` names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge_ttp.errors import InvalidInput
from edge_ttp_export.places.in_order import Here, TaskPlace
from edge_ttp_export.places.processes import Processes


@contextmanager
def place_at(on: str, *, workers: int | None = None, threads: int = 1) -> Iterator[TaskPlace]:
    """The place that `on` names: `local`, or `ray` (a cluster of this machine's cores), or `ray:ADDRESS`.

    `workers`: how many at most; by default one locally, and on Ray as many as its cores have room for, `threads` each.
    Raises InvalidInput for another name, ExtraMissing where Ray is not installed, EdgeTTPError where no cluster is.
    """
    name, mark, address = on.partition(":")
    if name == "ray" and (address or not mark):
        from edge_ttp_export.places.on_ray import ray_cluster

        with ray_cluster(address or None, workers=workers, threads=threads) as cluster:
            yield cluster
    elif on == "local" and (workers or 1) > 1:
        yield Processes(workers or 1)
    elif on == "local":
        yield Here()
    else:
        raise InvalidInput(f"there is no place {on!r}", "write local, ray, or ray:ADDRESS as in ray:10.0.0.5:6379")
