"""The server under 1, 4, 16 and 64 clients that come, judge, and leave as they please; then it is killed.

All users of a stage are new, know the same texts, and ask for the same in the same order: what is fair is then seen in
how long they wait. EDGE_TTP_LOAD_S says how long in all; ten minutes where it is not set.
`pytest -m soak tests/server/test_load.py -s` prints a table.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem
from edge_ttp.server.access import Access

from .serving import Running, served

pytestmark = [pytest.mark.real, pytest.mark.soak, pytest.mark.timeout(7200)]
STAGES = (("first", 64), ("one", 1), ("few", 4), ("more", 16), ("many", 64), ("again", 64))
"""Names of the users and how many clients: the first stage fills what the server keeps of users; it is not measured.
The last one is as large as the one before, with other users: what it adds to the memory is growth."""
REFUSED = {429}
"""What a server that is full says, as documented."""
GROWTH = 32 * 2**20
"""Bytes that the process may have more after the last stage than after the one before."""
TEXTS = (
    ("Shall we have lunch?", "yes, at noon by the station"),
    ("Are you coming on Friday?", "sure, see you there"),
    ("Can you send me the plan?", "done, it is in the folder"),
    ("Did the train arrive?", "ten minutes late, as ever"),
)
"""What every user wrote: short, so that 64 users' requests are many in a few minutes."""
LEAST = 4
"""Answers that a mean is taken over: a stage lasts until every client has so many."""
PATIENCE_S = 600.0
"""Seconds for which clients that have fewer are waited for."""


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

    def live(self, url: str, going_on: Callable[[], bool]) -> None:
        """Asks, leaves or judges as long as the stage goes on, as every other client does."""
        chance = random.Random(5)
        with httpx.Client(base_url=url, headers={"authorization": f"Bearer {self.token}"}, timeout=900) as http:
            while going_on() and not self.faults:
                try:
                    self._turn(http, chance)
                except httpx.HTTPError as error:
                    self.faults.append(f"{type(error).__name__}: {error}")

    def _turn(self, http: httpx.Client, chance: random.Random) -> None:
        body = {"prompt": "Shall we meet?", "n": 2, "select": "consensus", "sampling": {"max_tokens": 8}}
        body["examples"] = 2  # what is kept of 64 such prompts fits: nobody reads theirs again and again
        body["seed"] = chance.randrange(1000)
        leaves, judges = chance.random() < 0.2, chance.random() < 0.3
        if leaves:
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
        if made["stored"] and judges:
            said = http.post(f"/ttp/v1/generations/{made['generation_id']}/feedback", json={"kind": "accept"})
            if said.status_code == 200:
                self.judged.add(made["generation_id"])
            else:
                self.faults.append(f"feedback {said.status_code}: {said.text[:200]}")


def _stage(server: Running, clients: list[Client], seconds: float, least: int = LEAST) -> float:
    """All of them for so long, and until each has so many answers; the slowest user's mean wait over the fastest's."""
    until = time.monotonic() + seconds

    def going_on() -> bool:
        now = time.monotonic()
        few = any(len(one.waits) < least and not one.faults for one in clients)
        return now < until or (few and now < until + PATIENCE_S)

    threads = [threading.Thread(target=one.live, args=(server.url, going_on)) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [fault for one in clients for fault in one.faults] == []
    assert min(len(one.waits) for one in clients) >= least
    means = [sum(one.waits) / len(one.waits) for one in clients]
    return max(means) / min(means)


def _new(home: Path, access: Access, stage: str, count: int) -> list[Client]:
    """So many users who have written the same: who has more to be recalled has longer prompts, and waits longer."""
    clients = [Client(f"{stage} {at}", access.add(f"{stage}-{at}", user=f"{stage} {at}")) for at in range(count)]
    with History.open(locate(home).database) as history:
        history.add_many(
            HistoryItem(user_id=one.user, input=asked, output=answered) for one in clients for asked, answered in TEXTS
        )
    return clients


def test_many_clients_are_served_fairly_and_nothing_acknowledged_is_lost(server_home: Path) -> None:
    total = float(os.environ.get("EDGE_TTP_LOAD_S", "600"))
    access = Access(locate(server_home))
    first, *stages = (_new(server_home, access, name, count) for name, count in STAGES)
    with served(server_home) as server:
        process = psutil.Process(server.process.pid)
        _stage(server, first, 0, least=1)  # what so many users hold is no growth
        memory = [process.memory_info().rss]
        for clients in stages:
            ratio = _stage(server, clients, total / len(stages))
            memory.append(process.memory_info().rss)
            waits = sorted(wait for one in clients for wait in one.waits)
            refused = sum(one.statuses[status] for one in clients for status in REFUSED)
            left = sum(one.left for one in clients)
            middle, held = waits[len(waits) // 2], memory[-1] / 2**20
            print(f"{len(clients)} clients: {len(waits)} answers, {refused} refused, {left} left, "
                  f"median {middle:.2f} s, slowest/fastest {ratio:.2f}, {held:.0f} MiB")  # fmt: skip
            print("  by user:", *(f"{sum(one.waits) / len(one.waits):.2f}" for one in clients), flush=True)
            assert ratio <= 2
        server.process.kill()
        server.process.wait()
    with History.open(locate(server_home).database) as history:
        for one in (one for clients in stages for one in clients):
            kept = {said.generation_id for said in history.feedback_for(one.user)}
            assert one.judged <= kept, one.user
    judged = sum(len(one.judged) for clients in stages for one in clients)
    print(f"killed: all of {judged} acknowledged judgments are there")
    assert judged > 0
    assert memory[-1] - memory[-2] < GROWTH, [f"{one / 2**20:.0f} MiB" for one in memory]
