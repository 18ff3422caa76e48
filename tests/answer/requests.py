"""Requests and costs that the tests of the rooms on the way share."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from fakes import FakePolicy, rooms

from edge_ttp.answer import generate
from edge_ttp.answer.ask import Ask
from edge_ttp.budget.cost import KNOTS, Lengths, Speed
from edge_ttp.budget.device_profile import Profile
from edge_ttp.history import History
from edge_ttp.schema import HistoryItem, Sampling

SPEED = Speed(1e-9, 0.001, 1e-15, tuple(0.01 + 0.001 * rows for rows in KNOTS), 1e-12)


COSTS = Profile({1: SPEED}, {1: SPEED}, Lengths(sharing=0.0), score_parts=(1e-9, 0.002), after_s=0.03, deviation_s=1e-9)


def reading(seconds: float) -> Profile:
    """The same costs, with so many seconds for each prompt token."""
    speed = replace(SPEED, token_s=seconds)
    return replace(COSTS, measured={1: speed}, speeds={1: speed})


SHORT = Sampling(max_tokens=8)


def ask(prompt: str = "what grows here", user: str = "ann", **fields: object) -> Ask:
    return replace(Ask(prompt, user, n=6, seed=5, sampling=SHORT), **fields)  # type: ignore[arg-type]


def remember(history: History, user: str = "ann", count: int = 6, **fields: object) -> list[HistoryItem]:
    """Items of `user`, each answering something of its own; the first resembles the default prompt most."""
    prompts = ["what grows here", "what grows there", "what is it", "tell me more", "one thing", "another"]
    return [
        history.add(
            HistoryItem(user_id=user, input=prompts[index], output=f"{user} answer {index}", **fields)  # type: ignore[arg-type]
        )
        for index in range(count)
    ]


def row_counts(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables}


def prompt_length(history: History, **fields: object) -> int:
    """Tokens of the prompt as it is when everything fits."""
    policy = FakePolicy()
    generate(rooms(history, policy), ask(store=False, **fields))
    return len(policy.requests[0].prompt)
