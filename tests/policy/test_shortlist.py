"""The few most probable tokens of each row, against sorting the whole row."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.policy.shortlist import LogitChange, Scanner, Shortlist

SIZES = [1, 5, 1023, 1024, 1025, 3000, 131_072, 140_001]


def rows_of(vocabulary: int, rows: int = 3, *, ties: bool = False) -> npt.NDArray[np.float32]:
    drawn = np.random.default_rng([vocabulary, rows]).normal(0, 3, (rows, vocabulary))
    return (np.round(drawn) if ties else drawn).astype(np.float32)


def best_by_sorting(logits: npt.NDArray[np.float32], keep: int) -> npt.NDArray[np.int64]:
    """Ids, best first, of equal ones the lower first."""
    return np.stack([np.lexsort((np.arange(len(row)), -row))[:keep] for row in logits])


@pytest.mark.parametrize("vocabulary", SIZES)
@pytest.mark.parametrize("keep", [1, 3, 40, 2000])
@pytest.mark.parametrize("ties", [False, True])
def test_the_best_are_those_of_a_sort(vocabulary: int, keep: int, ties: bool) -> None:
    logits = rows_of(vocabulary, ties=ties)
    found = Scanner().scan(logits, min(keep, vocabulary))
    expected = best_by_sorting(logits, min(keep, vocabulary))
    assert np.array_equal(found.tokens, expected)
    assert np.array_equal(found.values, np.take_along_axis(logits, expected, axis=1))
    assert found.raw is found.values


@pytest.mark.parametrize("vocabulary", [5, 3000, 140_001])
def test_one_row_alone_is_as_it_is_among_others(vocabulary: int) -> None:
    logits = rows_of(vocabulary)
    together = Scanner().scan(logits, 4)
    for row in range(3):
        alone = Scanner().scan(logits[row : row + 1], 4)
        assert np.array_equal(alone.tokens[0], together.tokens[row])
        assert alone.log_normalizer[0] == together.log_normalizer[row]


def test_what_lies_far_below_the_top_is_left_out_and_shorter_rows_are_padded() -> None:
    logits = np.array([[0, 5, 4, -3], [1, 1, 1, 1]], dtype=np.float32)
    found = Scanner().scan(logits, 4, floor=-1.5)
    assert found.tokens[0, :2].tolist() == [1, 2]
    assert found.values[0].tolist() == [5, 4, -np.inf, -np.inf]
    assert found.tokens[1].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("shift", [-1e4, -300, 0, 88, 1e4])
def test_normalizers_hold_however_far_the_logits_lie_from_zero(shift: float) -> None:
    logits = rows_of(3000) + np.float32(shift)
    exact = np.logaddexp.reduce(logits.astype(np.float64), axis=1)
    assert Scanner().scan(logits, 5).log_normalizer == pytest.approx(exact, rel=1e-6, abs=1e-5)


def test_tokens_of_probability_zero_count_for_nothing() -> None:
    logits = np.full((1, 2000), -np.inf, dtype=np.float32)
    logits[0, [7, 1500]] = [0.0, np.log(3.0)]
    found = Scanner().scan(logits, 2)
    assert found.tokens[0].tolist() == [1500, 7]
    assert found.log_normalizer[0] == pytest.approx(np.log(4))


def test_changed_logits_decide_and_the_models_own_are_kept_beside() -> None:
    logits = rows_of(3000, 2)
    order = best_by_sorting(logits, 3000)
    lifted, banned = int(order[0, -1]), int(order[0, 0])
    change = LogitChange(np.array(sorted([lifted, banned])), np.array([99.0, 99.0]))
    change = LogitChange(change.tokens, np.where(change.tokens == lifted, 99.0, -np.inf))
    nothing = LogitChange(np.zeros(0, dtype=np.int64), np.zeros(0))
    found = Scanner().scan(logits, 3, changes=[change, nothing])
    assert found.tokens[0].tolist() == [lifted, *order[0, 1:3]]
    assert found.values[0, 0] == 99
    assert found.raw[0, 0] == logits[0, lifted]
    assert found.tokens[1].tolist() == order[1, :3].tolist()


def test_a_token_that_is_banned_is_nowhere_in_a_short_vocabulary() -> None:
    logits = np.array([[3, 2, 1]], dtype=np.float32)
    found = Scanner().scan(logits, 3, changes=[LogitChange(np.array([0]), np.array([-np.inf]))])
    assert found.tokens[0].tolist() == [1, 2]


def scanned(logits: npt.NDArray[np.float32], keep: int, allowed: npt.NDArray[np.bool_], **options: float) -> Shortlist:
    return Scanner().scan(logits, keep, allowed=[lambda ids: allowed[ids]] * len(logits), **options)


@pytest.mark.parametrize("keep", [1, 5])
def test_what_a_grammar_forbids_is_left_out_before_the_best_are_taken(keep: int) -> None:
    logits = rows_of(20_000, 2)
    allowed = np.zeros(20_000, dtype=bool)
    allowed[best_by_sorting(logits, 20_000)[:, -3:].ravel()] = True  # the least probable ones
    found = scanned(logits, keep, allowed)
    for row in range(2):
        ids = [token for token in best_by_sorting(logits, 20_000)[row] if allowed[token]][:keep]
        assert found.tokens[row][: len(ids)].tolist() == ids


def test_the_grammar_is_asked_no_further_than_what_may_count() -> None:
    logits = np.zeros((1, 50_000), dtype=np.float32)
    logits[0, :300] = 30
    asked: list[int] = []

    def only_the_first(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        asked.append(len(ids))
        return ids == 0

    Scanner().scan(logits, 40, allowed=[only_the_first], negligible=-10)
    assert asked == [512]  # all others lie 30 below
    asked.clear()
    found = Scanner().scan(logits, 40, allowed=[only_the_first])
    assert asked == [512, 8192, 50_000]
    assert found.tokens[0].tolist() == [0]


@pytest.mark.slow
def test_a_second_thread_changes_nothing_whichever_way_is_faster() -> None:
    logits = rows_of(150_000, 3)
    with ThreadPoolExecutor(1) as pool:
        alone, helped = Scanner(), Scanner(pool)
        expected = alone.scan(logits, 40)
        for _ in range(18):  # the slower way is tried again meanwhile
            found = helped.scan(logits, 40)
            assert np.array_equal(found.tokens, expected.tokens)
            assert np.array_equal(found.log_normalizer, expected.log_normalizer)


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 10_000))
def test_any_small_rows(vocabulary: int, keep: int, seed: int) -> None:
    logits = np.random.default_rng(seed).integers(-3, 4, (2, vocabulary)).astype(np.float32)
    found = Scanner().scan(logits, min(keep, vocabulary))
    assert np.array_equal(found.tokens, best_by_sorting(logits, min(keep, vocabulary)))
