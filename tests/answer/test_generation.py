"""One request's way with invented models: what is asked of each room, what is said of it, what is kept."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import BYTES_PER_TOKEN, FakePolicy, FakeReward, endless, rooms
from policy.table import FakeClock

from edge_ttp.answer import generate
from edge_ttp.answer.ask import Ask
from edge_ttp.answer.controls import STRUCTURED_TOKENS
from edge_ttp.answer.select import NEEDS_REWARD, RULES, Pool, select
from edge_ttp.budget.cost import KNOTS, Lengths, Speed
from edge_ttp.budget.device_profile import Call, Profile
from edge_ttp.budget.planner import BATTERY_CANDIDATES, DISTRUSTED_CANDIDATES, MODE_CANDIDATES, SAVER_CANDIDATES
from edge_ttp.errors import (
    Cancelled,
    DeadlineTooShort,
    HistoryUnavailable,
    InvalidInput,
    NotFound,
    OutOfCapacity,
)
from edge_ttp.history import History
from edge_ttp.learning.calibration import POPULATION
from edge_ttp.schema import MAX_CANDIDATES, MAX_TEXT, Budget, Event, HistoryItem, LoraAdapter, Rule, Sampling

planning = import_module("edge_ttp.answer.prepare")  # the package has the function of that name

SPEED = Speed(1e-9, 0.001, 1e-15, tuple(0.01 + 0.001 * rows for rows in KNOTS), 1e-12)
COSTS = Profile({1: SPEED}, {1: SPEED}, Lengths(sharing=0.0), score_parts=(1e-9, 0.002), after_s=0.03, deviation_s=1e-9)


def reading(seconds: float) -> Profile:
    """The same costs, with so many seconds for each prompt token."""
    speed = replace(SPEED, token_s=seconds)
    return replace(COSTS, measured={1: speed}, speeds={1: speed})


SHORT = Sampling(max_tokens=8)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History.open(tmp_path / "history.db", busy_timeout_s=0.05) as opened:
        yield opened


module, planning, drawing = (import_module(f"edge_ttp.answer{name}") for name in ("", ".prepare", ".waves"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock that a request's deadline is measured on, standing still unless moved."""
    clock = FakeClock()
    for part in (module, planning, drawing):
        monkeypatch.setattr(part, "time", SimpleNamespace(monotonic=clock))
    return clock


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


# Drawing and choosing


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_chooses_what_the_selection_room_chooses(history: History, rule: Rule) -> None:
    reward = FakeReward(judge=lambda text: text.count("e") / 20, epistemic=lambda text: 0.001 * len(text))
    parts = rooms(history, reward=reward)
    result = generate(parts if rule in NEEDS_REWARD else replace(parts, reward=None), ask(rule=rule, n=8))
    drawn = result.candidates
    pool = Pool(
        logprob=np.array([one.logprob for one in drawn]),
        tokens=np.array([one.tokens for one in drawn]),
        complete=np.array([one.finish_reason in ("stop", "length") and bool(one.text) for one in drawn]),
        mean=np.array([one.mean for one in drawn]) if rule in NEEDS_REWARD else None,
        epistemic=np.array([one.epistemic for one in drawn]) if rule in NEEDS_REWARD else None,
        similarity=FakeReward().score(None, "", drawn).similarity,
    )
    expected = select(pool, rule, rng=np.random.default_rng(5))
    assert (result.chosen, result.selection.rule, result.selection.reason) == (expected.index, rule, expected.reason)
    assert result.text == drawn[result.chosen].text
    assert [one.score for one in drawn] == pytest.approx(expected.scores.tolist())
    assert (result.reward is None) == (rule not in NEEDS_REWARD)


def test_where_the_reward_model_knows_nothing_consensus_chooses_and_says_so(history: History) -> None:
    result = generate(rooms(history, reward=FakeReward(familiar=False)), ask(rule="lcb", n=8))
    plain = generate(rooms(history, reward=FakeReward()), ask(rule="consensus", n=8))
    assert (result.selection.rule, result.chosen) == ("consensus", plain.chosen)
    assert module._UNFAMILIAR in result.notes
    assert result.candidates[0].mean is not None  # the scores are still shown
    alone = generate(rooms(history, reward=FakeReward(familiar=False)), ask(rule="lcb", n=1))
    assert alone.selection.rule == "lcb"
    assert module._UNFAMILIAR not in alone.notes


