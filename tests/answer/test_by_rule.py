"""Versions that are not drawn: merged of those that are, edited by rule; which one stands for all."""

from __future__ import annotations

import numpy as np

from edge_ttp.answer.by_rule import ByRule, agreed
from edge_ttp.answer.facts import compared
from edge_ttp.answer.select import Choice
from edge_ttp.answer.surface import Habits
from edge_ttp.schema import Candidate

SAID = ("i'm off to town, can't stay", "don't wait, i'm late", "it's fine, i'll call you", "yeah, that's in Leeds") * 3
NOTES = "ariel point important make sense focus model call anna 10:30"


def rule(given: str, said: tuple[str, ...] = SAID) -> ByRule:
    return ByRule(given, said, Habits.of(said), frozenset(), notes=True)


def drawn(*texts: str) -> list[Candidate]:
    return [Candidate(text=text, tokens=5, logprob=-1.0, finish_reason="stop") for text in texts]


def test_notes_get_small_words_without_any_drawing_and_keep_every_fact() -> None:
    made = rule(NOTES).versions((), locked=True)
    assert {one.made for one in made} <= {"merged", "edited"}
    for one in made:
        assert compared(NOTES, one.text).sound
        assert len(one.text.split()) > len(NOTES.split())
    assert rule(NOTES).edited() == rule(NOTES).edited()


def test_a_version_that_was_drawn_is_not_made_again() -> None:
    text = rule(NOTES).edited()
    assert text not in [one.text for one in rule(NOTES).versions(drawn(text), locked=False)]


def test_what_is_not_locked_is_not_merged() -> None:
    versions = drawn(*["we call Anna at 10:30"] * 4)
    assert [one.made for one in rule("we call anna at 10:30").versions(versions, locked=False)] == ["edited"]


def test_of_another_language_or_without_a_history_the_text_stays() -> None:
    assert rule("明日の会議は10時から", ()).edited() == "明日の会議は10時から"
    assert rule("we are at the house with you", ()).edited() == "we are at the house with you"


def test_the_merged_version_stands_for_consensus_where_nothing_speaks_against_it() -> None:
    versions = [*drawn("a", "b"), Candidate(text="c", tokens=0, logprob=0.0, made="merged")]
    choice = Choice(0, np.array([0.5, 0.4, 0.3]), "consensus", "candidate 1 of 3")
    taken = agreed("consensus", choice, versions, [True, True, True])
    assert taken.index == 2
    assert taken.scores[2] == taken.scores.max()
    assert "of what most versions have" in taken.reason
    assert agreed("consensus", choice, versions, [True, True, False]) == choice
    assert agreed("lcb", choice, versions, [True, True, True]) == choice
