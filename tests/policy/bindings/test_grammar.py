"""Grammars bind every candidate; those that are not valid are refused in one line, whatever they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.bindings.grammar import Grammar
from edge_ttp.policy.engine import Engine
from edge_ttp.policy.gbnf import MAX_BYTES, MAX_DEPTH
from edge_ttp.policy.json_grammar import schema_to_grammar
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import Sampling
from policy.calls import APART, OPEN, PROMPT, restless, said, sample
from policy.table import TableDecoder
from policy.tiny import WORDS, language_model

FREE = Control()
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}},
        "required": ["n", "ok"],
        "additionalProperties": False,
    }
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaPolicy]:
    policy = LlamaPolicy(language_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf"), threads=1)
    yield policy
    policy.close()


def request(grammar: str | None, **options: object) -> Request:
    plain = {"n": 12, "sampling": Sampling(), "seed": 1, "max_tokens": 40, "grammar": grammar}
    return Request(tuple(range(3, 40)), **{**plain, **options})  # type: ignore[arg-type]


# In the engine


def test_every_candidate_keeps_to_the_grammar_along_its_own_path() -> None:
    decoder = TableDecoder(restless, ends=[0])
    grammar = "1234|567|0"
    asked = Request(PROMPT, n=20, sampling=OPEN, seed=1, max_tokens=9, grammar=grammar)
    sampled = sample(decoder, asked)
    assert {one.finish_reason for one in sampled.candidates} == {"stop"}
    assert all(re.fullmatch("[1234] [567]", one.text) for one in sampled.candidates)
    assert len({one.text for one in sampled.candidates}) > 4
    assert decoder.states == 0
    apart = sample(TableDecoder(restless, ends=[0]), replace(asked, sampling=APART), width=3)
    assert said(apart) == said(sampled)


def test_grammar_states_are_freed_after_a_fault() -> None:
    decoder = TableDecoder(restless, ends=[0])
    asked = Request(PROMPT, n=4, sampling=OPEN, seed=1, max_tokens=9, grammar="12|12|8")
    with pytest.raises(InvalidInput, match="no token that can follow"):
        Engine(decoder).sample(asked, FREE, width=4)  # the table has no token 8
    assert decoder.states == 0
    with pytest.raises(InvalidInput, match="grammar is empty"):
        Engine(decoder).sample(Request(PROMPT, n=4, sampling=OPEN, seed=1, max_tokens=9, grammar=""), FREE, width=4)
    assert decoder.states == 0


# llama.cpp's grammars


@pytest.mark.parametrize(
    ("grammar", "pattern"),
    [
        ('root ::= [0-9]{3} "-" [a-c]+ "."', r"\d{3}-[abc]+\."),
        ('root ::= "yes" | "no"', "yes|no"),
        ('root ::= "a" "b"? [x-zäöü] "é"', r"ab?[x-zäöü]é"),
        ('root ::= word (" " word){2}\nword ::= [a-z]{1,3}', r"[a-z]{1,3}( [a-z]{1,3}){2}"),
    ],
)
def test_what_is_drawn_matches(policy: LlamaPolicy, grammar: str, pattern: str) -> None:
    sampled = policy.sample(request(grammar), FREE)
    finished = [one for one in sampled.candidates if one.finish_reason == "stop"]
    assert len(finished) > 6
    for one in finished:
        assert re.fullmatch(pattern, one.text), one.text


def test_sharing_and_the_rest_of_the_batch_do_not_matter(policy: LlamaPolicy) -> None:
    grammar = "root ::= [a-d]+ [0-9] [0-9]"
    shared = policy.sample(request(grammar, n=16), FREE)
    apart = policy.sample(request(grammar, n=16, sampling=Sampling(share_prefixes=False)), FREE)
    assert shared.token_ids == apart.token_ids
    assert shared.rows < apart.rows


def test_the_random_models_json_fits_the_schema(policy: LlamaPolicy) -> None:
    grammar = schema_to_grammar(SCHEMA)
    sampled = policy.sample(request(grammar, max_tokens=60), FREE)
    parsed = [json.loads(one.text) for one in sampled.candidates if one.finish_reason == "stop"]
    assert len(parsed) >= 3
    for one in parsed:
        assert set(one) == {"n", "ok"}
        assert isinstance(one["ok"], bool)
        assert isinstance(one["n"], int)


def test_a_state_tells_what_may_follow(policy: LlamaPolicy) -> None:
    grammar = Grammar(policy._model, 'root ::= "ab" | "a" "c"')
    letters = {letter: WORDS.index(letter) for letter in ("a", "b", "c", "ab")}
    every = np.arange(len(WORDS))
    assert set(every[grammar.allowed(every)].tolist()) == {letters["a"], letters["ab"], WORDS.index("<0x61>")}
    grammar.accept(letters["a"])
    other = grammar.copy()
    other.accept(letters["c"])
    assert {letters["b"], letters["c"]} <= set(every[grammar.allowed(every)].tolist())
    assert set(every[other.allowed(every)].tolist()) == {2, len(WORDS) - 1}  # tokens that end
    grammar.close()
    grammar.close()
    assert other.allowed(np.array([2])).tolist() == [True]
    other.close()


@pytest.mark.parametrize(
    ("grammar", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ('root ::= "a\0"', "NUL"),
        ('root ::= "a', "unexpected end of input"),
        ("root ::= foo", "Undefined rule identifier 'foo'"),
        ('other ::= "a"', "'root'"),
        ('root ::= root "a" | "b"', "left recursion"),
        ('root ::= "a"{100000}', "repetitions"),
        ("root ::= " + "(" * 60_000 + '"a"' + ")" * 60_000, "deep"),
        ('root ::= "' + "a" * MAX_BYTES + '"', "too long"),
        ('root ::= "\ud800"', "no Unicode"),
        ("{}", "grammar is not valid"),
        ('%llguidance {"no_forcing": true}\nstart: %json {"type": "null"}\n', "grammar is not valid"),
    ],
)
def test_a_grammar_that_is_not_valid_is_refused_in_one_line(
    policy: LlamaPolicy, capfd: pytest.CaptureFixture[str], grammar: str, reason: str
) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        policy.sample(request(grammar), FREE)
    assert "\n" not in str(caught.value)
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""
    assert len(policy.sample(request(None, n=2, max_tokens=2), FREE).candidates) == 2


def test_parentheses_in_quotes_and_classes_do_not_nest(policy: LlamaPolicy) -> None:
    many = "(" * (MAX_DEPTH + 50)
    sampled = policy.sample(request(f'root ::= "{many}" | [("\\]] # {many}', max_tokens=2), FREE)
    assert len(sampled.candidates) == 12


@settings(max_examples=150)
@given(st.text(st.sampled_from('root:=|()[]"\\{}0123456789,*+?.- \n#ab^<>!é'), max_size=60))
def test_no_text_as_a_grammar_ends_the_process(policy: LlamaPolicy, text: str) -> None:
    for grammar in (text, "root ::= " + text):
        try:
            state = Grammar(policy._model, grammar)
        except InvalidInput:
            continue
        assert state.allowed(np.arange(len(WORDS))).shape == (len(WORDS),)
        state.close()


# JSON schemas


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("", "cannot be turned"),
        ("nonsense", "cannot be turned"),
        ("[" * 5000, "cannot be turned"),
        ('{"$ref": "https://example.org/schema.json"}', "refers to 'https://example.org"),
        ('{"properties": {"a": {"items": [{"$ref": "other.json#/a"}]}}}', "refers to 'other.json"),
        ('{"$ref": "#/nowhere"}', "cannot be turned"),
        ('{"type": "unheard-of"}', "cannot be turned"),
        ('{"a":' * (MAX_DEPTH + 2) + "1" + "}" * (MAX_DEPTH + 2), "nested more than"),
        (json.dumps({"enum": ["x" * MAX_BYTES]}), "too long"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        schema_to_grammar(schema)


@pytest.mark.real
def test_the_default_policy_writes_json_that_fits_a_schema(policy_path: Path) -> None:
    policy = LlamaPolicy(policy_path, threads=1)
    prompt = policy.encode_chat([("user", "Tell me about the weather in one sentence.")])  # no word of JSON
    assert prompt is not None
    grammar = schema_to_grammar(SCHEMA)
    sampled = policy.sample(Request(prompt, n=8, sampling=Sampling(), seed=1, max_tokens=40, grammar=grammar), FREE)
    for one in sampled.candidates:
        assert one.finish_reason == "stop"
        assert set(json.loads(one.text)) == {"n", "ok"}
    policy.close()