def test_scores_of_the_reward_model_stand_with_their_candidates(history: History) -> None:
    reward = FakeReward()
    result = generate(rooms(history, reward=reward), ask())
    assert [[one.text for one in pool] for pool in reward.pools] == [[one.text for one in result.candidates]]
    for one in result.candidates:
        assert one.mean == pytest.approx(len(one.text) / 1000)
        assert (one.aleatoric, one.epistemic, one.variance) == pytest.approx((0.02, 0.01, 0.03))


def test_candidates_without_a_reward_model_have_no_scores(history: History) -> None:
    result = generate(replace(rooms(history), reward=None), ask(rule="consensus"))
    assert {(one.mean, one.variance, one.aleatoric, one.epistemic) for one in result.candidates} == {(None,) * 4}


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


def test_a_cut_off_candidate_is_not_chosen_while_a_complete_one_is_there(history: History, clock: FakeClock) -> None:
    policy = FakePolicy(clock=clock, step_s=1.0)
    reward = FakeReward(judge=len)
    result = generate(rooms(history, policy, reward), ask(n=16, budget=Budget(deadline_s=3.5)))
    reasons = [one.finish_reason for one in result.candidates]
    assert {"deadline", "stop"} <= set(reasons)
    best = max(result.candidates, key=lambda one: one.mean or 0)
    assert best.finish_reason == "deadline"
    assert result.candidates[result.chosen].finish_reason == "stop"
    assert f"the deadline ended {reasons.count('deadline')} of 16 candidates before they were complete" in result.notes


def test_sampling_options_reach_the_policy(history: History) -> None:
    policy = FakePolicy()
    sampling = Sampling(top_k=3, top_p=0.5, min_p=0.1, temperature=0.7, max_tokens=9, stop=("fern",))
    result = generate(rooms(history, policy), ask(sampling=sampling))
    (request,) = policy.requests
    assert request.sampling == sampling
    assert (request.max_tokens, request.n, request.seed) == (9, 6, 5)
    assert request.stop[0] == "fern"
    assert not any("fern" in one.text for one in result.candidates)
    assert result.sampling == sampling


def test_every_field_of_sampling_reaches_the_engine(history: History, tmp_path: Path) -> None:
    policy = FakePolicy()
    sampling = Sampling(
        typical_p=0.9,
        repetition_penalty=1.3,
        presence_penalty=0.2,
        frequency_penalty=0.1,
        penalty_window=7,
        logit_bias={"apple fern": -2.0, "1": 0.5, 3: 1.0},
        temperatures=(0.5, 1.5),
        grammar="12345678|12345678|0",
        adapters=(LoraAdapter(path=str(tmp_path / "a.gguf"), scale=0.5), LoraAdapter(path="b.gguf")),
        share_prefixes=False,
    )
    result = generate(rooms(history, policy), ask(sampling=sampling))
    (request,) = policy.requests
    assert request.sampling is sampling
    assert request.logit_bias == ((1, 0.5), (3, 1.0), (6, -2.0))  # apple's own id outdoes the text it is in
    assert request.grammar == sampling.grammar
    assert result.usage.decoded_rows == sum(one.tokens - 1 for one in result.candidates)
    assert {one.tokens for one in result.candidates} == {3}
    assert history.generation(result.generation_id).sampling == sampling


def test_a_grammar_alone_says_when_an_answer_is_complete_and_leaves_it_room(history: History) -> None:
    remember(history)  # one-line answers of a few words, which end at a line break otherwise
    policy = FakePolicy(words=("", *["x\n"] * 8))
    free = generate(rooms(history, policy), ask(sampling=Sampling()))
    bound = generate(rooms(history, policy), ask(sampling=Sampling(grammar="12|12|0")))
    assert [request.stop for request in policy.requests] == [("\n",), ()]
    assert free.plan.max_tokens == 16
    assert bound.plan.max_tokens == STRUCTURED_TOKENS
    assert {(one.tokens, one.finish_reason) for one in bound.candidates} == {(3, "stop")}


