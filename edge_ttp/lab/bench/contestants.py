"""Who is compared in `edge-ttp bench rivals`: a name, how it is opened, and for a server how it is started alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from edge_ttp.lab.bench import rival_servers
from edge_ttp.lab.bench.rival_servers import Served, bare
from edge_ttp.lab.bench.rivals import Ground, Rival

Serve = Callable[[Ground], AbstractContextManager[Served]]


@dataclass(frozen=True)
class Contestant:
    """A program that is compared."""

    open: Callable[[Ground], AbstractContextManager[Sequence[Rival]]]
    """Starts it, as one rival or more: one for each way in which it can be asked. Raises ExtraMissing."""
    serve: Serve | None = None
    """For a server: starts it alone, to try what clients rely on."""
    ours: bool = False


@contextmanager
def _edge_ttp(ground: Ground) -> Iterator[Sequence[Rival]]:
    """The bare policy, which the others are held against, and the person: recalled, drawn, scored, chosen."""
    with (
        rival_servers.ours(ground) as served,
        bare(served, ground, "one request") as plain,
        bare(served, ground, "one request", "me", "edge-ttp as me") as person,
    ):
        yield [plain, person]


def _server(serve: Serve, *ways: str) -> Contestant:
    @contextmanager
    def opened(ground: Ground) -> Iterator[Sequence[Rival]]:
        with serve(ground) as served:
            if len(ways) == 1:
                with bare(served, ground, ways[0]) as only:
                    yield [only]
            else:
                with bare(served, ground, ways[0]) as first, bare(served, ground, ways[1]) as second:
                    yield [first, second]

    return Contestant(opened, serve)


CONTESTANTS: dict[str, Contestant] = {
    "edge-ttp": Contestant(_edge_ttp, rival_servers.ours, ours=True),
    "llama.cpp-server": _server(rival_servers.llama_cpp_server, "one request", "N requests at once"),
    "llama-cpp-python-server": _server(rival_servers.llama_cpp_python_server, "one after another"),
}
"""Ours comes first."""
