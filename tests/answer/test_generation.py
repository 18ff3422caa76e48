"""One request's whole way with invented models: seeds, deadlines, cancels."""

from __future__ import annotations

import threading

import pytest
from fakes import FakePolicy, endless, rooms
from policy.table import FakeClock

from answer.requests import COSTS, ask, prompt_length
from edge_ttp.answer import generate
from edge_ttp.errors import (
    Cancelled,
    DeadlineTooShort,
)
from edge_ttp.history import History
from edge_ttp.schema import Budget, Event, Sampling


def test_the_same_seed_and_n_replay_a_generation_and_another_seed_does_not(history: History) -> None:
    first, again, other = (generate(rooms(history), ask(seed=seed, n=8)) for seed in (5, 5, 500))
    assert first.candidates == again.candidates
    assert first.generation_id != again.generation_id
    assert [one.text for one in first.candidates] != [one.text for one in other.candidates]
    assert [one.seed for one in first.candidates] == list(range(5, 13))


def test_without_a_seed_one_is_drawn_and_recorded(history: History) -> None:
    first = generate(rooms(history), ask(seed=None, n=8))
    second = generate(rooms(history), ask(seed=None, n=8))
    assert first.seed != second.seed
    assert generate(rooms(history), ask(seed=first.seed, n=8)).candidates == first.candidates


def test_time_for_scoring_and_recording_is_kept_back_from_the_deadline(history: History, clock: FakeClock) -> None:
    clock.now = 100.0
    policy = FakePolicy(clock=clock)
    generate(rooms(history, policy, costs=COSTS), ask(n=4, budget=Budget(deadline_s=9.0)))
    assert policy.controls[0].deadline == pytest.approx(100 + 9 - (COSTS.after_s + 4 * 0.002))
    generate(rooms(history, policy), ask(n=4, budget=Budget(deadline_s=9.0)))
    assert policy.controls[1].deadline is not None
    assert 100 < policy.controls[1].deadline < 109
    generate(rooms(history, policy), ask(n=4))
    assert policy.controls[2].deadline is None


def test_a_deadline_that_passes_while_the_prompt_is_read_is_an_error(history: History, clock: FakeClock) -> None:
    policy = FakePolicy(clock=clock, step_s=1.0)
    with pytest.raises(DeadlineTooShort, match="while reading the prompt"):
        generate(rooms(history, policy), ask(budget=Budget(deadline_s=0.5)))
    assert history.generations("ann") == []


def test_a_cancel_before_the_first_token_is_an_error(history: History) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        generate(rooms(history), ask(cancel=cancel))
    assert history.generations("ann") == []


def test_a_cancel_while_drawing_answers_with_what_there_is(history: History) -> None:
    cancel = threading.Event()

    def stop_after_three(event: Event) -> None:
        if event.type == "progress" and max(event.tokens) >= 3:
            cancel.set()

    policy = FakePolicy(table=endless)
    asked = ask(cancel=cancel, emit=stop_after_three, sampling=Sampling(max_tokens=1500))
    result = generate(rooms(history, policy), asked)
    assert {one.finish_reason for one in result.candidates} == {"cancelled"}
    drawn = {one.tokens for one in result.candidates}
    assert len(drawn) == 1
    assert 3 <= len(result.text.split()) == drawn.pop() < 1500
    assert result.notes[-1] == "the cancel ended 6 of 6 candidates before they were complete"
    assert result.selection.reason.endswith("; none was complete")
    assert history.generation(result.generation_id).text == result.text


def test_a_cache_that_turns_out_too_small_costs_candidates_not_the_answer(history: History) -> None:
    policy = FakePolicy(table=endless, cells=prompt_length(history) + 40)
    result = generate(rooms(history, policy), ask(n=8, sampling=Sampling(max_tokens=12)))
    reasons = [one.finish_reason for one in result.candidates]
    assert {"capacity", "length"} <= set(reasons)
    assert result.candidates[result.chosen].finish_reason == "length"
    assert f"the cache was too small for {reasons.count('capacity')} of 8 candidates" in " ".join(result.notes)
