from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_ttp.history.terms import MAX_WORD, singular, words, words_at


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Trains, the TRAIN!", ["the", "train", "the", "train"]),
        ("snake_case and path/to.file", ["snake", "case", "and", "path", "to", "file"]),
        ("don't", ["don", "t"]),
        ("Zürich café", ["zurich", "cafe"]),
        ("Zu\u0308rich cafe\u0301", ["zurich", "cafe"]),
        ("STRASSE straße", ["strasse", "strasse"]),
        ("ﬁne ①", ["fine", "1"]),
        ("東京都へ", ["東京", "京都", "都へ"]),
        ("がぎ 한국어", ["がぎ", "한국어"]),
        ("iPhoneを買う", ["iphone", "を買", "買う"]),
        ("हिन्दी", ["हिन्दी"]),
        ("😀 … -- !", []),
        ("", []),
    ],
)
def test_words_are_folded_and_split(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("queries", "query"),
        ("movies", "movy"),
        ("houses", "house"),
        ("shoes", "shoe"),
        ("glass", "glass"),
        ("bus", "bus"),
        ("status", "status"),
        ("cats", "cat"),
        ("gas", "gas"),
    ],
)
def test_plural_endings_are_cut_as_the_s_stemmer_does(word: str, expected: str) -> None:
    assert singular(word) == expected


@given(st.text())
def test_any_text_gives_terms_that_the_index_takes_as_they_are(text: str) -> None:
    for word in words(text):
        assert word
        assert len(word) <= MAX_WORD
        assert not set(word) & set(' "_*()\0\n')
        assert word == word.lower() or not word.isascii()


@given(st.text())
def test_words_are_the_same_with_and_without_their_places(text: str) -> None:
    assert [word for word, _, _ in words_at(text)] == words(text)


@given(st.text())
@example("\u0e33\u0e33")  # folding makes four characters of these two
def test_places_lie_in_the_text_in_order(text: str) -> None:
    places = [(start, end) for _, start, end in words_at(text)]
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert places == sorted(places)


def test_a_giant_word_is_indexed_by_its_beginning() -> None:
    assert words("x" * 100_000) == ["x" * MAX_WORD]
    assert words("é" * 100_000) == ["e" * MAX_WORD]
