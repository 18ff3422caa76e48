"""What is left out where context, memory or time are short, and how long answers may become."""

from __future__ import annotations

import pytest
from fakes import BYTES_PER_TOKEN, FakePolicy, rooms
from policy.table import FakeClock

from answer.requests import COSTS, ask, prompt_length, reading, remember
from edge_ttp.answer import generate
from edge_ttp.errors import DeadlineTooShort, OutOfCapacity
from edge_ttp.history import History
from edge_ttp.schema import Budget, HistoryItem, Sampling


def test_answers_may_be_as_long_as_what_the_user_wrote_and_a_quarter_more(history: History) -> None:
    history.add(HistoryItem(user_id="ann", input="a", output="word " * 40))
    history.add(HistoryItem(user_id="ann", input="b", output="word"))
    policy = FakePolicy()
    result = generate(rooms(history, policy), ask(sampling=Sampling()))
    assert policy.requests[0].max_tokens == result.plan.max_tokens == 54
    assert generate(rooms(history, policy), ask(user="bob", sampling=Sampling())).plan.max_tokens == 96


def test_the_least_similar_examples_are_left_out_where_the_context_is_too_small(history: History) -> None:
    remember(history)
    policy = FakePolicy(context=prompt_length(history, examples=4) + 8 - 1)
    result = generate(rooms(history, policy), ask())
    assert result.plan.examples == 3
    assert [text for role, text in policy.messages[-1] if role == "assistant"][-1] == "ann answer 0"
    assert "1 recalled example left out: context and memory hold no more" in result.notes


def test_examples_go_before_turns_and_the_oldest_turn_goes_first(history: History) -> None:
    remember(history)
    turns = (("first", "one"), ("second", "two"))
    policy = FakePolicy(context=prompt_length(history, examples=0, turns=turns) + 8 - 1)
    result = generate(rooms(history, policy), ask(turns=turns))
    assert [text for _, text in policy.messages[-1]][1:] == ["second", "two", "what grows here"]
    assert "4 recalled examples left out: context and memory hold no more" in result.notes
    assert "1 earlier turn left out: context and memory hold no more" in result.notes


def test_examples_are_left_out_where_the_memory_is_too_small(history: History) -> None:
    remember(history)
    memory = (prompt_length(history, examples=2) + 8) * BYTES_PER_TOKEN
    result = generate(rooms(history, memory_bytes=memory), ask(n=None))
    assert (result.plan.examples, result.n, result.plan.bound_by) == (2, 1, "memory")


@pytest.mark.parametrize("memory", [None, 30 * BYTES_PER_TOKEN])
def test_a_request_that_fits_without_any_example_raises_only_then(history: History, memory: int | None) -> None:
    remember(history)
    policy = FakePolicy(context=60)
    with pytest.raises(OutOfCapacity):
        generate(rooms(history, policy, memory_bytes=memory), ask("word " * 60))
    assert policy.requests == []
    assert history.generations("ann") == []


def test_examples_that_a_deadline_has_no_time_to_read_are_left_out(history: History, clock: FakeClock) -> None:
    remember(history)
    few = prompt_length(history, examples=1)
    costs = reading(0.01)
    time_for_one = Budget(deadline_s=0.01 * few + 0.13)
    result = generate(rooms(history, FakePolicy(clock=clock), costs=costs), ask(n=1, budget=time_for_one))
    assert result.plan.examples == 1
    assert "3 recalled examples left out: the deadline leaves no time to read them" in result.notes


def test_a_prompt_too_slow_to_read_is_tried_once_nothing_can_be_left_out(history: History, clock: FakeClock) -> None:
    costs = reading(10.0)  # far too pessimistic
    result = generate(rooms(history, FakePolicy(clock=clock), costs=costs), ask(budget=Budget(deadline_s=1.0)))
    assert result.text
    assert result.plan.bound_by == "deadline"
    assert "even one candidate may not fit the deadline; it ends when the deadline does" in result.notes


def test_shorter_answers_are_planned_where_a_deadline_leaves_no_time_for_long_ones(
    history: History, clock: FakeClock
) -> None:
    for index in range(10):
        text = "word " * (60 if index == 0 else 5)
        history.add(HistoryItem(user_id="ann", input=f"what grows {index}", output=text))
    hurried = ask(n=None, sampling=Sampling(), budget=Budget(mode="best", deadline_s=0.6))
    result = generate(rooms(history, FakePolicy(clock=clock), costs=COSTS), hurried)
    assert result.plan.max_tokens < 60
    assert any(note.startswith(f"answers end after {result.plan.max_tokens} of") for note in result.notes)


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("n", [None, 4])
def test_examples_are_never_left_out_for_time_where_there_is_no_deadline(
    history: History, n: int | None, seed: int | None
) -> None:
    remember(history)
    budget = Budget(mode="fast", energy="battery")
    slow = generate(rooms(history, costs=reading(0.2)), ask(n=n, budget=budget, seed=seed))
    assert slow.plan.examples == 4
    assert not any("left out" in note for note in slow.notes)


def test_a_deadline_that_does_not_bind_changes_nothing(history: History, clock: FakeClock) -> None:
    for index in range(10):
        text = "word " * (60 if index == 0 else 5)
        history.add(HistoryItem(user_id="ann", input=f"what grows {index}", output=text))
    parts = rooms(history, FakePolicy(clock=clock), costs=COSTS)
    free, ample = (
        generate(parts, ask(n=None, sampling=Sampling(), budget=Budget(deadline_s=seconds))) for seconds in (None, 600)
    )
    assert ample.plan.model_dump(exclude={"expected_s"}) == free.plan.model_dump(exclude={"expected_s"})
    assert ample.candidates == free.candidates
    assert ample.notes == free.notes


def test_a_number_of_examples_that_was_named_is_kept_or_refused(history: History, clock: FakeClock) -> None:
    remember(history)
    costs = reading(0.01)
    ample = Budget(deadline_s=0.01 * prompt_length(history, examples=4) + 0.5)
    kept = generate(rooms(history, FakePolicy(clock=clock), costs=costs), ask(examples=4, n=1, budget=ample))
    assert kept.plan.examples == 4
    short = Budget(deadline_s=0.01 * prompt_length(history, examples=1) + 0.13)
    with pytest.raises(DeadlineTooShort, match="4 examples"):
        generate(rooms(history, FakePolicy(clock=clock), costs=costs), ask(examples=4, n=1, budget=short))
    narrow = FakePolicy(context=prompt_length(history, examples=4) + 8 - 1)
    with pytest.raises(OutOfCapacity, match="4 examples"):
        generate(rooms(history, narrow), ask(examples=4))
