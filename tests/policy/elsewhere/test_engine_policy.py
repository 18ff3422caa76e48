"""A policy behind an address: what it draws, how it is ended, and what it makes of an engine that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from fakes.engine import FakeEngine, running

from edge_ttp.errors import Cancelled, DeadlineTooShort, InvalidInput, ModelUnavailable, NotFound, OutOfCapacity
from edge_ttp.policy.elsewhere.address import EngineAddress
from edge_ttp.policy.elsewhere.engine_policy import EnginePolicy
from edge_ttp.policy.elsewhere.persistence import Persistence
from edge_ttp.policy.request import Control, Request, StepReport
from edge_ttp.schema import Candidate, Sampling

QUICK = Persistence(connect_s=2, silence_s=20, gone_s=0.2, first_wait_s=0.01, longest_wait_s=0.05)
STEADY = replace(QUICK, gone_s=120)
"""Does not give up where chance alone decides, however busy the machine is."""


@contextmanager
def policy(
    model: str | None = None, *, patience: Persistence = QUICK, **manners: Any
) -> Iterator[tuple[EnginePolicy, FakeEngine]]:
    with running(FakeEngine(**manners)) as engine:
        made = EnginePolicy(EngineAddress.of(engine.url), model, patience=patience)
        engine.posts.clear()
        try:
            yield made, engine
        finally:
            made.close()


def request(made: EnginePolicy, n: int = 3, **given: Any) -> Request:
    tokens = made.encode_chat([("user", "how is it there")])
    assert tokens is not None
    asked = {"sampling": Sampling(), "seed": 11, "max_tokens": 8, **given}
    return Request(prompt=tokens, n=n, **asked)


def texts(candidates: Any) -> list[str]:
    return [one.text for one in candidates]


def test_candidates_come_whole_in_one_request_where_the_engine_has_n() -> None:
    with policy() as (made, engine):
        drawn = made.sample(request(made), Control())
        assert len(engine.posts) == 1
        assert texts(drawn.candidates) == [" ".join("".join(engine.text(engine.posts[0], i)).split()) for i in range(3)]
        assert [one.tokens for one in drawn.candidates] == [5, 5, 5]
        assert [one.logprob for one in drawn.candidates] == [-2.5] * 3
        assert [one.seed for one in drawn.candidates] == [11, 12, 13]
        assert drawn.prompt_tokens == 9
        assert made.text(drawn.token_ids[0]).strip() == drawn.candidates[0].text


def test_an_engine_without_n_is_asked_in_parallel_with_a_seed_each() -> None:
    with policy(n=False) as (made, engine):
        drawn = made.sample(request(made), Control())
        assert sorted(post["seed"] for post in engine.posts) == [11, 12, 13]
        assert all("n" not in post for post in engine.posts)
        assert len(set(texts(drawn.candidates))) == 3


def test_an_engine_that_refuses_n_is_asked_without() -> None:
    with policy(refuse=("n",)) as (made, engine):
        assert len(made.sample(request(made), Control()).candidates) == 3
        assert len(engine.posts) == 3


def test_log_probabilities_that_are_not_said_are_known_to_be_missing() -> None:
    with policy(logprobs=False) as (made, _):
        assert not made.gives_logprobs
        drawn = made.sample(request(made), Control())
        assert [one.logprob for one in drawn.candidates] == [0.0] * 3
        assert [one.tokens for one in drawn.candidates] == [5, 5, 5]


def test_an_engine_without_extras_is_asked_without() -> None:
    with policy(refuse=("top_k",)) as (made, engine):
        made.sample(request(made), Control())
        assert "top_k" not in engine.posts[0]


def test_an_answer_in_one_piece_is_taken() -> None:
    with policy(streams=False) as (made, _):
        drawn = made.sample(request(made), Control())
        assert all(one.text and one.finish_reason == "stop" for one in drawn.candidates)


def test_an_engine_of_plain_text_is_asked_in_plain_text() -> None:
    with policy(chat=False) as (made, engine):
        assert made.encode_chat([("user", "hi")]) is None
        asked = Request(prompt=made.encode_text("Input: hi\nOutput:"), n=2, sampling=Sampling(), seed=1, max_tokens=4)
        drawn = made.sample(asked, Control())
        assert engine.posts[0]["prompt"] == "Input: hi\nOutput:"
        assert [one.finish_reason for one in drawn.candidates] == ["length", "length"]


def test_stop_texts_end_an_answer_whatever_the_engine_makes_of_them() -> None:
    with policy(words=12) as (made, _):
        asked = request(made, n=1, max_tokens=40)
        whole = made.sample(asked, Control()).candidates[0].text
        word = whole.split()[3]
        cut = made.sample(request(made, n=1, max_tokens=40, stop=(f" {word}",)), Control()).candidates[0]
        assert cut.text == whole.split(f" {word}")[0]
        assert cut.finish_reason == "stop"


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


def test_an_engine_that_dies_is_named_with_the_cure() -> None:
    with policy() as (made, engine):
        engine.dead = True
        with pytest.raises(ModelUnavailable, match=r"does not answer.*; start it"):
            made.sample(request(made), Control())
        engine.dead = False
        assert len(made.sample(request(made), Control()).candidates) == 3


def test_no_engine_is_named_with_the_cure() -> None:
    with running(FakeEngine()) as engine:
        url = engine.url
    with pytest.raises(ModelUnavailable, match="check --policy-url"):
        EnginePolicy(EngineAddress.of(url), patience=QUICK)


def test_a_model_that_is_not_served_is_named() -> None:
    with running(FakeEngine()) as engine, pytest.raises(NotFound, match="choose one of: fake"):
        EnginePolicy(EngineAddress.of(engine.url), "other", patience=QUICK)


def test_a_key_is_sent_and_its_lack_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(FakeEngine(key="k")) as engine, pytest.raises(Exception, match="EDGE_TTP_POLICY_KEY"):
        EnginePolicy(EngineAddress.of(engine.url), patience=QUICK)
    monkeypatch.setenv("EDGE_TTP_POLICY_KEY", "k")
    with policy(key="k") as (made, _):
        assert len(made.sample(request(made), Control()).candidates) == 3


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


def test_an_engine_that_breaks_off_is_asked_less_at_once() -> None:
    with policy(n=False, every_s=0.01) as (made, engine):
        made.sample(request(made, n=12), Control())
        assert engine.at_once > 1
        engine.breaks, engine.at_once = 1.0, 0
        with pytest.raises(ModelUnavailable):
            made.sample(request(made, n=4), Control())
        engine.breaks, engine.at_once = 0.0, 0
        assert len(made.sample(request(made, n=6), Control()).candidates) == 6
        assert engine.at_once == 1


def test_what_cannot_be_asked_is_refused_before_anything_is_sent() -> None:
    with policy() as (made, engine):
        with pytest.raises(InvalidInput, match="GBNF"):
            made.sample(request(made, sampling=Sampling(grammar='root ::= "a"')), Control())
        with pytest.raises(OutOfCapacity, match="context of 2048"):
            made.width(2000, 100, 1)
        begun = request(made)
        with pytest.raises(OutOfCapacity, match="begun"):
            made.sample(Request(begun.prompt + made.tokens("and"), 1, Sampling(), 1, 4), Control())
        assert engine.posts == []


def test_a_closed_policy_ends_its_calls_and_refuses_more() -> None:
    with policy(every_s=0.2, words=100) as (made, _):
        job = made.begin(request(made, max_tokens=100), Control())
        made.close()
        with pytest.raises(Cancelled):
            job.drive()
        with pytest.raises(ModelUnavailable, match="closed"):
            made.begin(request(made), Control())
