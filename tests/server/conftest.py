"""One server for all tests of a module, with two users' histories; the application in this process over the fakes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fakes import Models
from fakes.command import model_paths
from fakes.real import linked_policy, spare_measuring

from edge_ttp.aio import AsyncRuntime
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.samples import sample_items
from edge_ttp.schema import HistoryItem
from edge_ttp.server.access import Access
from edge_ttp.server.application import application
from edge_ttp.server.guard import Doors
from edge_ttp.server.state import State

from .serving import Running, served


@pytest.fixture(scope="module")
def server_home(tmp_path_factory: pytest.TempPathFactory, policy_path: Path) -> Path:
    """A home with the real policy and the samples of `mara` as the texts of `me`."""
    home = tmp_path_factory.mktemp("served")
    linked_policy(home, policy_path)
    with History.open(locate(home).database) as history:
        history.add_many(
            HistoryItem(user_id="me", input=item["input"], output=item["output"]) for item in sample_items("mara")
        )
    spare_measuring(home)
    return home


@pytest.fixture(scope="module")
def server(server_home: Path) -> Iterator[Running]:
    """A server that is ready."""
    with served(server_home) as running:
        with running.client() as http:
            for _ in range(600):
                if http.get("/health").status_code == 200:
                    break
                time.sleep(0.1)
        yield running


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


Client = httpx.AsyncClient


@pytest.fixture
async def http(models: Models, tmp_path: Path, home: Path) -> AsyncIterator[Client]:
    """A client of the application in this process, over the fake models, by the owner's socket: no port, no token."""
    async with AsyncRuntime.open(**model_paths(tmp_path)) as runtime:
        state = State(runtime, Access(locate(home)), owner_socket=True)
        transport = httpx.ASGITransport(application(state, Doors()))
        async with Client(transport=transport, base_url="http://localhost") as client:
            yield client