def test_an_answer_cut_off_inside_a_grammar_is_not_complete(history: History) -> None:
    asked = ask(sampling=Sampling(grammar="012|12|0", max_tokens=2), n=12, rule="logprob")
    result = generate(rooms(history, FakePolicy(table=lambda _: np.zeros(9))), asked)
    reasons = [one.finish_reason for one in result.candidates]
    assert set(reasons) == {"stop", "length"}
    cut = f"{reasons.count('length')} of 12 candidates reached their greatest length before the grammar was complete"
    assert f"{cut}: allow more with --max-tokens" in result.notes
    assert result.candidates[result.chosen].finish_reason == "length"  # the others are empty
    assert result.selection.reason.endswith("none was complete")


def test_answers_may_be_as_long_as_what_the_user_wrote_and_a_quarter_more(history: History) -> None:
    history.add(HistoryItem(user_id="ann", input="a", output="word " * 40))
    history.add(HistoryItem(user_id="ann", input="b", output="word"))
    policy = FakePolicy()
    result = generate(rooms(history, policy), ask(sampling=Sampling()))
    assert policy.requests[0].max_tokens == result.plan.max_tokens == 54
    assert generate(rooms(history, policy), ask(user="bob", sampling=Sampling())).plan.max_tokens == 96


# Recall and prompt


def test_the_prompt_holds_what_this_user_wrote_most_similar_last_and_nothing_of_another(history: History) -> None:
    remember(history)
    remember(history, "bob")
    policy = FakePolicy()
    result = generate(rooms(history, policy), ask(examples=2))
    (messages,) = policy.messages
    assert [text for role, text in messages if role == "assistant"] == ["ann answer 1", "ann answer 0"]
    assert messages[-1] == ("user", "what grows here")
    assert result.plan.examples == 2
    assert not any("no history" in line for line in result.notes)


def test_a_user_without_history_gets_an_answer_and_is_told(history: History) -> None:
    remember(history, "bob")
    result = generate(rooms(history), ask(user="nobody"))
    assert result.notes == ("no history yet for 'nobody': nothing to imitate, answers are not personal",)
    assert result.plan.examples == 0
    assert result.text
    assert result.stored


def test_a_kind_keeps_recall_scoring_and_lengths_to_items_of_that_kind(history: History) -> None:
    remember(history, count=2, kind="email")
    history.add(HistoryItem(user_id="ann", input="what grows here", output="a commit " * 30, kind="commit"))
    policy, reward = FakePolicy(), FakeReward()
    result = generate(rooms(history, policy, reward), ask(kind="email", sampling=Sampling()))
    assert {text for role, text in policy.messages[0] if role == "assistant"} == {"ann answer 0", "ann answer 1"}
    assert {item.kind for item in reward.profiles[0]} == {"email"}
    assert result.plan.max_tokens == 16
    assert result.kind == "email"


def test_no_examples_still_scores_against_the_history(history: History) -> None:
    remember(history)
    policy, reward = FakePolicy(), FakeReward()
    result = generate(rooms(history, policy, reward), ask(examples=0))
    assert [role for role, _ in policy.messages[0]] == ["system", "user"]
    assert len(reward.profiles[0]) == 6
    assert result.notes == ()


def test_turns_stand_between_the_examples_and_the_request(history: History) -> None:
    remember(history, count=1)
    policy = FakePolicy()
    generate(rooms(history, policy), ask("and now", turns=(("first", "one"), ("second", "two"))))
    assert [text for _, text in policy.messages[0]][1:] == [
        "what grows here",
        "ann answer 0",
        "first",
        "one",
        "second",
        "two",
        "and now",
    ]


