"""Small words put back into notes: by the network of the package, by a user's rates, in lines."""

from __future__ import annotations

import pytest

from edge_ttp.answer.merging import SIGNS, key_of, merged
from edge_ttp.answer.restoring import (
    Gap,
    Restorer,
    against_usual,
    ending,
    expected_of,
    gaps,
    known_pieces,
    restorer,
    written_out,
)
from edge_ttp.answer.word_lock import locked_words

NOTES = "boiler repair monday\ncall anna thank you help"
TEXT = "The boiler repair is on Monday.\nCall Anna, and thank you for the help!"


@pytest.fixture(scope="module")
def network() -> Restorer:
    found = restorer("en")
    assert found is not None
    return found


def test_the_places_of_a_text_hold_what_its_plain_version_drops() -> None:
    found = list(gaps(TEXT, "en", known_pieces("en")))
    assert Gap(("", "", "^", "boiler", "repair", "monday"), ("the",)) in found
    assert Gap(("boiler", "repair", "monday", "$", "", ""), (".",)) in found
    assert Gap(("", "^", "call", "anna", "thank", "help"), ()) in found
    assert ("is", "on") in [one.pieces for one in found]
    assert [one.pieces for one in gaps("", "en", known_pieces("en"))] == [()]


def test_a_place_with_a_word_that_is_not_small_is_left_out() -> None:
    assert all(set(one.pieces) <= {"the"} for one in gaps("the boat (the) rain", "en", {"the"}))


def test_likelihoods_are_of_known_pieces_and_lines_end_with_signs_alone(network: Restorer) -> None:
    words = locked_words(NOTES, "en")
    places = network.places(words, "en")
    assert len(places) == len(words) + 1
    assert all(0 < chance <= 1 and piece in network.pieces for place in places for piece, chance in place.items())
    start = next(at for at, word in enumerate(words) if word.begins_line)
    begun = network.places(locked_words(NOTES.split("\n")[1], "en"), "en")[0]
    assert {piece for piece in places[start] if piece not in SIGNS} <= set(begun)


def test_a_user_who_writes_a_word_more_often_has_it_more_likely(network: Restorer) -> None:
    at = network.pieces.index("the")
    fond = network.rates(["the dog and the cat in the house on the hill"] * 30, "en")
    sparing = network.rates(["dog and cat in house on hill", "walked dog", "saw cat"] * 30, "en")
    assert fond[at] > 0 > sparing[at]
    around = [("", "^", "walked", "dog", "hill", "$")]
    assert network.likely(around, fond)[0, at] > network.likely(around)[0, at] > network.likely(around, sparing)[0, at]
    assert network.likely([]).shape == (0, len(network.pieces))


def test_few_texts_change_little(network: Restorer) -> None:
    few, many = (network.rates(["the dog saw the cat"] * count, "en") for count in (1, 40))
    at = network.pieces.index("the")
    assert abs(few[at]) < abs(many[at])
    assert abs(against_usual(0 * network.usual, 0, network.usual))[network.usual > 0.001].max() < 0.01


def test_notes_are_restored_and_a_text_that_is_written_out_is_not() -> None:
    notes = locked_words("ariel point important make sense focus model", "en")
    expected = expected_of(notes, "en", [])
    assert expected is not None
    made = merged((), notes, expected)
    assert made is not None
    small = [key_of(word) for word in made.rstrip(".").split() if key_of(word) in known_pieces("en")]
    assert small
    written = locked_words("we are at the house because you have it", "en")
    assert written_out(written, "en")
    assert expected_of(written, "en", []) is None
    assert expected_of(notes, "ja", []) is None
    assert expected_of(notes, None, []) is None


def test_nothing_is_put_beside_a_small_word_that_was_given(network: Restorer) -> None:
    words = locked_words("heating off until monday boiler repair plumber call anna garden house", "en")
    at = next(number for number, word in enumerate(words) if word.said == "off")
    places = network.places(words, "en")
    assert places[at] == places[at + 1] == {}


def test_pieces_are_put_where_they_mostly_stand(network: Restorer) -> None:
    assert network.ordered((), ("the", "of")) == ("of", "the")
    assert network.ordered(("of",), ("the",)) == ("of", "the")
    assert network.ordered(("x",), ("unknown",)) == ("x",)
    assert ending("monday") == "day"
    assert ending("10:30") == "0"
