from __future__ import annotations

import re

import pytest

from answer.drafts import DRAFTS, Draft
from edge_ttp.answer.facts import compared, facts_in, in_words, signatures
from edge_ttp.answer.masks import masked
from edge_ttp.answer.outline import outline
from edge_ttp.schema import FactCheck


def name(draft: Draft) -> str:
    return f"{draft.language}-{draft.kind}-{draft.facts[0]}"


def test_there_are_drafts_of_many_kinds_and_languages() -> None:
    assert len(DRAFTS) >= 30
    assert len({one.language for one in DRAFTS}) >= 8
    assert len({one.kind for one in DRAFTS}) >= 7


@pytest.mark.parametrize("draft", DRAFTS, ids=name)
def test_every_fact_of_a_draft_is_recognized(draft: Draft) -> None:
    shown = [one.shown for one in facts_in(draft.text)]
    missed = [fact for fact in draft.facts if not any(fact in one or one in fact for one in shown)]
    assert missed == []


@pytest.mark.parametrize("draft", DRAFTS, ids=name)
def test_a_text_keeps_its_own_facts_and_so_does_its_plain_version(draft: Draft) -> None:
    assert compared(draft.text, draft.text) == FactCheck()
    assert [one.key for one in facts_in(draft.text)] == [one.key for one in facts_in(draft.text)]
    body = outline(draft.text, "flat")
    assert compared(body, draft.text).missing == ()


@pytest.mark.parametrize("draft", DRAFTS, ids=name)
def test_a_lost_fact_is_noticed(draft: Draft) -> None:
    for fact in draft.facts:
        edge = r"\b" if fact.isascii() and fact.isalnum() and draft.language not in ("ja", "zh") else ""
        without = re.sub(rf"{edge}{re.escape(fact)}{edge}", "...", draft.text)
        assert without != draft.text
        assert compared(draft.text, without).missing, fact


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("Meet Anna at 3 pm on Friday, not Monday", "meeting anna friday 15:00, not monday"),
        ("It costs 1,200 dollars", "that's $1200"),
        ("Wir sehen uns um 15 Uhr", "bis 15:00"),
        ("I can bring two laptops", "I'll bring 2 laptops"),
        ("see https://example.org/a/", "it's at https://example.org/a"),
        ("Anna's car", "the car of Anna"),
        ("No, I cannot come.", "I can't come."),
    ],
)
def test_a_fact_may_be_written_in_another_way(given: str, said: str) -> None:
    assert compared(given, said).sound


@pytest.mark.parametrize(
    ("given", "said", "missing", "added"),
    [
        ("We meet at 3 pm", "We meet at 4 pm", ("3 pm",), ("4 pm",)),
        ("I will not come", "I will come", ("not",), ()),
        ("I will come", "I won't come", (), ("won't",)),
        ("Je ne peux pas venir", "Je peux venir", ("ne",), ()),
        ("Call Anna", "Call Peter", ("Anna",), ("Peter",)),
        ("It costs $5", "It costs €5", ("$",), ("€",)),
        ("mail a@b.example", "mail c@b.example", ("a@b.example",), ("c@b.example",)),
        ("run `make all`", "run it", ("`make all`",), ()),
    ],
)
def test_what_is_lost_or_invented_is_named(
    given: str, said: str, missing: tuple[str, ...], added: tuple[str, ...]
) -> None:
    check = compared(given, said)
    assert (check.missing, check.added) == (missing, added)
    assert in_words(check)


def test_a_signature_of_the_user_is_nothing_invented() -> None:
    own = signatures(["Sure.\n\nBest, Jo", "No idea.\n\nBest, Jo"])
    assert compared("we meet friday", "We meet Friday.\n\nBest, Jo", own=own).sound
    assert compared("we meet friday", "We meet Friday.\n\nBest, Ann", own=own).added == ("Ann",)


@pytest.mark.parametrize(
    "part", ["a", "a.", "Aa ", "1.", "--a ", "/a", "```a", "a@", "http://a", "[F1", "not,", "\n", " ", "n't", "a\n\n"]
)
def test_no_text_is_slow_to_read(part: str) -> None:
    """Under patterns that try again at every character this would take minutes, and run into the tests' time limit."""
    text = "x" + part * (60_000 // len(part)) + "x"
    facts_in(text)
    masked(text)
    outline(text)
