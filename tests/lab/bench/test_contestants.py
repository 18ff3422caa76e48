"""Who is compared: ours first, a server in each way that it gives N choices, closed in the end."""

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


class Served:
    """A server that is only said to run."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def __call__(self, _: Ground) -> Iterator[Any]:
        self.said.append("started")
        client = lambda: httpx.Client(trust_env=False)  # noqa: E731
        yield SimpleNamespace(name=OURS, version="1", model="tiny", client=client, signalled=True, process=None)
        self.said.append("ended")


def test_ours_comes_first_and_the_others_are_held_against_it() -> None:
    assert next(iter(CONTESTANTS)) == OURS
    assert [name for name, one in CONTESTANTS.items() if one.ours] == [OURS]
    assert CONTESTANTS[OURS].serve is not None


def test_as_a_person_ours_is_asked_for_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served()
    monkeypatch.setattr(rival_servers, "ours", served)
    with CONTESTANTS["edge-ttp-as-me"].open(GROUND) as person:
        assert (person.name, person.way) == ("edge-ttp as me", "one request")
        assert served.said == ["started"]
    assert served.said == ["started", "ended"]


@pytest.mark.parametrize("way", ["one request", "N requests at once", "one after another"])
def test_a_server_is_asked_in_its_way_and_ends_with_the_block(way: str) -> None:
    served = Served()
    with contestants._asked(served, way)(GROUND) as rival:
        assert rival.way == way
    assert served.said == ["started", "ended"]
