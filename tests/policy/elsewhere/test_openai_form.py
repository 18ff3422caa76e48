"""What is asked of an engine, and how its lines are read, whatever they hold."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.elsewhere.openai_form import Abilities, NotOpenAI, body, data_of, error_text, refuse_unsent, said
from edge_ttp.policy.elsewhere.spelling import spelled, turns
from edge_ttp.policy.request import Request
from edge_ttp.schema import LoraAdapter, Sampling


def asked(sampling: Sampling | None = None, able: Abilities | None = None, n: int = 2) -> dict[str, Any]:
    sampling = sampling or Sampling()
    request = Request(prompt=turns([("user", "hi")]), n=n, sampling=sampling, seed=3, max_tokens=9, stop=("\n",))
    return body(request, "m", able or Abilities(), n=n, seed=3, temperature=0.5)


def line(**choice: Any) -> bytes:
    return json.dumps({"choices": [{"index": 0, **choice}]}).encode()


def test_everything_that_was_asked_for_is_sent() -> None:
    told = asked(Sampling(top_k=7, top_p=0.9, min_p=0.1, presence_penalty=0.2, repetition_penalty=1.1))
    assert told["messages"] == [{"role": "user", "content": "hi"}]
    assert (told["n"], told["seed"], told["max_tokens"], told["temperature"]) == (2, 3, 9, 0.5)
    assert (told["top_k"], told["top_p"], told["min_p"], told["presence_penalty"]) == (7, 0.9, 0.1, 0.2)
    assert told["repetition_penalty"] == told["repeat_penalty"] == 1.1
    assert told["stop"] == ["\n"]
    assert told["logprobs"] is True


def test_plain_text_is_sent_as_a_prompt() -> None:
    request = Request(prompt=spelled("once upon"), n=1, sampling=Sampling(), seed=1, max_tokens=4)
    told = body(request, "m", Abilities(), n=1, seed=1, temperature=1.0)
    assert (told["prompt"], told["logprobs"]) == ("once upon", 1)
    assert "messages" not in told
    assert "n" not in told


def test_a_schema_is_sent_in_openais_words() -> None:
    told = asked(Sampling(json_schema={"type": "object"}))
    assert told["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_an_engine_without_extras_gets_none_and_refuses_what_needs_them() -> None:
    assert "top_k" not in asked(able=Abilities(extras=False))
    with pytest.raises(InvalidInput, match="repetition penalty"):
        asked(Sampling(repetition_penalty=1.2), Abilities(extras=False))


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(grammar='root ::= "a"'),
        Sampling(adapters=(LoraAdapter(path="a.gguf"),)),
        Sampling(logit_bias={3: 1.0}),
        Sampling(typical_p=0.5),
    ],
)
def test_what_the_protocol_has_no_word_for_is_refused(sampling: Sampling) -> None:
    with pytest.raises(InvalidInput):
        refuse_unsent(Request(prompt=(1,), n=1, sampling=sampling, seed=1, max_tokens=1))


@pytest.mark.parametrize(
    ("data", "text", "tokens", "logprob", "finish"),
    [
        (line(delta={"content": "hi"}), "hi", None, None, None),
        (line(delta={"role": "assistant", "content": None}), "", None, None, None),
        (line(text="ho", finish_reason="length"), "ho", None, None, "length"),
        (line(message={"content": "all"}, finish_reason="eos"), "all", None, None, "stop"),
        (line(delta={"content": "a"}, logprobs={"content": [{"logprob": -0.5}, {"logprob": -1}]}), "a", 2, -1.5, None),
        (line(text="a", logprobs={"token_logprobs": [-0.25]}), "a", 1, -0.25, None),
        (line(text="a", logprobs={"token_logprobs": [0.00001]}), "a", 1, 0.0, None),
        (line(text="a", logprobs={"token_logprobs": [3.0]}), "a", 1, None, None),
        (line(text="a", logprobs={"token_logprobs": [None]}), "a", 1, None, None),
        (line(text="a", logprobs={"token_logprobs": "x"}), "a", None, None, None),
        (line(text=5, delta=7), "", None, None, None),
        (b'{"choices": [{"index": 0, "text": "\\ud800x"}]}', "?x", None, None, None),
    ],
)
def test_lines_are_read(data: bytes, text: str, tokens: int | None, logprob: float | None, finish: str | None) -> None:
    (piece,) = said(data).pieces
    assert (piece.text, piece.tokens, piece.logprob, piece.finish) == (text, tokens, logprob, finish)


@pytest.mark.parametrize(
    "data",
    [
        b"no json",
        b"[]",
        b"{}",
        b'{"choices": 3}',
        b'{"choices": [3]}',
        b'{"choices": [{"index": -1}]}',
        b'{"choices": [{"index": 1e9}]}',
        b'{"error": {"message": "out of memory"}}',
        b"[" * 100_000,
        json.dumps({"choices": [{"text": "x" * 300_000}]}).encode(),
    ],
)
def test_what_is_no_line_is_named(data: bytes) -> None:
    with pytest.raises(NotOpenAI):
        said(data)


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["choices", "index", "delta", "content", "text", "logprobs", "usage", "prompt_tokens"]),
                inner,
            )
        ),
    )
)
def test_no_object_breaks_the_reader(value: Any) -> None:
    with contextlib.suppress(NotOpenAI):
        said(json.dumps(value).encode())


def test_comments_carry_nothing_and_errors_are_one_short_line() -> None:
    assert data_of(b": ping") is None
    assert data_of(b"data: x") == b"x"
    assert error_text(b'{"error": {"message": "a\\n\\u001b[31mb"}}') == "a [31mb"
    assert error_text(b'{"detail": "no"}') == "no"
    assert len(error_text(b"x" * 10_000)) == 200
