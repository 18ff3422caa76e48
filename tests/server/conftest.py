"""One server for all tests of a module, with two users' histories."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.real import linked_policy, spare_measuring

from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.samples import sample_items
from edge_ttp.schema import HistoryItem

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
