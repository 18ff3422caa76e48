"""One version of many: a vote in every place between locked words."""

from __future__ import annotations

from edge_ttp.answer.merging import merged
from edge_ttp.answer.word_lock import locked_words

NOTES = "boiler repair monday call anna"
WORDS = locked_words(NOTES, "en")


def test_what_most_versions_have_stands_in_every_place() -> None:
    versions = [
        "The boiler repair is on Monday. Call Anna!",
        "The boiler repair is Monday, so call Anna.",
        "A boiler repair on Monday. You call Anna.",
        "boiler repair on Monday. Call anna.",
    ]
    assert merged(versions, WORDS) == "boiler repair on Monday. Call Anna."  # Call: of those that have a point there
    assert merged(versions[:3], WORDS) == "The boiler repair is on Monday. Call Anna."


def test_a_small_word_begins_large_where_a_sentence_does() -> None:
    words = locked_words("rain boat", "en")
    assert merged(["rain. The boat", "rain. The boat", "Rain. the boat"], words) == "rain. The boat"
    assert merged(["rain The boat"] * 3, words) == "rain the boat"
    assert merged(["rain so I'm a boat"] * 3, words) == "rain so I'm a boat"


def test_lines_and_the_users_own_words_are_kept() -> None:
    words = locked_words("yes works\ncall anna", "en", {"yeah"})
    assert merged(["Yeah it works\nCall Anna", "Yeah, works\nCall Anna", "yes it works\nCall Anna"], words) == (
        "Yeah it works\nCall Anna"
    )


def test_versions_that_lost_a_word_have_no_vote_and_few_are_not_merged() -> None:
    whole = "The boiler repair on Monday, call Anna"
    assert merged([whole, whole, "boiler repair"], WORDS) is None
    assert merged([whole, whole, whole, "nothing of it"], WORDS) == whole
    assert merged([], WORDS) is None
    assert merged([whole] * 3, []) is None
