"""One call at an engine elsewhere: waves, cancels, deadlines, and answers that fail or break off."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from edge_ttp.errors import Cancelled, DeadlineTooShort
from edge_ttp.policy.request import Control, StepReport
from edge_ttp.schema import Candidate, Sampling
from policy.elsewhere.callers import STEADY, policy, request, texts


def test_a_fifth_of_failing_and_breaking_answers_loses_nothing_and_gives_nothing_twice() -> None:
    with policy(n=False, seed=3, patience=STEADY) as (made, engine):
        calm = [made.sample(request(made, n=4, seed=seed), Control()).candidates for seed in range(0, 40, 4)]
        engine.fails = engine.breaks = 0.2
        engine.posts.clear()
        wild = [made.sample(request(made, n=4, seed=seed), Control()).candidates for seed in range(0, 40, 4)]
    assert wild == calm
    assert len(engine.posts) > 40


def test_failures_with_n_ask_again_for_what_is_missing() -> None:
    with policy(seed=1, patience=STEADY) as (made, engine):
        engine.breaks = 0.5
        for seed in range(6):
            drawn = made.sample(request(made, n=4, seed=seed), Control())
            assert len(drawn.candidates) == 4
            assert all(one.finish_reason == "stop" and len(one.text.split()) == 5 for one in drawn.candidates)


def test_a_cancel_closes_the_connection_and_keeps_what_came() -> None:
    with policy(every_s=0.05, words=200) as (made, engine):
        flag, steps = threading.Event(), []

        def hear(step: StepReport) -> None:
            steps.append(step)
            if min(step.tokens) >= 2:
                flag.set()

        drawn = made.sample(request(made, max_tokens=300), Control(cancel=flag, on_step=hear))
        assert [one.finish_reason for one in drawn.candidates] == ["cancelled"] * 3
        assert all(2 <= one.tokens < 60 for one in drawn.candidates)
        for _ in range(100):
            if engine.gone:
                break
            time.sleep(0.05)
        assert engine.gone == 1


def test_a_cancel_before_the_first_word_and_a_deadline_have_their_errors() -> None:
    with policy() as (made, engine):
        engine.every_s = 5
        flag = threading.Event()
        flag.set()
        with pytest.raises(Cancelled):
            made.sample(request(made), Control(cancel=flag))
        with pytest.raises(DeadlineTooShort):
            made.sample(request(made), Control(deadline=time.monotonic() + 0.1))


def test_waves_ask_between_and_seeds_go_on() -> None:
    with policy(n=False) as (made, engine):
        seen: list[int] = []

        def more(candidates: Any) -> int:
            seen.append(len(candidates))
            return 2 if len(seen) == 1 else 0

        drawn = made.sample(request(made, n=8), Control(first_wave=3, more=more))
        assert seen == [3, 5]
        assert drawn.waves == 2
        assert [one.seed for one in drawn.candidates] == [11, 12, 13, 14, 15]
        assert sorted(post["seed"] for post in engine.posts) == [11, 12, 13, 14, 15]


def test_what_is_told_while_it_comes_is_the_text_in_the_end() -> None:
    with policy() as (made, _):
        told: dict[int, str] = {}
        finished: dict[int, Candidate] = {}

        def hear(step: StepReport) -> None:
            finished.update(step.finished)
            for index, text in step.texts.items():
                told[index] = told.get(index, "") + text

        drawn = made.sample(request(made), Control(on_step=hear))
        assert [told[index] for index in range(3)] == texts(drawn.candidates)
        assert [finished[index] for index in range(3)] == list(drawn.candidates)


def test_temperatures_are_taken_in_turn() -> None:
    with policy() as (made, engine):
        made.sample(request(made, n=4, sampling=Sampling(temperatures=(0.3, 0.9))), Control())
        assert sorted((post["temperature"], post["n"]) for post in engine.posts) == [(0.3, 2), (0.9, 2)]
