"""The prompt in tokens: chat messages, few-shot text, turns."""

from __future__ import annotations

from fakes import FakePolicy, rooms

from answer.requests import ask, remember
from edge_ttp.answer import generate
from edge_ttp.history import History


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