def test_a_few_shot_model_continues_text(history: History) -> None:
    remember(history, count=1)
    policy = FakePolicy()
    generate(rooms(history, policy, style="few-shot"), ask())
    assert policy.messages == []
    assert policy.texts == ["Input: what grows here\nOutput: ann answer 0\n\nInput: what grows here\nOutput:"]
    assert policy.requests[0].stop == ("\n",)


def test_a_chat_model_without_a_known_template_continues_text(history: History) -> None:
    policy = FakePolicy(template=False)
    generate(rooms(history, policy), ask())
    assert policy.texts == ["Input: what grows here\nOutput:"]


# Too long, too slow, too large


def prompt_length(history: History, **fields: object) -> int:
    """Tokens of the prompt as it is when everything fits."""
    policy = FakePolicy()
    generate(rooms(history, policy), ask(store=False, **fields))
    return len(policy.requests[0].prompt)


def test_the_least_similar_examples_are_left_out_where_the_context_is_too_small(history: History) -> None:
    remember(history)
    policy = FakePolicy(context=prompt_length(history, examples=4) + 8 - 1)
    result = generate(rooms(history, policy), ask(examples=4))
    assert result.plan.examples == 3
    assert [text for role, text in policy.messages[-1] if role == "assistant"][-1] == "ann answer 0"
    assert "1 recalled examples left out: context and memory hold no more" in result.notes


def test_examples_go_before_turns_and_the_oldest_turn_goes_first(history: History) -> None:
    remember(history)
    turns = (("first", "one"), ("second", "two"))
    policy = FakePolicy(context=prompt_length(history, examples=0, turns=turns) + 8 - 1)
    result = generate(rooms(history, policy), ask(examples=4, turns=turns))
    assert [text for _, text in policy.messages[-1]][1:] == ["second", "two", "what grows here"]
    assert "4 recalled examples left out: context and memory hold no more" in result.notes
    assert "1 earlier turns left out: context and memory hold no more" in result.notes


def test_examples_are_left_out_where_the_memory_is_too_small(history: History) -> None:
    remember(history)
    memory = (prompt_length(history, examples=2) + 8) * BYTES_PER_TOKEN
    result = generate(rooms(history, memory_bytes=memory), ask(examples=4, n=None))
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
    result = generate(rooms(history, FakePolicy(clock=clock), costs=costs), ask(examples=4, n=1, budget=time_for_one))
    assert result.plan.examples == 1
    assert "3 recalled examples left out: the deadline leaves no time to read them" in result.notes


def test_a_prompt_too_slow_to_read_is_tried_once_nothing_can_be_left_out(history: History, clock: FakeClock) -> None:
    costs = reading(10.0)  # far too pessimistic
    result = generate(rooms(history, FakePolicy(clock=clock), costs=costs), ask(budget=Budget(deadline_s=1.0)))
    assert result.text
    assert result.plan.bound_by == "deadline"
    assert "even one candidate may not fit the deadline; it ends when the deadline does" in result.notes


# How many


@pytest.mark.parametrize("mode", MODE_CANDIDATES)
def test_each_mode_has_its_number_of_candidates(history: History, mode: str) -> None:
    result = generate(rooms(history), ask(n=None, budget=Budget(mode=mode)))  # type: ignore[arg-type]
    assert (result.n, result.plan.bound_by) == (MODE_CANDIDATES[mode], "mode")  # type: ignore[index]


@pytest.mark.parametrize(("energy", "most"), [("saver", SAVER_CANDIDATES), ("battery", BATTERY_CANDIDATES)])
def test_less_energy_means_fewer_candidates(history: History, energy: str, most: int) -> None:
    result = generate(rooms(history), ask(n=None, budget=Budget(energy=energy)))  # type: ignore[arg-type]
    assert (result.n, result.plan.bound_by) == (most, "energy")


def test_the_number_asked_for_is_kept(history: History) -> None:
    result = generate(rooms(history), ask(n=23, budget=Budget(energy="saver", mode="fast")))
    assert (result.n, result.plan.n, result.plan.bound_by) == (23, 23, "requested")


