"""A conversation keeps its turns and its examples; what is sent goes on, and is learned under what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import Models
from fakes.command import model_paths

from edge_ttp.errors import InvalidInput
from edge_ttp.runtime import Runtime
from edge_ttp.runtime.conversation import KEPT_TURNS, Conversation
from edge_ttp.schema import HistoryItem, Sampling

SHORT = Sampling(max_tokens=8)


@pytest.fixture
def runtime(models: Models, tmp_path: Path) -> Iterator[Runtime]:
    with Runtime.open(**model_paths(tmp_path), user="ann") as opened:
        yield opened


def test_turns_are_carried_and_examples_stay(runtime: Runtime, models: Models) -> None:
    for index in range(4):
        runtime.history.add(HistoryItem(user_id="ann", input=f"what grows here {index}", output=f"birch {index}"))
    with runtime.conversation(n=2, sampling=SHORT, seed=1) as conversation:
        first = conversation.generate("what grows here")
        shown = models.policy.messages[-1]
        second = conversation.generate("and there")
        assert conversation.turns == [("what grows here", first.text), ("and there", second.text)]
        assert models.policy.messages[-1][: len(shown)] == shown
        events = list(conversation.stream("and then"))
        assert conversation.turns[-1] == ("and then", events[-1].text)
        for index in range(KEPT_TURNS + 2):
            conversation.generate(f"line {index}")
        assert not any(text == "what grows here" for _, text in models.policy.messages[-1])
    names = {one.conversation for one in runtime.generations()}
    assert names == {conversation.name}


def test_what_is_sent_goes_on_and_is_learned(runtime: Runtime, models: Models) -> None:
    conversation = Conversation(runtime, n=1, sampling=SHORT, turns=[("hello", "hi")], system="Be kind.")
    with pytest.raises(InvalidInput, match="ask first"):
        conversation.sent()
    conversation.generate("what grows here")
    conversation.sent("roses, mostly")
    assert conversation.turns == [("hello", "hi"), ("what grows here", "roses, mostly")]
    (item,) = runtime.history.items("ann")
    assert (item.input, item.output) == ("what grows here", "roses, mostly")
    assert item.metadata["conversation"] == conversation.name
    made = conversation.generate("and there")
    conversation.sent()
    assert runtime.history.items("ann")[0].output == made.text


def test_a_conversation_that_begins_anew_forgets_what_was_said_but_not_whom_it_judges(
    runtime: Runtime, models: Models
) -> None:
    conversation = runtime.conversation(n=1, sampling=SHORT)
    made = conversation.generate("what grows here")
    name = conversation.name
    conversation.begin_anew()
    conversation.sent("roses")
    assert conversation.turns == []
    assert [one.generation_id for one in runtime.history.feedback_for("ann")] == [made.generation_id]
    said: list[str] = []
    conversation.generate("and there", on_text=said.append)
    assert [text for role, text in models.policy.messages[-1] if role == "user"][-1:] == ["and there"]
    assert "what grows here" not in [text for _, text in models.policy.messages[-1]][-2:]
    assert conversation.name != name
    assert "".join(said) == conversation.turns[0][1]


def test_an_accepted_text_is_kept_under_what_is_to_be_remembered(runtime: Runtime) -> None:
    calendar = "\n".join(f"{hour}:00 meeting {hour}" for hour in range(8, 20))
    made = runtime.generate(f"{calendar}\nWhen am I free?", remember="When am I free?", n=2, seed=1, sampling=SHORT)
    assert runtime.history.generation(made.generation_id).remember == "When am I free?"
    runtime.feedback(made.generation_id, "accept")
    (item,) = runtime.history.items("ann")
    assert item.input == "When am I free?"
    again = runtime.generate("When am I free?", context=[calendar] * 3, n=2, sampling=SHORT)
    assert again.plan.examples == 1
    assert runtime.history.generation(again.generation_id).prompt == "When am I free?"
