"""Who is compared in `edge-ttp bench rivals`: a name, how it is opened, and for a server how it is started alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from edge_ttp.lab.bench import rival_servers
from edge_ttp.lab.bench.completion_loop import CompletionLoop
from edge_ttp.lab.bench.rival_servers import Served, bare
from edge_ttp.lab.bench.rivals import Ground, Rival

Serve = Callable[[Ground], AbstractContextManager[Served]]


@dataclass(frozen=True)
class Contestant:
    """A program that is compared, asked in one way."""

    open: Callable[[Ground], AbstractContextManager[Rival]]
    """Starts it. Raises ExtraMissing."""
    serve: Serve | None = None
    """For a server: starts it alone, to try what clients rely on."""
    ours: bool = False
    """What the others are held against."""


@contextmanager
def _person(ground: Ground) -> Iterator[Rival]:
    """Ours with all that belongs to an answer: recalled, drawn, scored, chosen."""
    with rival_servers.ours(ground) as served, bare(served, ground, "one request", "me", "edge-ttp as me") as person:
        yield person


def _asked(serve: Serve, way: str) -> Callable[[Ground], AbstractContextManager[Rival]]:
    @contextmanager
    def opened(ground: Ground) -> Iterator[Rival]:
        with serve(ground) as served, bare(served, ground, way) as only:
            yield only

    return opened


CONTESTANTS: dict[str, Contestant] = {
    "edge-ttp": Contestant(_asked(rival_servers.ours, "one request"), rival_servers.ours, ours=True),
    "edge-ttp-as-me": Contestant(_person),
    "llama.cpp-server": Contestant(
        _asked(rival_servers.llama_cpp_server, "one request"), rival_servers.llama_cpp_server
    ),
    "llama.cpp-server-in-parallel": Contestant(_asked(rival_servers.llama_cpp_server, "N requests at once")),
    "create_completion": Contestant(CompletionLoop),
    "llama-cpp-python-server": Contestant(
        _asked(rival_servers.llama_cpp_python_server, "one after another"), rival_servers.llama_cpp_python_server
    ),
}
"""Ours comes first."""
