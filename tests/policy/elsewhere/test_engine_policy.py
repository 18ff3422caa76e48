"""A policy behind an address: what it draws, how it is ended, and what it makes of an engine that fails."""

from __future__ import annotations

import pytest
from fakes.engine import FakeEngine, running

from edge_ttp.errors import Cancelled, InvalidInput, ModelUnavailable, NotFound, OutOfCapacity
from edge_ttp.policy.elsewhere.address import EngineAddress
from edge_ttp.policy.elsewhere.engine_policy import EnginePolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import Sampling
from policy.elsewhere.callers import QUICK, policy, request, texts


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
