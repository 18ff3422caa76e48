"""The server under 1, 4, 16 and 64 clients that come, judge, and leave as they please; then it is killed.

EDGE_TTP_LOAD_S says how long in all; ten minutes where it is not set.
`pytest -m soak tests/server/test_load.py -s` prints a table.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.samples import sample_items
from edge_ttp.schema import HistoryItem
from edge_ttp.server.access import Access

from .serving import Running, served

pytestmark = [pytest.mark.real, pytest.mark.soak, pytest.mark.timeout(7200)]
CLIENTS = (1, 4, 16, 64)
REFUSED = {429}
"""What a server that is full says, as documented."""
GROWTH = 64 * 2**20
"""Bytes that the process may have more after the last stage than after the first one with 64 clients' state made."""


@dataclass
class Client:
    """What one user saw."""

    user: str
    token: str
    waits: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    left: int = 0
    judged: set[str] = field(default_factory=set)
    """Generations whose feedback the server acknowledged."""
    faults: list[str] = field(default_factory=list)

    def live(self, url: str, until: float, seed: int) -> None:
        """Asks, leaves or judges until the time is over."""
        chance = random.Random(seed)
        with httpx.Client(base_url=url, headers={"authorization": f"Bearer {self.token}"}, timeout=300) as http:
            while time.monotonic() < until:
                try:
                    self._turn(http, chance)
                except httpx.HTTPError as error:
                    self.faults.append(f"{type(error).__name__}: {error}")

    def _turn(self, http: httpx.Client, chance: random.Random) -> None:
        body = {"prompt": "Shall we meet?", "n": 2, "select": "consensus", "sampling": {"max_tokens": 8}}
        if chance.random() < 0.2:
            with http.stream("POST", "/ttp/v1/generate", json={**body, "stream": True, "store": False}) as answer:
                next(answer.iter_raw(), b"")
                self.left += 1
            return
        began = time.monotonic()
        answer = http.post("/ttp/v1/generate", json=body)
        self.statuses[answer.status_code] += 1
        if answer.status_code != 200:
            if answer.status_code not in REFUSED:
                self.faults.append(f"{answer.status_code}: {answer.text[:200]}")
            return
        self.waits.append(time.monotonic() - began)
        made = answer.json()
        if made["stored"] and chance.random() < 0.3:
            said = http.post(f"/ttp/v1/generations/{made['generation_id']}/feedback", json={"kind": "accept"})
            if said.status_code == 200:
                self.judged.add(made["generation_id"])
            else:
                self.faults.append(f"feedback {said.status_code}: {said.text[:200]}")


def _stage(server: Running, clients: list[Client], seconds: float) -> float:
    """All of them for so long; the slowest user's mean wait over the fastest's."""
    for one in clients:
        one.waits.clear()
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=one.live, args=(server.url, until, place)) for place, one in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    means = [sum(one.waits) / len(one.waits) for one in clients if len(one.waits) > 1]
    return max(means) / min(means) if means else 1.0


def _alike(home: Path, clients: list[Client]) -> None:
    """All have written the same: a user's part is one of time, and who has more to be recalled has longer prompts."""
    with History.open(locate(home).database) as history:
        history.add_many(
            HistoryItem(user_id=one.user, input=item["input"], output=item["output"])
            for one in clients
            for item in sample_items("mara")
        )


def test_many_clients_are_served_fairly_and_nothing_acknowledged_is_lost(server_home: Path) -> None:
    total = float(os.environ.get("EDGE_TTP_LOAD_S", "600"))
    access = Access(locate(server_home))
    clients = [Client(f"load{at}", access.add(f"load{at}")) for at in range(max(CLIENTS))]
    _alike(server_home, clients)
    memory: list[int] = []
    with served(server_home) as server:
        process = psutil.Process(server.process.pid)
        _stage(server, clients, min(20.0, total / 10))  # every client once: what they hold is no growth
        memory.append(process.memory_info().rss)
        for count in CLIENTS:
            ratio = _stage(server, clients[:count], total / len(CLIENTS))
            memory.append(process.memory_info().rss)
            waits = sorted(wait for one in clients[:count] for wait in one.waits)
            middle = waits[len(waits) // 2] if waits else 0.0
            print(f"{count} clients: {len(waits)} answers, median {middle:.2f} s, slowest/fastest {ratio:.2f}, "
                  f"{memory[-1] / 2**20:.0f} MiB")  # fmt: skip
            print("  by user:", *(f"{sum(one.waits) / max(1, len(one.waits)):.2f}" for one in clients[:count]))
            assert ratio <= 2 or len(waits) < 4 * count
        server.process.kill()
        server.process.wait()
    assert [fault for one in clients for fault in one.faults] == []
    with History.open(locate(server_home).database) as history:
        for one in clients:
            kept = {said.generation_id for said in history.feedback_for(one.user)}
            assert one.judged <= kept, one.user
    print(f"{sum(len(one.judged) for one in clients)} judgments kept, {sum(one.left for one in clients)} streams left")
    assert memory[-1] - memory[0] < GROWTH, [f"{one / 2**20:.0f} MiB" for one in memory]
