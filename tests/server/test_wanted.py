"""Requests of OpenAI's clients, read into one type."""

from __future__ import annotations

from typing import Any

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.server.wanted import chat, completion, response

MODEL = "smollm2"


def messages(*texts: str) -> list[dict[str, Any]]:
    roles = ("user", "assistant")
    return [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]


def test_content_is_a_string_or_parts_of_text() -> None:
    parts = [{"type": "text", "text": "Lunch "}, {"type": "text", "text": "at one?"}]
    plain = chat({"model": MODEL, "messages": messages("Lunch at one?")})
    assert chat({"model": MODEL, "messages": [{"role": "user", "content": parts}]}).messages == plain.messages


def test_me_drafts_as_the_person_and_a_name_is_the_bare_policy() -> None:
    asked = {"messages": messages("hi")}
    assert chat({"model": "me", **asked}).as_person
    assert chat({"model": "me", **asked}).policy is None
    assert chat({"model": "me/gemma", **asked}).policy == "gemma"
    assert not chat({"model": "melba", **asked}).as_person
    assert chat({"model": "gemma", **asked}).policy == "gemma"


def test_the_user_is_named_by_either_field_and_store_may_be_refused() -> None:
    asked = {"model": "me", "messages": messages("hi")}
    assert chat({**asked, "user": "ann"}).user == chat({**asked, "safety_identifier": "ann"}).user == "ann"
    assert chat({**asked, "user": "ann", "safety_identifier": "bob"}).user == "ann"
    assert chat(asked).store is None
    assert chat({**asked, "store": False}).store is False


def test_a_developer_message_is_a_system_message() -> None:
    given = [{"role": "developer", "content": "Be brief."}, *messages("hi")]
    assert chat({"model": MODEL, "messages": given}).messages[0] == ("system", "Be brief.")


def test_sampling_fields_are_kept_as_they_were_set() -> None:
    wanted = chat(
        {
            "model": MODEL,
            "messages": messages("hi"),
            "temperature": 0.2,
            "top_p": 0,
            "stop": "\n",
            "max_tokens": 5,
            "max_completion_tokens": 7,
            "seed": -1,
            "logit_bias": {"12": -100, "13": 5},
            "presence_penalty": 0.5,
        }
    )
    assert wanted.sampling["temperature"] == 0.2
    assert 0 < wanted.sampling["top_p"] < 0.01
    assert wanted.sampling["stop"] == ("\n",)
    assert wanted.sampling["max_tokens"] == 7
    assert wanted.sampling["logit_bias"] == {12: -1000, 13: 5}
    assert wanted.seed is not None
    assert wanted.seed >= 0
    assert "top_k" not in wanted.sampling


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
        ("logprobs", True),
        ("modalities", ["audio"]),
        ("n", 0),
        ("n", 1000),
        ("temperature", 9),
        ("temperature", float("nan")),
        ("stop", ["x"] * 100),
        ("logit_bias", {"the": 1}),
        ("logit_bias", {"9" * 5000: 1}),
        ("logit_bias", {"\u0661": 1}),
        ("response_format", {"type": "json_schema"}),
        ("response_format", {"type": "yaml"}),
        ("messages", []),
        ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
        ("messages", [{"role": "tool", "content": "x"}]),
        ("messages", [{"role": "user", "content": 5}]),
        ("messages", [{"role": "assistant", "content": "hi"}]),
        ("messages", "hi"),
        ("model", ""),
        ("edge_ttp", {"nonsense": 1}),
    ],
)
def test_what_cannot_be_honoured_is_refused_in_one_line(field: str, value: Any) -> None:
    body = {"model": MODEL, "messages": messages("hi"), field: value}
    with pytest.raises(InvalidInput) as refused:
        chat(body)
    assert "\n" not in str(refused.value)
    assert refused.value.cure


def test_fields_without_a_meaning_here_are_named() -> None:
    body = {"model": MODEL, "messages": messages("hi"), "tools": [{}], "tool_choice": "auto", "service_tier": "flex"}
    assert chat(body).ignored == ("service_tier", "tool_choice", "tools")


@pytest.mark.parametrize("body", [None, [], "x", 5, {"model": MODEL}, {"messages": []}])
def test_a_body_that_is_no_request_is_refused(body: Any) -> None:
    for read in (chat, completion, response):
        with pytest.raises(InvalidInput):
            read(body)


def test_a_completion_continues_one_text() -> None:
    wanted = completion({"model": MODEL, "prompt": ["Once"], "best_of": 4, "n": 2})
    assert (wanted.plain, wanted.messages, wanted.n, wanted.best_of) == (True, (("user", "Once"),), 2, 4)
    for prompt in ([1, 2], ["a", "b"], 5):
        with pytest.raises(InvalidInput):
            completion({"model": MODEL, "prompt": prompt})
    with pytest.raises(InvalidInput):
        completion({"model": MODEL, "prompt": "a", "n": 3, "best_of": 2})


def test_a_response_takes_texts_and_messages_and_a_format() -> None:
    schema = {"type": "object"}
    wanted = response(
        {
            "model": MODEL,
            "instructions": "Be brief.",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            "max_output_tokens": 9,
            "text": {"format": {"type": "json_schema", "name": "x", "schema": schema}},
        }
    )
    assert wanted.messages == (("system", "Be brief."), ("user", "hi"))
    assert wanted.sampling == {"max_tokens": 9, "json_schema": schema}
    with pytest.raises(InvalidInput):
        response({"model": MODEL, "input": "hi", "previous_response_id": "resp_1"})
    with pytest.raises(InvalidInput):
        response({"model": MODEL, "input": [{"type": "function_call_output", "output": "x"}]})
