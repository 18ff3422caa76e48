from __future__ import annotations

import pytest

from edge_ttp.answer.extent import MOST_WORDS, Extent, asked


@pytest.mark.parametrize(
    ("request_text", "words"),
    [
        ("Write a 150-word summary of this", 150),
        ("Describe the trip in about 150 words.", 150),
        ("Fasse das in 80 Wörtern zusammen", 80),
        ("Résume en 60 mots", 60),
        ("Escribe 100 palabras sobre el mar", 100),
        ("Tell me in three sentences what happened", 60),
        ("Erkläre es in zwei Sätzen", 40),
    ],
)
def test_words_and_sentences_are_counted(request_text: str, words: int) -> None:
    assert asked(request_text).words == words


@pytest.mark.parametrize(
    "request_text",
    [
        "Give me a list of ten names for a cat",
        "List five reasons to move",
        "Name three good ideas for dinner",
        "Write a shopping list for the weekend",
        "Nenne mir fünf Gründe",
        "Donne-moi trois idées de repas",
        "Dame cinco ejemplos",
        "Explain step by step how to bake bread",
        "Make a table of the planets",
        "Write two paragraphs about rain",
        "Write a letter to my landlord",
    ],
)
def test_lists_and_long_kinds_have_several_lines(request_text: str) -> None:
    found = asked(request_text)
    assert found.several_lines
    assert found.words >= 36


@pytest.mark.parametrize(
    "request_text",
    [
        "Can we meet on Thursday at 5?",
        "Did you get my letter?",
        "What is on the list?",
        "the table is broken",
        "Summarize: rain in the north, 12 degrees",
        "Write one headline",
        "",
    ],
)
def test_an_ordinary_request_says_nothing(request_text: str) -> None:
    found = asked(request_text)
    assert not found.several_lines
    assert found.words <= 12


def test_a_number_beyond_reason_is_bounded() -> None:
    assert asked("Write 9999 words") == Extent(MOST_WORDS)


def test_what_stands_in_a_long_document_is_not_asked_for() -> None:
    document = "The weather was fine. " * 400
    middle = document[:4000] + "Write 900 words. " + document
    assert asked(f"Summarize this.\n{middle}\nKeep it short.") == Extent()
    assert asked(f"Summarize this in 50 words.\n{middle}").words == 50
