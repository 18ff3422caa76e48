"""Function words of several languages: which language a text is in, and which words carry little."""

from __future__ import annotations

import re

import pytest

from edge_ttp.answer.small_words import (
    CLOSINGS,
    FILLERS,
    FUNCTION,
    GREETINGS,
    NEGATED,
    NEGATIONS,
    NEUTRAL,
    is_small,
    language_of,
    words_of,
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("the train to the coast leaves at nine", "en"),
        ("Der Zug fährt um neun an die Küste", "de"),
        ("Je ne peux pas venir avec vous", "fr"),
        ("No puedo ir con ellos, lo siento", "es"),
        ("Non posso venire con te, è tardi", "it"),
        ("Não posso ir com eles, já é tarde", "pt"),
        ("会议改到三点", "zh"),
        ("会議は三時に変更です", "ja"),
        ("Zug 9:15", None),
        ("", None),
    ],
)
def test_the_language_is_the_one_whose_small_words_stand_most_often(text: str, language: str | None) -> None:
    assert language_of(text) == language


def test_negations_never_count_as_small() -> None:
    for language, words in NEGATIONS.items():
        assert not [word for word in words if is_small(word, language)]
    assert is_small("the", "en")
    assert not is_small("train", "en")


def test_of_a_language_that_is_not_here_only_single_letters_are_small() -> None:
    assert is_small("w", "pl")
    assert is_small("w", None)
    assert not is_small("na", "pl")
    assert not is_small("5", "pl")
    assert not is_small("東", "ja")  # a letter is a word there


def test_the_tables_know_the_same_languages_and_are_in_lower_case() -> None:
    assert set(FUNCTION) == set(NEGATIONS) == set(FILLERS)
    assert set(NEUTRAL) <= set(FUNCTION)
    for table in (FUNCTION, NEGATIONS, FILLERS):
        for words in table.values():
            assert {word for word in words if word != word.lower() or word.strip() != word} == set()


@pytest.mark.parametrize("text", ["Hi Anna,\nsee you", "Dear Mr Holm: hello", "Liebe Anna! Wir", "Bonjour,\nvoici"])
def test_a_greeting_is_found_at_the_beginning_only(text: str) -> None:
    assert GREETINGS.match(text)
    assert not GREETINGS.match(f"Yesterday. {text}")


@pytest.mark.parametrize("text", ["See you.\nBest,\nJo", "Bis dann\nViele Grüße\nJo", "A mardi\nCordialement"])
def test_a_closing_is_found_at_the_end_only(text: str) -> None:
    found = CLOSINGS.search(text)
    assert found is not None
    assert text[: found.start()] == text.split("\n", maxsplit=1)[0]
    assert not CLOSINGS.search(f"{text}\n\n\n\n\nP.S. one more thing that came to my mind just now")


def test_english_verbs_with_their_negation() -> None:
    assert re.findall(NEGATED, "I can't, won’t and don't; the ant does") == ["can't", "won’t", "don't"]
    assert words_of(" a  b\na ") == frozenset({"a", "b"})
