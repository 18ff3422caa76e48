"""Who is compared: ours first and as two, servers in each way that they give N choices, closed in the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from edge_ttp.lab.bench import contestants, rival_servers
from edge_ttp.lab.bench.contestants import CONTESTANTS
from edge_ttp.lab.bench.rivals import OURS, Ground

GROUND = Ground("tiny", Path("tiny.gguf"), threads=1, context=512, most=4, end_token=None)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to a server that is only said to run."""
    said: list[str] = []

    @contextmanager
    def serve(_: Ground) -> Iterator[Any]:
        said.append("started")
        yield SimpleNamespace(name=OURS, version="1", model="tiny", client=lambda: httpx.Client(trust_env=False))
        said.append("ended")

    monkeypatch.setattr(rival_servers, "ours", serve)
    return said


def test_ours_comes_first_and_is_the_only_one() -> None:
    names = list(CONTESTANTS)
    assert names[0] == OURS
    assert [name for name, one in CONTESTANTS.items() if one.ours] == [OURS]
    assert all(one.serve is not None for one in CONTESTANTS.values())


def test_ours_is_asked_as_the_bare_policy_and_as_a_person_on_one_server(state: list[str]) -> None:
    with CONTESTANTS[OURS].open(GROUND) as rivals:
        plain, person = rivals
        assert (plain.name, person.name) == (OURS, "edge-ttp as me")
        assert {one.way for one in rivals} == {"one request"}
        assert state == ["started"]
    assert state == ["started", "ended"]


@pytest.mark.parametrize("ways", [("one request",), ("one request", "N requests at once")])
def test_a_server_is_a_rival_for_each_way_and_ends_with_the_block(state: list[str], ways: tuple[str, ...]) -> None:
    opened = contestants._server(rival_servers.ours, *ways)
    with opened.open(GROUND) as rivals:
        assert tuple(one.way for one in rivals) == ways
    assert state == ["started", "ended"]
