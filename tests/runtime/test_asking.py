"""What a request may be asked with: turns and OpenAI's messages in our words."""

from __future__ import annotations

from typing import Any

import pytest
from fakes import Models

from edge_ttp.errors import InvalidInput
from edge_ttp.runtime import Runtime

from .requests import answer


def test_openais_messages_are_a_conversation(runtime: Runtime, models: Models) -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "what grows here"},
        {"role": "assistant", "content": [{"type": "text", "text": "birch"}]},
        {"role": "user", "content": "and there"},
    ]
    by_messages = answer(runtime, None, messages=messages)
    by_turns = answer(runtime, "and there", turns=messages[1:3], system="be brief")
    by_pairs = answer(runtime, "and there", turns=[("what grows here", "birch")], system="be brief")
    assert by_messages.candidates == by_turns.candidates == by_pairs.candidates
    assert by_messages.prompt == "and there"
    assert ("assistant", "birch") in models.policy.messages[-1]


@pytest.mark.parametrize(
    "turns",
    [
        "a text",
        [("only one",)],
        [("a", "b", "c")],
        [("a", 3)],
        [{"role": "user"}],
        [{"role": "tool", "content": "x"}],
        [{"role": "user", "content": "no answer"}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
        [{"role": "user", "content": 3}],
        [None],
        {"role": "user", "content": "x"},
    ],
)
def test_turns_of_every_other_shape_are_refused_in_one_line(runtime: Runtime, turns: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        answer(runtime, turns=turns)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("messages", [[], "x", [{"role": "assistant", "content": "x"}], [{"role": "system"}], [3]])
def test_messages_that_are_none_are_refused(runtime: Runtime, messages: Any) -> None:
    with pytest.raises(InvalidInput):
        answer(runtime, None, messages=messages)


def test_messages_take_the_place_of_prompt_turns_and_system(runtime: Runtime) -> None:
    with pytest.raises(InvalidInput, match="give one or the other"):
        answer(runtime, "both", messages=[{"role": "user", "content": "x"}])
