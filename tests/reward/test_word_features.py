"""What is known of the words that candidates use: counts by hand, and what changes when the pool does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from edge_ttp.reward.user_profile import Style, UserProfile
from edge_ttp.reward.utility import tokenize
from edge_ttp.reward.word_features import WORD_FEATURES, PoolWords, pool_words

EYE = np.eye(4, dtype=np.float32)
NAMES = ["red", "fox", "ran", "7"]
POOL = [tokenize("red fox"), tokenize("red red ran"), tokenize("fox 7")]


def salience(names: Sequence[str]) -> np.ndarray:
    """Affinity -1, and as much salience as the word has letters."""
    return np.array([[-1, len(name)] for name in names], np.float32)


def profile(written: list[str], answered: list[str]) -> UserProfile:
    return UserProfile(
        encoder="by hand",
        outputs=EYE[: len(written)],
        inputs=EYE[: len(written)],
        recent=tuple(tokenize(text) for text in written),
        written=tuple(frozenset(tokenize(text)) for text in written),
        answered=tuple(frozenset(tokenize(text)) for text in answered),
        habit=Style(math.log1p(3), 1.0, 0.0),
        length_spread=0.5,
    )


USER = profile(["the red fox", "a red sky"], ["red dog", "blue sky"])
NOBODY = profile([], [])


def value(words: PoolWords, word: str, name: str) -> float:
    return float(words.table[NAMES.index(word), WORD_FEATURES.index(name)])


def test_each_column_says_what_its_name_does() -> None:
    words = pool_words(USER, EYE[0], tokenize("the fox saw a fox"), POOL, salience)
    assert words.membership.tolist() == [[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1]]
    assert words.lengths.tolist() == [2, 3, 2]
    assert value(words, "fox", "in_input") == value(words, "fox", "input_lead") == 1
    assert value(words, "fox", "input_count") == pytest.approx(math.log1p(2))
    assert value(words, "fox", "input_place") == pytest.approx(1 - 1 / 5)
    assert value(words, "red", "in_input") == value(words, "red", "input_place") == 0
    assert value(words, "red", "written_rate") == pytest.approx(2 / 3)
    assert value(words, "red", "written_log_rate") == pytest.approx(math.log(2.5 / 7) / 5)
    assert value(words, "red", "answered_rate") == pytest.approx(1 / 3)
    assert value(words, "red", "copied_rate") == pytest.approx(1.3 / 3)
    assert value(words, "red", "recalled_rate") == pytest.approx(1)
    assert value(words, "fox", "recalled_rate") == pytest.approx(1, abs=1e-3)  # the newest item's input is this one
    assert value(words, "ran", "recalled_rate") == 0
    assert value(words, "7", "digits") == 1
    assert value(words, "ran", "digits") == 0
    assert value(words, "ran", "letters") == pytest.approx(3 / 12)
    assert [value(words, name, "salience") for name in NAMES] == [3, 3, 3, 1]
    assert value(words, "ran", "affinity") == -1
    assert value(words, "ran", "log_history") == pytest.approx(math.log1p(2) / 4)


def test_a_smaller_pool_leaves_out_its_words_and_counts_anew() -> None:
    words = pool_words(USER, EYE[0], (), POOL, salience)
    rate = WORD_FEATURES.index("pool_rate")
    table, membership = words.within([0, 1, 2])
    assert membership.shape == (3, 4)
    assert table[:, rate].tolist() == [0.5, 0.5, 0, 0]  # one of the two others has it, for a candidate that does
    table, membership = words.within([0, 1])
    assert membership.tolist() == [[1, 1, 0], [1, 0, 1]]
    assert table[:, rate].tolist() == [1, 0, 0]
    table, membership = words.within([2])
    assert membership.tolist() == [[1, 1]]
    assert table[:, rate].tolist() == [0, 0]
    assert not words.table[:, rate:-1].any()  # what the pool decides is not written into the shared table


def test_without_a_history_the_pools_length_stands_for_the_users() -> None:
    table, _ = pool_words(NOBODY, EYE[0], (), POOL, salience).within([0, 1])
    assert table[:, -1] == pytest.approx([math.log1p(2.5) / 4] * 3)
    table, _ = pool_words(USER, EYE[0], (), POOL, salience).within([0, 1])
    assert table[:, -1] == pytest.approx([math.log1p(3) / 4] * 3)


@pytest.mark.parametrize("candidates", [[()], [(), ()]])
def test_candidates_without_a_word_leave_one_row_that_none_has(candidates: list[tuple[str, ...]]) -> None:
    table, membership = pool_words(NOBODY, EYE[0], (), candidates, salience).within(range(len(candidates)))
    assert table.shape == (1, len(WORD_FEATURES))
    assert np.isfinite(table).all()
    assert membership.tolist() == [[0.0]] * len(candidates)
