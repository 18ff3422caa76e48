"""The lock of a text: what may be drawn under it, byte by byte, with the real parser."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import pytest
from llguidance import LLMatcher

from answer.drafts import DRAFTS
from edge_ttp.answer.facts import compared, facts_in
from edge_ttp.answer.outline import outline
from edge_ttp.answer.small_words import CONTRACTED, FILLERS, language_of
from edge_ttp.answer.word_lock import between, lock, locked_words
from edge_ttp.policy.bindings.grammar_tokens import GrammarTokens
from edge_ttp.policy.json_grammar import LIMITS

END = 256


class Bytes:
    """A model whose tokens are single bytes, and an end."""

    vocab_size = 257

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < END else b""

    def ends_answer(self, token: int) -> bool:
        return token == END

    ends_text = ends_answer


TOKENS = GrammarTokens(Bytes()).tokenizer()


def matcher(text: str, language: str | None = "en", **options: Any) -> LLMatcher:
    grammar = lock(text, language, **options)
    assert grammar is not None
    found = LLMatcher(TOKENS, grammar, log_level=0, limits=LIMITS)
    assert not found.is_error(), found.get_error()
    return found


def fits(said: str, text: str, **options: Any) -> bool:
    """Whether `said` is one of the versions of `text`."""
    state = matcher(text, **options)
    return all(state.consume_token(byte) for byte in said.encode()) and bool(state.is_accepting())


NOTES = "boiler repair monday 10:30 heating off until 3 pm don't call anna"


@pytest.mark.parametrize(
    "said",
    [
        NOTES,
        "The boiler repair is on Monday at 10:30, so the heating will be off until 3 pm. Don't call Anna!",
        "Boiler repair Monday 10:30 – heating off until 3 pm; don't you call Anna...",
        "BOILER repair monday 10:30 heating off until 3 pm. don’t call anna",
    ],
)
def test_small_words_signs_and_cases_are_free(said: str) -> None:
    assert fits(said, NOTES)


@pytest.mark.parametrize(
    "said",
    [
        "The boiler repair is on Monday at 10:30. Don't call Anna!",
        NOTES.replace("3 pm", "4 pm"),
        NOTES.replace("don't", "do"),
        NOTES.replace("until", "not until"),
        NOTES + " tomorrow",
        "Boiler heating repair monday 10:30 off until 3 pm don't call anna",
        NOTES.replace("off", "off of the in a to the"),
        NOTES.replace("repair", "repair\n"),
        "x" + NOTES,
    ],
)
def test_no_word_that_says_something_is_lost_added_or_moved(said: str) -> None:
    assert not fits(said, NOTES)


def test_lines_stay_or_run_on_and_first_and_last_ones_are_the_users() -> None:
    assert fits("Lift broken.\nCall Anna", "lift broken\ncall anna")
    assert fits("lift broken, so you call Anna", "lift broken\ncall anna")
    assert fits("lift broken\nso call anna", "lift broken\ncall anna")
    given = {"openings": ["Hi all,\n"], "closings": ["\nCheers\nTom"]}
    assert fits("Hi all,\nThe lift is broken.\nCheers\nTom", "lift broken", **given)
    assert fits("lift broken", "lift broken", **given)
    assert not fits("Hi all,\nlift broken\nCheers\nTom", "lift broken")


def test_own_words_for_neutral_ones_and_own_fillers_only() -> None:
    assert not fits("yeah it just works", "yes works")
    assert fits("yeah it just works", "yes works", own={"yeah", "just"})
    assert [one.said for one in locked_words("yes we meet Anna at 5 pm, see https://a.org/b", "en")] == [
        "yes", "we", "meet", "Anna", "at", "5 pm", "see", "https://a.org/b",
    ]  # fmt: skip


def test_small_words_that_are_given_stay_and_can_be_said_for_short() -> None:
    given = "The heating is off, so you should call him"
    assert fits("heating is off; you should call him", given)
    assert not fits("heating is up, you should call him", given)
    assert not fits("heating is off, I should call him", given)
    assert fits("I'm sure we don't meet", "I am sure we do not meet")
    assert fits("I am sure we do not meet", "I'm sure we don’t meet")
    assert not fits("I was sure we do not meet", "I'm sure we don't meet")
    assert fits("to go to the town", "to go to town")


def test_other_languages_have_their_own_small_words_or_no_lock() -> None:
    assert fits("Der Zug ist um 8:15 nicht da", "zug 8:15 nicht da", language="de")
    assert not fits("Der Zug ist um 8:15 nicht da", "zug 8:15 nicht da", language="fr")
    assert lock("明日の会議", "ja") is None
    assert lock("boiler", None) is None
    assert lock("the a so", "en") is None


def drawn(text: str, language: str, seed: int) -> str:
    """A version at random: every byte any that may follow."""
    state, draw, said = matcher(text, language), random.Random(seed), bytearray()
    while True:
        mask = np.unpackbits(np.frombuffer(state.compute_bitmask(), dtype=np.uint8), count=257, bitorder="little")
        may = np.flatnonzero(mask)
        if mask[END]:
            return said.decode()
        token = int(draw.choice(may))
        said.append(token)
        assert state.consume_token(token)


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda one: f"{one.language}-{one.facts[0]}")
def test_whatever_is_drawn_keeps_every_fact(draft: Any) -> None:
    language = language_of(draft.text)
    if lock(draft.text, language) is None:
        assert language in ("ja", "zh", None)
        return
    for text in (draft.text, outline(draft.text)):
        said = drawn(text, str(language), 1)
        missing = compared(text, said).missing
        assert not [one for one in missing if not facts_in(one) or facts_in(one)[0].kind != "negation"]
        assert held(said, str(language)) == held(text, str(language))


def held(text: str, language: str) -> list[str]:
    """The words that say something."""
    small = {part for one in between(language) | FILLERS[language] for part in re.split("[' ]", one.casefold())}
    text = text.casefold().replace("’", "'")
    for long, short in CONTRACTED.get(language, {}).items():
        text = text.replace(short.casefold(), long)
    return [one for one in re.findall(r"[^\W_]+", text) if one not in small and len(one) > 1]