def test_the_most_candidates_allowed_win_over_the_number_asked_for(history: History) -> None:
    result = generate(rooms(history), ask(n=9, budget=Budget(max_candidates=3)))
    assert (result.n, result.plan.bound_by) == (3, "max_candidates")
    assert "9 candidates were asked for, 3 fit (max candidates)" in result.notes


def test_memory_bounds_the_candidates_unless_their_number_was_asked_for(history: History) -> None:
    memory = (prompt_length(history) + 8 * 5) * BYTES_PER_TOKEN
    result = generate(rooms(history, memory_bytes=memory), ask(n=None))
    assert (result.n, result.plan.n, result.plan.bound_by, result.plan.waves) == (5, 5, "memory", 1)
    asked = generate(rooms(history, memory_bytes=memory), ask(n=12))
    assert (asked.n, asked.plan.bound_by, asked.plan.waves) == (12, "requested", 3)


def test_a_deadline_bounds_the_candidates_by_the_measured_cost(history: History, clock: FakeClock) -> None:
    result = generate(rooms(history, FakePolicy(clock=clock), costs=COSTS), ask(n=64, budget=Budget(deadline_s=0.25)))
    assert result.plan.bound_by == "deadline"
    assert 1 < result.n < 64
    assert result.plan.expected_s is not None
    assert result.plan.expected_s <= 0.25


def test_only_one_candidate_is_drawn_where_nothing_can_tell_them_apart(history: History) -> None:
    result = generate(replace(rooms(history), reward=None), ask(n=None, rule="first"))
    assert (result.n, result.plan.bound_by, result.selection.reason) == (1, "no_reward", "the only candidate")


@pytest.mark.parametrize("rule", ["consensus", "logprob"])
def test_rules_that_need_no_reward_model_still_get_several(history: History, rule: Rule) -> None:
    assert generate(replace(rooms(history), reward=None), ask(n=None, rule=rule)).n == MODE_CANDIDATES["balanced"]


def test_as_many_candidates_as_the_schema_allows_can_be_drawn(history: History) -> None:
    assert generate(rooms(history), ask(n=MAX_CANDIDATES)).n == MAX_CANDIDATES


# Ending early


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


def test_an_error_in_the_callers_own_callback_reaches_the_caller(history: History) -> None:
    def fail(event: Event) -> None:
        if event.type == "progress":
            raise ZeroDivisionError

    policy = FakePolicy()
    with pytest.raises(ZeroDivisionError):
        generate(rooms(history, policy), ask(emit=fail))
    assert generate(rooms(history, policy), ask()).text  # the policy is usable afterwards


def test_events_come_in_the_order_of_the_work(history: History) -> None:
    events: list[Event] = []
    result = generate(rooms(history), ask(emit=events.append))
    types = [event.type for event in events]
    assert types[0] == "planned"
    assert types[-2:] == ["scored", "selected"]
    assert set(types[1:-2]) == {"progress", "finished"}
    assert events[0].n == result.plan.n
    ended = {event.candidate: event.text for event in events if event.type == "finished"}
    assert ended == {index: one.text for index, one in enumerate(result.candidates)}
    last = [event.tokens for event in events if event.type == "progress"][-1]
    assert last == tuple(one.tokens for one in result.candidates)
    assert (events[-1].text, events[-1].candidate, events[-1].generation) == (result.text, result.chosen, result)


def test_candidates_that_a_cancel_drops_are_told_with_the_reason(history: History) -> None:
    cancel = threading.Event()
    events: list[Event] = []

    def watch(event: Event) -> None:
        events.append(event)
        if event.type == "progress" and max(event.tokens) == 3:
            cancel.set()

    asked = ask(cancel=cancel, emit=watch, sampling=Sampling(max_tokens=1500))
    result = generate(rooms(history, FakePolicy(table=endless)), asked)
    dropped = {event.candidate: (event.text, event.finish_reason) for event in events if event.type == "dropped"}
    assert dropped == {index: (one.text, "cancelled") for index, one in enumerate(result.candidates)}
    assert len({one.tokens for one in result.candidates}) == 1


