"""The prompt in tokens: chat messages, few-shot text, turns."""

from __future__ import annotations

from fakes import FakePolicy, rooms

from answer.requests import ask, remember
from edge_ttp.answer import generate
from edge_ttp.answer.encoding import encode
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


def test_a_core_stands_first_in_its_order_and_its_tokens_are_counted(history: History) -> None:
    policy = FakePolicy()
    core = [("what", "is"), ("tell", "me")]
    one = encode(policy, "chat", "grows here", [("more", "now")], core=core)
    other = encode(policy, "chat", "what is it", (), core=core)
    assert [text for role, text in one.prompt.messages if role == "assistant"] == ["is", "me", "now"]
    assert one.prompt.examples == 3
    assert 0 < one.core <= len(one.tokens)
    assert one.tokens[: one.core] == other.tokens[: one.core]
    assert encode(policy, "chat", "grows here", [("more", "now")]).core == 0
