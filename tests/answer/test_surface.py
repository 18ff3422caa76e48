"""The surface editor: the user's own cases, points, contractions, signs and lines, every fact kept."""

from __future__ import annotations

import pytest

from answer.drafts import DRAFTS
from edge_ttp.answer.facts import compared
from edge_ttp.answer.outline import content
from edge_ttp.answer.surface import Habits, edited

LOOSE = [
    "i'm off to town, can't stay",
    "don't wait, i'm late",
    "it's fine, i'll call you",
    "we're in Leeds, i'm cold",
] * 3
FORMAL = [
    "I am in town. We do not stay.",
    "It is fine. I am late.",
    "Do not wait. I am cold.",
    "I will call. It is off.",
] * 3
DRAFT = "I am late. Do not wait for Anna, it is cold."


def known(texts: list[str]) -> Habits:
    habits = Habits.of(texts)
    assert habits is not None
    return habits


def test_rates_are_counted() -> None:
    loose, formal = known(LOOSE), known(FORMAL)
    assert (loose.lower_starts, formal.lower_starts) == (1.0, 0.0)
    assert (loose.small_i, formal.small_i) == (1.0, 0.0)
    assert (loose.points, formal.points) == ({"": 1.0}, {".": 1.0})
    assert set(loose.contracted.values()) == {1.0}
    assert formal.contracted == dict.fromkeys(("do not", "i am", "i will", "it is"), 0.0)
    assert loose.texts == 12


def test_a_draft_is_written_as_the_user_writes() -> None:
    assert edited(DRAFT, known(LOOSE)) == "i'm late. don't wait for Anna, it's cold"
    assert edited("i'm late, don't wait", known(FORMAL)) == "I am late, do not wait."


def test_what_ends_and_greets_is_added_as_often_as_the_user_does_it() -> None:
    greeting = [f"Hi all,\nThe {word} is here.\nCheers\nTom" for word in ("boat", "lift", "lamp", "road", "door")]
    habits = known(greeting)
    assert habits.openings == (("Hi all,\n", 1.0),)
    assert habits.closings == (("Cheers\nTom", 1.0),)
    assert edited("the glass is broken", habits) == "Hi all,\nThe glass is broken.\nCheers\nTom"
    assert edited("Hey you, the glass is broken", habits).count("\n") == 2  # greeted already
    some = known([*greeting, *(f"The {word} is gone." for word in ("glass", "paper", "stone", "bread", "river"))])
    said = [edited(f"the {word} is broken", some) for word in ("boat", "lift", "lamp", "road", "door", "roof", "wall")]
    assert 0 < sum("Cheers" in one for one in said) < len(said)


def test_signs_titles_and_cases_are_the_users() -> None:
    signs = known([f"the {word} is here 🙂" for word in ("boat", "lift", "lamp", "road")])
    assert edited("rain today", signs) == "rain today 🙂"
    titles = known(
        ["Storm Hits The Northern Coast", "Mayor Opens The Longest Bridge", "Nurses Strike Over Winter Wages"] * 2
    )
    assert edited("council closes the oldest library", titles) == "Council Closes The Oldest Library"
    named = known(["We use NASA data here.", "All of NASA knows.", "Ask the NASA people.", "That is NASA for you."])
    assert edited("data of nasa is late", named) == "Data of NASA is late."


def test_the_users_own_word_stands_for_a_neutral_one() -> None:
    habits = known(["Yeah, fine.", "Yeah, we can.", "Yeah, that works.", "Yeah, go on."])
    assert edited("yes, it works", habits) == "Yeah, it works."


@pytest.mark.parametrize(
    ("texts", "given", "wanted"),
    [
        (
            ["ich hab keine zeit", "ich hab das buch", "da ist der hund", "und das ist gut"],
            "Ich habe den Ball",
            "ich hab den Ball",
        ),
        (
            ["Il pleut ici.", "Cela va bien pour moi.", "Nous sommes dans la ville.", "Et ça aussi."],
            "le train est là",
            "Le train est là.",
        ),
        (
            ["Llego a la casa.", "Es el tren de ayer.", "No está en la calle.", "Y con los niños."],
            "el tren es tarde",
            "El tren es tarde.",
        ),
    ],
)
def test_other_languages(texts: list[str], given: str, wanted: str) -> None:
    assert edited(given, known(texts)) == wanted


@pytest.mark.parametrize("texts", [LOOSE, FORMAL], ids=["loose", "formal"])
@pytest.mark.parametrize("draft", DRAFTS, ids=lambda one: f"{one.language}-{one.facts[0]}")
def test_every_fact_and_every_word_that_says_something_stays(draft: object, texts: list[str]) -> None:
    text = draft.text  # type: ignore[attr-defined]
    said = edited(text, known(texts))
    assert compared(text, said).sound
    assert content(text) <= content(said) | {"not"}  # which `compared` counts as the same in "don't"
    assert edited(text, known(texts)) == said


def test_without_habits_a_text_stays() -> None:
    assert Habits.of(["one text."]) is None
    assert edited("as it is", None) == "as it is"
