"""The feature table on vectors made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.reward.encoder import Vectors
from edge_ttp.reward.features import CONTEXT, FEATURES, Table, context_vector, feature_table, with_pool
from edge_ttp.reward.user_profile import Style, UserProfile
from edge_ttp.reward.utility import agreement, tokenize
from edge_ttp.schema import Candidate

WIDTH = 4
EYE = np.eye(WIDTH, dtype=np.float32)


def profile(outputs: list[str], vectors: np.ndarray, inputs: np.ndarray) -> UserProfile:
    return UserProfile(
        encoder="by hand",
        outputs=vectors.astype(np.float32),
        inputs=inputs.astype(np.float32),
        recent=tuple(tokenize(text) for text in outputs),
        written=tuple(frozenset(tokenize(text)) for text in outputs),
        answered=(frozenset(),) * len(outputs),
        habit=Style(np.log1p(2), 1.0, 0.0),
        length_spread=0.5,
    )


def table_of(
    user: UserProfile, source: Vectors, asked: str, *texts: str, vectors: Vectors, logprob: float = -8.0
) -> Table:
    """The features of these texts, of 4 tokens each."""
    candidates = [Candidate(text=text, tokens=4, logprob=logprob) for text in texts]
    words = [tokenize(text) for text in texts]
    return feature_table(user, source, tokenize(asked), candidates, words=words, vectors=vectors)


def column(table: np.ndarray, name: str) -> np.ndarray:
    return np.asarray(table[:, FEATURES.index(name)])


def test_each_column_says_what_its_name_does() -> None:
    user = profile(["Red Fox", "Blue Jay"], EYE[:2], EYE[2:4])
    table = table_of(user, EYE[2], "a red fox ran", "Red fox", "slow slow slow.", vectors=EYE[:2])
    np.testing.assert_allclose(column(table, "input_cosine"), [0, 0])
    np.testing.assert_allclose(column(table, "input_coverage"), [1, 0])
    np.testing.assert_allclose(column(table, "user_cosine"), [0.5, 0.5])
    recalled = column(table, "user_cosine_recalled")
    assert recalled[0] > 0.99 > 0.01 > recalled[1]  # the item whose input is this input counts almost alone
    np.testing.assert_allclose(column(table, "user_agreement"), [0.5, 0])
    np.testing.assert_allclose(column(table, "user_agreement_top"), [1, 0])
    np.testing.assert_allclose(column(table, "length_gap"), [0, np.log(4 / 3) / 0.5], atol=1e-6)
    np.testing.assert_allclose(column(table, "capitals_gap"), [0.5, 1])
    np.testing.assert_allclose(column(table, "full_stop_gap"), [0, 1])
    np.testing.assert_allclose(column(table, "logprob_per_token"), [-2, -2])
    np.testing.assert_allclose(column(table, "repetition"), [0, 2 / 3], atol=1e-6)


def test_without_a_history_the_users_columns_are_zero() -> None:
    nobody = profile([], np.zeros((0, WIDTH)), np.zeros((0, WIDTH)))
    table = table_of(nobody, EYE[0], "", "a text", "", vectors=EYE[:2])
    for name in FEATURES:
        if name.startswith(("user", "length_gap", "capitals", "full_stop")):
            assert not column(table, name).any(), name
    assert not context_vector(nobody, EYE[0], (), 2)[CONTEXT.index("has_history")]


def test_pool_columns_see_the_candidates_of_the_pool_only() -> None:
    texts = ["red fox", "red fox", "blue jay"]
    words = [tokenize(text) for text in texts]
    vectors = EYE[[0, 0, 1]]
    nobody = profile([], np.zeros((0, WIDTH)), np.zeros((0, WIDTH)))
    table = table_of(nobody, EYE[0], "", *texts, vectors=vectors)
    similarity = agreement(words, words)
    whole = with_pool(table, similarity, vectors)
    np.testing.assert_allclose(column(whole, "consensus"), [0.5, 0.5, 0])
    np.testing.assert_allclose(column(whole, "consensus_cosine"), [0.5, 0.5, 0])
    pair = with_pool(table[:2], similarity[:2, :2], vectors[:2])
    np.testing.assert_allclose(column(pair, "consensus"), [1, 1])
    single = with_pool(table[:1], similarity[:1, :1], vectors[:1])
    np.testing.assert_allclose(column(single, "consensus"), [0])
    assert not column(table, "consensus").any()


@pytest.mark.parametrize("logprob", [float("nan"), float("-inf"), float("inf"), 5.0, -1e300])
def test_log_probabilities_stay_in_their_range(logprob: float) -> None:
    nobody = profile([], np.zeros((0, WIDTH)), np.zeros((0, WIDTH)))
    table = table_of(nobody, EYE[0], "", "a", vectors=EYE[:1], logprob=logprob)
    assert -20 <= column(table, "logprob_per_token")[0] <= 0


def test_unity_is_one_for_a_user_who_always_writes_the_same() -> None:
    same = profile(["a", "a", "a"], EYE[[0, 0, 0]], EYE[[1, 1, 1]])
    various = profile(["a", "b", "c"], EYE[:3], EYE[:3])
    place = CONTEXT.index("user_unity")
    assert context_vector(same, EYE[0], (), 2)[place] == pytest.approx(1)
    assert context_vector(various, EYE[0], (), 2)[place] == pytest.approx(0)
