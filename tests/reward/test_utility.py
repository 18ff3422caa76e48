"""The agreement of texts against the package rouge-score, and on what that package cannot read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from edge_ttp.reward.utility import MAX_TOKENS, agreement_matrix, coverage, spell, tokenize, utility

SCORER = RougeScorer(["rouge1", "rougeL"], use_stemmer=True)
VOCABULARY = "the The cats cat running runs ran relational café naïve 2024 e.g. it's happily Yes! --"
WORDS = st.sampled_from(VOCABULARY.split())
TEXTS = st.lists(WORDS, max_size=30).map(" ".join)
LATIN = st.text(st.characters(max_codepoint=0x24F), max_size=80)


def rouge(candidate: str, reference: str) -> float:
    scores = SCORER.score(reference, candidate)
    return float((scores["rouge1"].fmeasure + scores["rougeL"].fmeasure) / 2)


@given(TEXTS, TEXTS)
def test_utility_equals_rouge_score(candidate: str, reference: str) -> None:
    assert utility(candidate, reference) == pytest.approx(rouge(candidate, reference), abs=1e-12)


@given(LATIN)
def test_latin_text_is_tokenized_as_rouge_score_does(text: str) -> None:
    assert list(tokenize(text)) == DefaultTokenizer(use_stemmer=True).tokenize(text)


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_matrix_equals_rouge_score_for_every_pair(texts: list[str]) -> None:
    expected = [[rouge(one, other) for other in texts] for one in texts]
    np.testing.assert_allclose(agreement_matrix(texts), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("обзор новой книги", "обзор старой книги"),
        ("新しい本の紹介", "古い本の紹介"),
        ("مراجعة كتاب جديد", "مراجعة كتاب قديم"),
        ("नई किताब की समीक्षा", "पुरानी किताब की समीक्षा"),
    ],
)
def test_other_scripts_agree_in_part_not_in_nothing(one: str, other: str) -> None:
    assert 0 < utility(one, other) < 1
    assert utility(one, one) == 1.0


def test_empty_and_wordless_texts_agree_with_nothing() -> None:
    matrix = agreement_matrix(["", "!?", "word"])
    np.testing.assert_array_equal(matrix, [[0, 0, 0], [0, 0, 0], [0, 0, 1]])
    assert agreement_matrix([]).shape == (0, 0)


def test_only_the_first_tokens_of_a_long_text_are_compared() -> None:
    long = "word " * (MAX_TOKENS * 4)
    assert len(tokenize(long)) == MAX_TOKENS
    assert utility(long, long) == 1.0


def test_coverage_counts_each_source_token_once() -> None:
    shares = coverage([tokenize("cats cats dogs"), tokenize("")], tokenize("a cat and a dog"))
    np.testing.assert_allclose(shares, [2 / 3, 0.0])


def test_spelling_goes_with_the_tokens() -> None:
    text = "The Running foxes, 3 of THEM あい!"
    found = spell(text)
    assert tuple(one.token for one in found) == tokenize(text)
    assert all(text.lower()[one.start :].startswith(one.spelled) for one in found)
    assert ("run", "running", 4) in found