def test_the_time_that_a_cached_prompt_saves_is_told(history: History) -> None:
    policy = FakePolicy(context=20_000)
    long = "word " * 9000
    first = generate(rooms(history, policy, costs=COSTS), ask(long))
    again = generate(rooms(history, policy, costs=COSTS), ask(long))
    assert (first.usage.cached_prompt_tokens, first.timings.reuse_saved_s) == (0, 0.0)
    assert again.usage.cached_prompt_tokens == 8192
    assert again.timings.reuse_saved_s == pytest.approx(8192 * 0.001)
    assert generate(rooms(history, policy), ask(long)).timings.reuse_saved_s > 0
    assert first.timings.device == "cpu"


def test_examples_can_be_recalled_for_another_text(history: History) -> None:
    remember(history, count=5)
    policy = FakePolicy()
    generate(rooms(history, policy), ask("tell me more", examples=1, recall_for="what is it"))
    assert ("assistant", "ann answer 2") in policy.messages[-1]


# Recording


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


def row_counts(path: Path) -> dict[str, int]:
    with sqlite3.connect(path) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables}


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
        super().__init__(history._connections)
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


# What cannot be meant


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": ""}, "the prompt is empty"),
        ({"prompt": " \n\t"}, "the prompt is empty"),
        ({"prompt": "x" * (MAX_TEXT + 1)}, "200001 characters"),
        ({"prompt": "bad \udcff"}, "the prompt is not valid Unicode"),
        ({"turns": (("fine", "bad \udcff"),)}, "an earlier answer is not valid Unicode"),
        ({"turns": (("bad \udcff", "fine"),)}, "an earlier prompt is not valid Unicode"),
        ({"sampling": Sampling(stop=("\udcff",))}, "a stop string is not valid Unicode"),
        ({"sampling": Sampling(logit_bias={"": 1.0})}, "a logit bias is for no text"),
        ({"sampling": Sampling(logit_bias={"\udcff": 1.0})}, "a text with a logit bias is not valid Unicode"),
        ({"sampling": Sampling(json_schema={"type": "unheard-of"})}, "the JSON schema cannot be turned"),
        ({"sampling": Sampling(json_schema={}, grammar="root ::= x")}, "both a grammar and a JSON schema"),
        ({"recall_for": "\udcff"}, "the text to recall for is not valid Unicode"),
        ({"kind": ""}, "kind '' is no label"),
        ({"kind": "a\nb"}, "is no label"),
        ({"n": 0}, "n=0"),
        ({"n": -3}, "n=-3"),
        ({"n": 100_000}, "n=100000"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 2**63}, "seed 9223372036854775808"),
        ({"examples": -1}, "-1 examples"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused_before_any_work(
    history: History, fields: dict[str, object], words: str
) -> None:
    policy = FakePolicy()
    with pytest.raises(InvalidInput, match=words):
        generate(rooms(history, policy), ask(**fields))  # type: ignore[arg-type]
    assert policy.requests == policy.messages == []
    assert row_counts(history.path)["generations"] == 0


def test_the_largest_seed_can_be_recorded(history: History) -> None:
    result = generate(rooms(history), ask(seed=2**63 - 1))
    assert history.generation(result.generation_id).candidates == result.candidates


# Waves


def leading(text: str) -> float:
    """A judge who finds all candidates alike but for one that is far ahead."""
    return 0.9 if text.startswith("apple") else 0.1


def test_a_wave_that_is_scored_decides_how_many_follow(history: History) -> None:
    policy, events = FakePolicy(table=endless), list[Event]()
    alike = FakeReward(judge=lambda text: 0.1)
    result = generate(rooms(history, policy, alike, costs=COSTS), ask(n=None, emit=events.append))
    first = policy.controls[0].first_wave
    assert first is not None
    assert 1 < first < result.n
    assert result.plan.waves > 1
    assert len(result.plan.decisions) >= 1
    assert result.plan.decisions[0].startswith(f"after {first} candidates: ")
    assert [event.n for event in events if event.type == "planned"][-1] == result.n
    assert [one.seed for one in result.candidates] == list(range(5, 5 + result.n))
    assert events[-2].n == result.n


def test_a_candidate_far_ahead_ends_the_drawing(history: History) -> None:
    policy = FakePolicy(table=endless)
    result = generate(rooms(history, policy, FakeReward(judge=leading), costs=COSTS), ask(n=None))
    assert any(one.text.startswith("apple") for one in result.candidates)
    assert result.n == policy.controls[0].first_wave
    assert result.plan.waves == 1
    assert "no more" in result.plan.decisions[-1]


def test_the_last_waves_scores_are_not_made_twice(history: History) -> None:
    reward = FakeReward(judge=leading)
    result = generate(rooms(history, FakePolicy(table=endless), reward, costs=COSTS), ask(n=None))
    assert [len(pool) for pool in reward.pools] == [result.n]


def test_a_number_that_was_asked_for_is_drawn_at_once(history: History) -> None:
    policy = FakePolicy()
    result = generate(rooms(history, policy, costs=COSTS), ask(n=12))
    assert (policy.controls[0].first_wave, result.plan.waves, result.plan.decisions) == (None, 1, ())


def test_later_waves_keep_to_the_most_candidates_allowed(history: History) -> None:
    alike = FakeReward(judge=lambda text: 0.1)
    budget = Budget(mode="best", max_candidates=9)
    result = generate(rooms(history, FakePolicy(table=endless), alike, costs=COSTS), ask(n=None, budget=budget))
    assert result.n <= 9


def test_a_wave_after_which_no_time_is_left_is_the_last(history: History, clock: FakeClock) -> None:
    policy = FakePolicy(table=endless, clock=clock, step_s=0.011)
    alike = FakeReward(judge=lambda text: 0.1)
    slow = rooms(history, policy, alike, costs=COSTS)
    result = generate(slow, ask(n=None, budget=Budget(mode="best", deadline_s=0.5)))
    assert result.plan.bound_by == "deadline"
    assert {one.finish_reason for one in result.candidates} == {"length"}
    assert clock.now < 0.5


def test_a_user_whose_scores_order_nothing_gets_few_candidates(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    untrusted = replace(POPULATION, rho=0.05, queries=30)
    stub = SimpleNamespace(record=untrusted, weights=FakeReward().stock)
    monkeypatch.setattr(planning, "learned", lambda *_: stub)
    result = generate(rooms(history, costs=COSTS), ask(n=None, budget=Budget(mode="best")))
    assert (result.n, result.plan.bound_by) == (DISTRUSTED_CANDIDATES, "trust")


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


def test_threads_are_those_that_the_profile_found_fastest(history: History) -> None:
    quick = SPEED.scaled(0.5)
    costs = replace(COSTS, measured={1: SPEED, 2: quick}, speeds={1: SPEED, 2: quick})
    policy = FakePolicy()
    for free in (1, 2, 4):
        generate(replace(rooms(history, policy, costs=costs), free_cores=free), ask())
    assert policy.threads == [(1, 1), (2, 2), (2, 2)]


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


def test_examples_that_take_longer_than_they_are_worth_are_left_out(history: History) -> None:
    remember(history)
    budget = Budget(mode="fast", energy="battery")
    result = generate(rooms(history, costs=reading(0.2)), ask(n=None, examples=4, budget=budget))
    assert result.plan.examples < 4
    assert any("reading them takes longer than they are worth" in note for note in result.notes)
    assert generate(rooms(history, costs=reading(1e-6)), ask(n=None, examples=4, budget=budget)).plan.examples == 4


def test_a_replay_has_all_its_examples_however_slow_the_device(history: History) -> None:
    remember(history)
    budget = Budget(mode="fast", energy="battery")
    slow = rooms(history, costs=reading(0.2))
    assert generate(slow, ask(n=4, examples=4, budget=budget, seed=None)).plan.examples < 4
    assert generate(slow, ask(n=4, examples=4, budget=budget, seed=7)).plan.examples == 4
