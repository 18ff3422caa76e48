"""What is told and kept of a request: the generation, its timings, and histories that cannot be written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakePolicy, FakeReward, rooms
from policy.table import FakeClock

from answer.requests import COSTS, ask, remember, row_counts
from edge_ttp.answer import generate
from edge_ttp.budget.device_profile import Call
from edge_ttp.errors import (
    HistoryUnavailable,
    NotFound,
)
from edge_ttp.history import History
from edge_ttp.schema import Budget


def test_the_time_that_a_cached_prompt_saves_is_told(history: History) -> None:
    policy = FakePolicy(context=20_000)
    long = "word " * 9000
    first = generate(rooms(history, policy, costs=COSTS), ask(long))
    again = generate(rooms(history, policy, costs=COSTS), ask(long))
    assert (first.usage.cached_prompt_tokens, first.timings.reuse_saved_s) == (0, 0.0)
    assert again.usage.cached_prompt_tokens == first.usage.prompt_tokens == 9008
    assert again.timings.reuse_saved_s == pytest.approx(9008 * 0.001)
    assert generate(rooms(history, policy), ask(long)).timings.reuse_saved_s > 0
    assert first.timings.device == "cpu"


def test_a_generation_is_recorded_whole(history: History) -> None:
    remember(history)
    result = generate(rooms(history), ask(kind="text"))
    stored = history.generation(result.generation_id, "ann")
    assert stored == result.model_copy(update={"timings": stored.timings, "created_at": stored.created_at})
    assert result.timings.store_s > 0
    assert stored.timings.total_s > 0


def test_usage_and_timings_add_up(history: History) -> None:
    policy = FakePolicy()
    result = generate(rooms(history, policy), ask())
    usage, timings = result.usage, result.timings
    assert usage.prompt_tokens == len(policy.requests[0].prompt)
    assert usage.completion_tokens == sum(one.tokens for one in result.candidates)
    assert 0 < usage.decoded_rows <= usage.completion_tokens
    rooms_s = (timings.recall_s, timings.prefill_s, timings.decode_s, timings.score_s, timings.select_s)
    assert 0 < sum(rooms_s) + timings.store_s <= timings.total_s
    assert timings.sample_s <= timings.decode_s


def test_a_request_that_is_not_to_be_stored_leaves_no_row(history: History) -> None:
    before = row_counts(history.path)
    result = generate(rooms(history), ask("something private", store=False))
    assert row_counts(history.path) == before
    assert not result.stored
    assert not any("not recorded" in line for line in result.notes)
    with pytest.raises(NotFound):
        history.generation(result.generation_id)
    for file in history.path.parent.glob("history.db*"):
        assert b"something private" not in file.read_bytes()


@pytest.fixture
def locked(history: History) -> Iterator[sqlite3.Connection]:
    """The history, with items in it, while another connection holds its write lock."""
    remember(history, count=2)
    holder = sqlite3.connect(history.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    yield holder
    holder.close()


def test_an_answer_that_cannot_be_recorded_is_not_lost(history: History, locked: sqlite3.Connection) -> None:
    result = generate(rooms(history), ask())
    assert result.text
    assert not result.stored
    assert result.notes[-1].startswith("not recorded: the history ")
    assert "locked by another process" in result.notes[-1]
    locked.execute("ROLLBACK")
    assert history.generations("ann") == []
    assert generate(rooms(history), ask()).stored


class Waits(History):
    """Notes how long each write was ready to wait, and fails as a locked history does."""

    def __init__(self, history: History) -> None:
        super().__init__(history._connections, history._sieve)
        self.patience: list[float | None] = []

    def record(self, generation: object, *, layer: object = None, wait_s: float | None = None) -> None:
        self.patience.append(wait_s)
        raise HistoryUnavailable("locked")


def test_a_deadline_limits_the_wait_for_a_locked_history(history: History, clock: FakeClock) -> None:
    def slowly(text: str) -> float:
        clock.now += 5.0
        return 0.5

    waits = Waits(history)
    still = FakePolicy(clock=clock)
    generate(rooms(waits, still), ask(budget=Budget(deadline_s=7.0)))
    generate(rooms(waits, still, FakeReward(slowly)), ask(budget=Budget(deadline_s=3.0)))
    generate(rooms(waits, still), ask())
    assert waits.patience == [7.0, 0.1, None]


def test_a_read_only_history_still_answers(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(history, count=2)
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anything
    with History.open(history.path) as reading:
        assert reading.read_only
        result = generate(rooms(reading), ask())
    assert result.plan.examples == 2
    assert not result.stored
    assert "is read-only" in result.notes[-1]


def test_what_a_request_took_is_told(history: History) -> None:
    calls: list[Call] = []
    parts = replace(rooms(history, costs=COSTS), observe=calls.append)
    result = generate(parts, ask(n=None))
    (call,) = calls
    assert call.tokens == tuple(one.tokens for one in result.candidates)
    assert sum(call.rows) == result.usage.decoded_rows
    assert (call.usual, call.prompt_tokens) == (8, result.usage.prompt_tokens)
    assert call.scored >= result.n
    assert call.waves == len(result.plan.decisions) or call.waves == len(result.plan.decisions) + 1
