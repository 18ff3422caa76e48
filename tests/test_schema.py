"""What crosses the border: defaults, ranges, what the sampling fields mean together, and that it survives JSON."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.schema import (
    DEFAULT_RULE,
    MAX_CANDIDATES,
    REWRITE_RULE,
    Budget,
    Candidate,
    FactCheck,
    Generation,
    HistoryItem,
    LoraAdapter,
    Plan,
    Rule,
    Sampling,
    Selection,
    Timings,
    Usage,
    utc_now,
)

GENERATION = Generation(
    text="two",
    generation_id="abc",
    user="ann",
    prompt="say",
    model="tiny",
    n=2,
    chosen=1,
    candidates=(
        Candidate(text="one", tokens=1, logprob=-1.0),
        Candidate(text="two", tokens=1, logprob=-2.0, finish_reason="length", mean=0.5, variance=0.1),
    ),
    selection=Selection(rule="lcb", reason="best"),
    plan=Plan(n=2, bound_by="requested", max_tokens=8, examples=0),
    timings=Timings(),
    usage=Usage(prompt_tokens=3, completion_tokens=2),
    seed=7,
    sampling=Sampling(logit_bias={12: 1.5, " the": -2.0}, adapters=(LoraAdapter(path="a.gguf"),)),
)


def test_a_generation_ended_as_its_chosen_candidate_did() -> None:
    assert GENERATION.finish_reason == "length"


def test_a_generation_survives_json() -> None:
    again = Generation.model_validate_json(GENERATION.model_dump_json())
    assert again == GENERATION
    assert again.sampling.logit_bias == {12: 1.5, " the": -2.0}


def test_token_ids_in_digits_are_ids_and_texts_are_texts() -> None:
    assert Sampling(logit_bias={"13": 1.0, "1 3": 2.0, "": 3.0, 5: 4.0}).logit_bias == {
        13: 1.0,
        "1 3": 2.0,
        "": 3.0,
        5: 4.0,
    }


def test_every_request_has_a_bias_of_its_own() -> None:
    assert Sampling().logit_bias is not Sampling().logit_bias


@pytest.mark.parametrize(
    ("fields", "greedy"),
    [
        ({}, False),
        ({"temperature": 0}, True),
        ({"temperature": 0, "temperatures": (0, 0.5)}, False),
        ({"temperature": 1, "temperatures": (0, 0)}, True),
    ],
)
def test_temperatures_in_turn_decide_what_is_greedy(fields: dict[str, Any], greedy: bool) -> None:
    assert Sampling(**fields).greedy is greedy


@pytest.mark.parametrize("name", ["repetition_penalty", "presence_penalty", "frequency_penalty"])
def test_any_penalty_makes_what_was_drawn_count(name: str) -> None:
    assert not Sampling(penalty_window=3).penalizes
    assert Sampling(**{name: 0.5}).penalizes


def test_a_grammar_or_a_schema_says_where_a_text_is_complete() -> None:
    assert not Sampling().structured
    assert Sampling(grammar="root ::= [a-z]").structured
    assert Sampling(json_schema={}).structured


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Budget, {"deadline_s": 0}),
        (Budget, {"max_candidates": MAX_CANDIDATES + 1}),
        (Budget, {"mode": "slow"}),
        (Sampling, {"top_p": 0}),
        (Sampling, {"temperature": float("nan")}),
        (Sampling, {"max_tokens": 0}),
        (Sampling, {"temperatures": (1.0,) * (MAX_CANDIDATES + 1)}),
        (Sampling, {"logit_bias": {1: 1001}}),
        (LoraAdapter, {"path": ""}),
    ],
)
def test_values_out_of_range_are_refused_by_name(kind: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(fields))):
        kind(**fields)


def test_nothing_that_crossed_the_border_changes() -> None:
    with pytest.raises(ValueError, match="frozen"):
        GENERATION.text = "other"  # type: ignore[misc]


def test_moments_are_what_the_database_keeps() -> None:
    now = utc_now()
    assert now.tzinfo is not None
    assert now.microsecond % 1000 == 0
    assert HistoryItem(user_id="ann", input="", output="").created_at >= now


def test_a_fact_check_is_sound_where_nothing_is_lost_or_added() -> None:
    assert FactCheck().sound
    assert not FactCheck(missing=("3 pm",)).sound
    assert not FactCheck(added=("4 pm",)).sound


def test_the_rules_that_are_taken_by_default_are_rules() -> None:
    assert {DEFAULT_RULE, REWRITE_RULE} <= set(get_args(Rule))


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": -1},
        {"top_p": 1.5},
        {"min_p": -0.1},
        {"temperature": math.nan},
        {"temperature": -1.0},
        {"typical_p": 2.0},
        {"repetition_penalty": 0.0},
        {"presence_penalty": math.inf},
        {"penalty_window": -1},
        {"temperatures": (1.0, -1.0)},
        {"logit_bias": {1: math.inf}},
        {"logit_bias": {1: math.nan}},
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Sampling(**options)
