"""Stems against NLTK's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer

from edge_ttp.reward.stemmer import stem

ENDINGS = (
    "s ies sses ied eed ed ing y ational tional enci anci izer bli alli entli eli ousli ization ation ator alism "
    "iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er "
    "ic able ible ant ement ment ent ion ou ism ate iti ous ive ize e ll alalli yy"
)


SUFFIXES = ENDINGS.split()


@given(st.text(st.sampled_from("aeiouybdlsztnrcmpgvif"), min_size=1, max_size=7), st.integers(0, 60))
def test_stems_equal_nltk(base: str, index: int) -> None:
    word = base + SUFFIXES[index % len(SUFFIXES)]
    assert stem(word) == PorterStemmer().stem(word)


@pytest.mark.parametrize("word", ["sky", "dying", "news", "proceed", "by", "a", "yyyy", "happy", "fly", "agreed"])
def test_irregular_and_short_words_equal_nltk(word: str) -> None:
    assert stem(word) == PorterStemmer().stem(word)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("relational", "relat"),
        ("hopping", "hop"),
        ("filing", "file"),
        ("falling", "fall"),
        ("ties", "tie"),
        ("by", "by"),
    ],
)
def test_porters_own_examples(word: str, expected: str) -> None:
    assert stem(word) == expected
