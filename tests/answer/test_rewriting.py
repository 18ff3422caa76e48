"""Rewriting with invented models: examples, facts, masks, parts, events, feedback."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes import FakePolicy, FakeReward, rooms

from answer.drafts import DRAFTS
from answer.requests import ask, remember
from edge_ttp.answer import generate
from edge_ttp.answer.rewriting import FREELY, described
from edge_ttp.errors import InvalidInput
from edge_ttp.history import History
from edge_ttp.policy.json_grammar import MadeGrammar
from edge_ttp.policy.request import Request
from edge_ttp.schema import Event, HistoryItem, Keep, Rewrite, Sampling


def speaking(*words: str) -> FakePolicy:
    """A policy that says one of `words` and ends."""

    def table(prefix: tuple[int, ...]) -> np.ndarray:  # type: ignore[type-arg]
        logits = np.zeros(len(words) + 1)
        logits[0] = -50.0
        if prefix and prefix[-1] <= len(words):
            logits[:] = -50.0
            logits[0] = 0.0
        return logits

    return FakePolicy(words=("", *words), table=table)


def rewriting(text: str, keep: Keep = "loose", **fields: object):  # type: ignore[no-untyped-def]
    return ask(text, rewrite=Rewrite(keep=keep, notes=True), sampling=Sampling(), **fields)


def test_a_version_that_keeps_the_facts_is_chosen_over_a_better_one_that_does_not(history: History) -> None:
    reward = FakeReward(judge=lambda text: 0.9 if "Peter" in text else 0.1)
    made = generate(rooms(history, speaking("Peter", "Anna"), reward), rewriting("we meet Anna", n=12))
    assert made.text == "Anna"
    assert {one.text for one in made.candidates} == {"Anna", "Peter", "we meet Anna"}
    assert [one.made for one in made.candidates] == ["drawn"] * 12 + ["edited"]
    assert any("were marked down" in note for note in made.notes)
    rewritten = described(history, made)
    assert rewritten.kept.sound
    assert {check.missing for check in rewritten.facts} == {(), ("Anna",)}
    assert "".join(one.text for one in rewritten.changes if one.op != "added") == "we meet Anna"


def test_where_no_version_that_was_drawn_keeps_them_the_edited_one_is_taken(history: History) -> None:
    for word in ("boats", "lifts", "lamps", "roads"):
        history.add(HistoryItem(user_id="ann", input="x", output=f"I'm fond of {word}!", kind="chat"))
    made = generate(rooms(history, speaking("see Peter", "fern")), rewriting("i am with Anna at 5", n=12))
    assert made.text == "I'm with Anna at 5!"
    assert made.candidates[made.chosen].made == "edited"
    assert "edited by rule" in made.selection.reason
    assert "no version that was drawn keeps every fact: the text was edited by rule alone" in made.notes
    assert described(history, made).kept.sound


def test_a_text_said_as_it_was_given_is_marked_down_where_an_edit_differs(history: History) -> None:
    for word in ("boats", "lifts", "lamps", "roads"):
        history.add(HistoryItem(user_id="ann", input="x", output=f"I'm fond of {word}!", kind="chat"))
    made = generate(rooms(history, speaking("i am with Anna")), rewriting("i am with Anna", n=4))
    assert made.text == "I'm with Anna!"
    assert {one.remark for one in made.candidates[:-1]} == {"says it as it was given"}


def test_a_single_version_is_the_drawn_one_and_what_it_loses_is_said(history: History) -> None:
    made = generate(rooms(history, speaking("fern")), rewriting("we meet Anna at 5", n=1))
    assert made.text == "fern"
    assert "the answer loses 'Anna', '5': no version keeps every fact" in made.notes


def test_under_words_a_grammar_keeps_every_word(history: History) -> None:
    remember(history)
    policy, seen = speaking("we meet Anna at 5"), []
    begin = policy.begin

    def watched(request: Request, *rest: Any, **more: Any) -> Any:
        seen.append(request)
        return begin(request, *rest, **more)

    policy.begin = watched  # type: ignore[method-assign]
    generate(rooms(history, policy), rewriting("so we meet Anna at 5", "words", n=2))
    generate(rooms(history, policy), rewriting("so we meet Anna at 5", "loose", n=2))
    generate(replace(rooms(history, policy), policy_url="http://x"), rewriting("so we meet Anna at 5", "words", n=2))
    assert [type(one.grammar) for one in seen] == [MadeGrammar, type(None), type(None)]
    assert "Anna" in str(seen[0].grammar)


def test_of_a_language_without_small_words_versions_are_drawn_freely_and_that_is_said(history: History) -> None:
    made = generate(rooms(history, speaking("明日")), rewriting("明日の会議は10時から", "words", n=2))
    assert FREELY in made.notes


def test_strict_puts_facts_back_word_for_word(history: History) -> None:
    made = generate(rooms(history, speaking("fern", "(F1")), rewriting("we meet Anna at 5 pm", "strict", n=12))
    assert made.text.startswith("Anna") or made.text == "we meet Anna at 5 pm"
    made = generate(rooms(history, speaking("fern", "[F1][F2]")), rewriting("we meet Anna today, 5 pm", "strict", n=12))
    assert described(history, made).kept.sound


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda one: f"{one.language}-{one.facts[0]}")
def test_strict_ends_with_every_fact_kept_whatever_the_policy_says(history: History, draft: object) -> None:
    text = draft.text  # type: ignore[attr-defined]
    made = generate(rooms(history, speaking("fern", "[F1]", "[F1]x[F2]")), rewriting(text, "strict", n=6))
    assert described(history, made).kept.sound
    assert history.generation(made.generation_id).text == made.text


def test_what_had_to_stay_as_it_was_is_said(history: History) -> None:
    made = generate(rooms(history, speaking("fern")), rewriting("we meet Anna at 5", "strict", n=4))
    assert made.text == "we meet Anna at 5"
    assert made.chosen == made.n - 1
    assert "no version keeps every fact: the text stayed as it was" in made.notes


def test_examples_and_the_task_stand_in_the_prompt(history: History) -> None:
    remember(history)
    policy = speaking("Anna")
    generate(rooms(history, policy), rewriting("we meet Anna", n=2))
    messages = policy.messages[-1]
    assert "notes" in messages[0][1]
    assert messages[-1] == ("user", "we meet Anna")
    assert ("assistant", "ann answer 3") in messages


def test_a_long_text_is_said_part_by_part_and_told_as_it_comes(history: History) -> None:
    text = "We meet Anna. " * 40 + "\n\n" + "We meet Peter. " * 40
    policy, events = speaking("Anna", "Peter"), list[Event]()
    made = generate(rooms(history, policy), rewriting(text.strip(), n=8, rule="first", emit=events.append))
    assert made.text == "Anna\n\nPeter"
    assert made.candidates[0].text == made.text
    assert "".join(one.text or "" for one in events if one.type == "delta" and one.candidate == 0) == made.text
    assert [one.type for one in events][-1] == "done"
    assert ("assistant", "Anna") in policy.messages[-1]  # one voice: the second part follows on the first
    assert history.generation(made.generation_id).text == made.text


def test_marks_are_never_told(history: History) -> None:
    events: list[Event] = []
    generate(
        rooms(history, speaking("[F1]")), rewriting("we meet Anna", "strict", n=1, rule="first", emit=events.append)
    )
    assert not [one for one in events if "[F1]" in (one.text or "")]
    assert [one.text for one in events if one.type == "selected"] == ["Anna"]


def test_nobody_else_and_no_grammar_says_a_text_again(history: History) -> None:
    with pytest.raises(InvalidInput, match="said again by the user"):
        rewriting("x", speaker="policy")
    with pytest.raises(InvalidInput, match="empty"):
        rewriting("  ")
