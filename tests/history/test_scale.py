"""Recall in a large file: one user with 100,000 items beside 10,000 users with 20 each. Prints what it measured."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from edge_ttp.history import History
from edge_ttp.schema import HistoryItem

from .conftest import START

pytestmark = pytest.mark.slow

VOCABULARY = 60_000
"""Words, drawn with the frequencies of natural language (Zipf)."""


class Writer:
    """Texts of an invented language, and items made of them."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(11)
        letters = random.Random(11)
        words = {
            "".join(letters.choices("abcdefghijklmnoprstuvw", k=letters.randint(2, 10))) for _ in range(VOCABULARY)
        }
        self._words = np.array(sorted(words, key=lambda _: letters.random()))
        weights = 1 / np.arange(1, len(words) + 1) ** 1.05
        self._cumulative = np.cumsum(weights / weights.sum())

    def text(self, words: int) -> str:
        drawn = np.searchsorted(self._cumulative, self._rng.random(words)).clip(max=len(self._words) - 1)
        return " ".join(self._words[drawn])

    def items(self, user: str, count: int) -> list[HistoryItem]:
        return [
            HistoryItem(
                user_id=user,
                input=self.text(int(self._rng.integers(10, 80))),
                output=self.text(int(self._rng.integers(5, 20))),
                created_at=START + timedelta(minutes=minute),
            )
            for minute in range(count)
        ]


def measure(history: History, writer: Writer, users: list[str], **options: object) -> str:
    took, computed = [], []
    rng = random.Random(5)
    for turn in range(300):
        query = writer.text(rng.randint(10, 200))
        began, busy = time.perf_counter(), time.process_time()
        found = history.recall(users[turn % len(users)], query, 8, **options)  # type: ignore[arg-type]
        took.append((time.perf_counter() - began) * 1000)
        computed.append((time.process_time() - busy) * 1000)
        assert len(found) == 8
        assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    p50, p95 = np.quantile(took, (0.5, 0.95))
    return f"p50 {p50:.1f} ms, p95 {p95:.1f} ms, p95 of processor time {np.quantile(computed, 0.95):.1f} ms"


def recall_in_a_file_of(path: Path, items: int, users: int) -> None:
    writer = Writer()
    with History.open(path) as history:
        began = time.perf_counter()
        for _ in range(items // 1000):
            history.add_many(writer.items("large", 1000))
        small = [f"user {number}" for number in range(users)]
        for start in range(0, users, 50):
            history.add_many([item for user in small[start : start + 50] for item in writer.items(user, 20)])
        seconds = time.perf_counter() - began
        everything = history.stats()
        print(f"\n{everything.items} items of {everything.users} users stored in {seconds:.0f} s")
        print(f"user with {items} items: {measure(history, writer, ['large'])}")
        print(f"users with 20 items: {measure(history, writer, small)}")
        texts = everything.items * (everything.mean_input + everything.mean_output)
    print(f"file {path.stat().st_size / 1e6:.0f} MB for {texts / 1e6:.0f} MB of text")


def test_recall_works_in_a_file_of_a_few_thousand_items(path: Path) -> None:
    recall_in_a_file_of(path, 2000, 50)


@pytest.mark.soak
def test_recall_in_a_file_of_300000_items_and_10001_users(path: Path) -> None:
    recall_in_a_file_of(path, 100_000, 10_000)
