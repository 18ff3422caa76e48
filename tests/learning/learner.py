"""A process that imports, calibrates, judges and forgets without end, and says what was acknowledged."""

from __future__ import annotations

import os
from typing import cast

from fakes import FakePolicy, FakeReward, rooms

from edge_ttp.answer import Ask, generate
from edge_ttp.exchange.records import Numbered
from edge_ttp.history import History
from edge_ttp.history.importing import store_records
from edge_ttp.learning import self_calibration as calibrating
from edge_ttp.learning.evidence import judged
from edge_ttp.learning.learned import learned
from edge_ttp.learning.self_calibration import Manners, Progress, calibrate
from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import Feedback, FeedbackKind, HistoryItem, Sampling

KINDS: tuple[FeedbackKind, ...] = ("accept", "reject", "edit", "prefer", "copied", "regenerated")


def learn(database: str, name: str, pipe: int) -> None:
    """Works until it is killed. Writes a line to `pipe` after each call that returned: `feedback ID`, `item OUTPUT`,
    `calibrated COUNT`, `forgotten USER`."""

    def say(line: str) -> None:
        os.write(pipe, f"{line}\n".encode())

    calibrating.CANDIDATES = 4
    reward = FakeReward()
    with History.open(database) as history:
        where = rooms(history, FakePolicy(), reward)
        number = 0
        while True:
            number += 1
            texts = [f"apple birch {name} {number} {at}" for at in range(3)]
            items = [HistoryItem(user_id="kept", input=f"ask {number} {text}", output=text) for text in texts]
            store_records(history, lambda items=items: (Numbered(at, one) for at, one in enumerate(items, 1)))
            for text in texts:
                say(f"item {text}")
            done: list[Progress] = []
            calibrate(where, "kept", Manners(), advance=done.append)
            say(f"calibrated {len(done)}")
            asked = generate(where, Ask(prompt="what grows", user="kept", n=4, sampling=Sampling(max_tokens=6)))
            kind = KINDS[number % len(KINDS)]
            given = Feedback(
                generation_id=asked.generation_id,
                user_id="kept",
                kind=kind,
                candidate=number % 4,
                text=f"edited {name} {number}" if kind == "edit" else None,
            )
            layer = history.layer(asked.generation_id)
            assert layer is not None
            stored = history.add_feedback(given, judged(given, layer, [one.text for one in asked.candidates]))
            say(f"feedback {stored.id}")
            learned(history, "kept", cast(RewardModel, reward))
            passing = f"passing {name} {number}"
            history.add(HistoryItem(user_id=passing, input="ask", output=f"secret {passing}"))
            calibrate(where, passing, Manners())
            history.forget(passing, everything=True)
            say(f"forgotten {passing}")
