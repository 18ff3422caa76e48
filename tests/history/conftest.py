"""A history of the test's own, and what to put in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_ttp.history import History
from edge_ttp.schema import (
    Candidate,
    Generation,
    HistoryItem,
    Plan,
    Sampling,
    Selection,
    Timings,
    Usage,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    with History.open(path) as opened:
        yield opened


@pytest.fixture
def make_item() -> Callable[..., HistoryItem]:
    return new_item


@pytest.fixture
def make_generation() -> Callable[..., Generation]:
    return new_generation


def new_item(text: str, user: str = "ann", day: int = 0, given: str = "", **fields: object) -> HistoryItem:
    """An item that `user` wrote on a day of January 2026."""
    values = {"created_at": START + timedelta(days=day), **fields}
    return HistoryItem(user_id=user, input=given, output=text, **values)


def new_generation(
    name: str, user: str = "ann", texts: tuple[str, ...] = ("one", "two", "three"), **fields: object
) -> Generation:
    """A generation with a candidate for each text, every field set to a value of its own; the second is chosen."""
    candidates = tuple(
        Candidate(
            text=text,
            tokens=10 + at,
            logprob=-1.5 - at,
            finish_reason="stop" if at else "length",
            seed=100 + at,
            mean=0.1 * at,
            variance=0.02 + at,
            aleatoric=0.01 + at,
            epistemic=0.01,
            score=None if at == 2 else 0.3 * at,
        )
        for at, text in enumerate(texts)
    )
    values: dict[str, object] = {
        "text": texts[1 % len(texts)],
        "generation_id": name,
        "user": user,
        "prompt": "say something",
        "kind": "email",
        "model": "tiny",
        "reward": "first",
        "n": len(texts),
        "chosen": 1 % len(texts),
        "candidates": candidates,
        "selection": Selection(rule="shrink", reason="best shrunken mean"),
        "plan": Plan(n=len(texts), bound_by="deadline", max_tokens=40, examples=4, expected_s=1.25, notes=("a", "b")),
        "timings": Timings(recall_s=0.001, decode_s=0.5, total_s=0.6),
        "usage": Usage(prompt_tokens=50, cached_prompt_tokens=7, completion_tokens=33, decoded_rows=20),
        "seed": 100,
        "sampling": Sampling(top_k=7, temperature=0.3, stop=("\n", "###")),
        "created_at": START + timedelta(hours=1),
        "notes": ("no history yet",),
    }
    return Generation.model_validate({**values, **fields})
