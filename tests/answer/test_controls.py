"""How candidates are drawn: from the caller's sampling to the engine's request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakePolicy, rooms

from answer.requests import ask, remember
from edge_ttp.answer import controls, generate
from edge_ttp.answer.controls import STRUCTURED_TOKENS
from edge_ttp.errors import InvalidInput
from edge_ttp.history import History
from edge_ttp.schema import LoraAdapter, Sampling


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


@pytest.mark.parametrize(
    ("given", "own", "drawn_at"),
    [
        (Sampling(), (), (0.8, ())),
        (Sampling(), (0.5,), (0.5, ())),
        (Sampling(), (0.3, 0.9), (0.8, (0.3, 0.9))),
        (Sampling(temperature=0.8), (0.5,), (0.8, ())),
        (Sampling(temperatures=(1.0, 1.2)), (0.5,), (0.8, (1.0, 1.2))),
    ],
)
def test_a_policys_own_temperatures_hold_where_the_caller_names_none(
    history: History, given: Sampling, own: tuple[float, ...], drawn_at: tuple[float, tuple[float, ...]]
) -> None:
    policy = FakePolicy()
    result = generate(replace(rooms(history, policy), temperatures=own), ask(sampling=given))
    assert (policy.requests[0].sampling.temperature, policy.requests[0].sampling.temperatures) == drawn_at
    assert (result.sampling.temperature, result.sampling.temperatures) == drawn_at


@pytest.mark.parametrize("grammar", ['root ::= "a"{5,2}', "root ::= " + '"a"? ' * 2000, "root ::= x", 'x ::= "a"'])
def test_a_grammar_that_is_not_valid_is_refused_before_a_model_is_loaded(grammar: str) -> None:
    with pytest.raises(InvalidInput):
        controls.check(Sampling(grammar=grammar))
