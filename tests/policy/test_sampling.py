"""The sampler draws exactly the tokens the filters allow, with exactly their probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_ttp.policy.sampling import Draw, Filters, Sampler

OPEN = Filters(top_k=0, top_p=1.0, min_p=0.0, temperature=1.0)
SEVERAL = [
    OPEN,
    Filters(),
    Filters(top_k=3, top_p=1.0, min_p=0.0, temperature=1.0),
    Filters(top_k=0, top_p=0.7, min_p=0.0, temperature=1.0),
    Filters(top_k=0, top_p=1.0, min_p=0.2, temperature=1.0),
    Filters(top_k=0, top_p=0.8, min_p=0.1, temperature=0.6),
    Filters(top_k=5, top_p=0.9, min_p=0.02, temperature=1.5),
]


def probabilities(logits: npt.ArrayLike, filters: Filters) -> npt.NDArray[np.float64]:
    """The definition, one token after another: top-k, top-p, min-p at temperature 1, then the temperature."""
    values = np.asarray(logits, dtype=np.float64)
    order = sorted(range(len(values)), key=lambda token: (-values[token], token))
    if filters.temperature == 0:
        order = order[:1]
    if filters.top_k:
        order = order[: filters.top_k]
    plain = {token: float(np.exp(values[token] - values[order[0]])) for token in order}
    total = sum(plain.values())
    kept, mass = [], 0.0
    for token in order:
        if mass < filters.top_p or filters.top_p >= 1:
            kept.append(token)
        mass += plain[token] / total
    kept = [token for token in kept if plain[token] >= filters.min_p]
    result = np.zeros(len(values))
    for token in kept:
        result[token] = np.exp((values[token] - values[order[0]]) / (filters.temperature or 1.0))
    return np.asarray(result / result.sum(), dtype=np.float64)


def draw(logits: npt.ArrayLike, filters: Filters, n: int = 1, *, seed: int = 0, step: int = 0) -> Draw:
    """n candidates with seeds seed, seed + 1 ... draw from one row."""
    row = np.asarray(logits, dtype=np.float32)[None, :]
    sampler = Sampler(filters, range(seed, seed + n), step + 1)
    return sampler.draw(row, np.zeros(n, dtype=np.int64), np.arange(n), step)


def assert_distributed(tokens: npt.NDArray[np.int64], expected: npt.NDArray[np.float64]) -> None:
    """Pearson's chi-square at p = 1e-6 (Wilson and Hilferty's approximation); impossible tokens must never occur."""
    counts = np.bincount(tokens, minlength=len(expected))
    assert counts[expected == 0].sum() == 0
    possible = expected > 0
    wanted = expected[possible] * len(tokens)
    freedom = int(possible.sum()) - 1
    if freedom == 0:
        return
    assert wanted.min() >= 5, "too few draws for the test to mean anything"
    statistic = float(((counts[possible] - wanted) ** 2 / wanted).sum())
    critical = freedom * (1 - 2 / (9 * freedom) + 4.753 * np.sqrt(2 / (9 * freedom))) ** 3
    assert statistic < critical


@pytest.mark.parametrize("filters", SEVERAL)
def test_tokens_come_with_the_probabilities_of_the_definition(filters: Filters) -> None:
    logits = np.log([0.3, 0.02, 0.25, 0.01, 0.2, 0.04, 0.15, 0.03])
    tokens = draw(logits, filters, 20_000).tokens
    assert_distributed(tokens, probabilities(logits, filters))


@pytest.mark.parametrize("vocabulary", [5, 900, 1024, 1025, 3000, 50_000])
@pytest.mark.parametrize("filters", [Filters(), Filters(top_k=1), Filters(top_k=2000), SEVERAL[5]])
def test_large_vocabularies_lose_no_likely_token(vocabulary: int, filters: Filters) -> None:
    logits = np.random.default_rng(vocabulary).normal(0, 3, vocabulary).astype(np.float32)
    expected = probabilities(logits, filters)
    likely = np.flatnonzero(expected > 0)
    tokens = draw(logits, filters, 3000).tokens
    assert set(tokens.tolist()) <= set(likely.tolist())
    assert expected[np.unique(tokens)].sum() > 0.9


@pytest.mark.parametrize("filters", SEVERAL)
def test_inverse_transform_of_the_same_uniform_gives_the_same_token(filters: Filters) -> None:
    rng = np.random.default_rng(5)
    for seed in range(60):
        logits = rng.normal(0, 2, 40).astype(np.float32)
        expected = probabilities(logits, filters)
        best_first = np.lexsort((np.arange(40), -logits))
        u = np.random.default_rng(seed).random()
        wanted = best_first[np.searchsorted(np.cumsum(expected[best_first]), u, side="right")]
        assert draw(logits, filters, seed=seed).tokens.tolist() == [wanted]


def test_logprobs_are_those_of_the_unmodified_distribution() -> None:
    logits = np.random.default_rng(0).normal(0, 4, 5000).astype(np.float32)
    drawn = draw(logits, Filters(top_k=3, temperature=0.2), 50)
    exact = logits.astype(np.float64) - np.logaddexp.reduce(logits.astype(np.float64))
    np.testing.assert_allclose(drawn.logprobs, exact[drawn.tokens], rtol=1e-5)


@pytest.mark.parametrize("offset", [-5000.0, -80.0, 0.0, 80.0, 5000.0])
def test_a_constant_added_to_all_logits_changes_nothing(offset: float) -> None:
    logits = np.random.default_rng(1).integers(-8, 8, 300).astype(np.float32)
    plain, moved = draw(logits, Filters(), 20), draw(logits + np.float32(offset), Filters(), 20)
    assert plain.tokens.tolist() == moved.tokens.tolist()
    np.testing.assert_allclose(plain.logprobs, moved.logprobs, rtol=1e-5)


def test_a_candidate_draws_the_same_whatever_runs_beside_it() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 1, (3, 200)).astype(np.float32)
    sampler = Sampler(Filters(), [11, 22, 33, 44], 6)
    together = [sampler.draw(logits, np.array([0, 1, 1, 2]), np.arange(4), step) for step in range(6)]
    for index, row in enumerate([0, 1, 1, 2]):
        alone = Sampler(Filters(), [[11, 22, 33, 44][index]], 6)
        for step in range(6):
            single = alone.draw(logits[row : row + 1], np.array([0]), np.array([0]), step)
            assert single.tokens[0] == together[step].tokens[index]
            assert single.logprobs[0] == together[step].logprobs[index]


def test_candidates_that_ended_leave_the_others_streams_alone() -> None:
    logits = np.random.default_rng(3).normal(0, 1, (1, 50)).astype(np.float32)
    both = Sampler(Filters(), [7, 8], 40)
    single = Sampler(Filters(), [8], 40)
    for step in range(40):
        left = both.draw(logits, np.array([0]), np.array([1]), step)
        assert left.tokens[0] == single.draw(logits, np.array([0]), np.array([0]), step).tokens[0]


def test_streams_of_neighbouring_seeds_are_independent() -> None:
    logits = np.zeros(4, dtype=np.float32)
    tokens = draw(logits, OPEN, 20_001).tokens
    assert_distributed(tokens[:-1] * 4 + tokens[1:], np.full(16, 1 / 16))


@pytest.mark.parametrize("top_k", [0, 1, 40])
def test_temperature_zero_takes_the_best_and_of_equals_the_first(top_k: int) -> None:
    logits = np.array([1.0, 3.0, 2.0, 3.0, -1.0])
    assert draw(logits, Filters(top_k=top_k, temperature=0), 8).tokens.tolist() == [1] * 8


def test_a_tiny_temperature_takes_the_best_without_overflow() -> None:
    assert draw([1.0, 1.5, 900.0, -900.0], Filters(temperature=1e-6), 20).tokens.tolist() == [2] * 20


def test_of_equal_logits_top_k_keeps_those_with_the_lowest_ids() -> None:
    tokens = draw(np.zeros(30), Filters(top_k=3, top_p=1.0, min_p=0.0, temperature=1.0), 3000).tokens
    assert_distributed(tokens, np.repeat([1 / 3, 0.0], [3, 27]))


def test_impossible_tokens_are_never_drawn() -> None:
    logits = np.full(3000, -np.inf)
    logits[[5, 2999]] = 0.0
    for filters in (OPEN, Filters()):
        drawn = draw(logits, filters, 400)
        assert set(drawn.tokens.tolist()) == {5, 2999}
        np.testing.assert_allclose(drawn.logprobs, np.log(0.5), rtol=1e-6)


def test_rows_of_different_width_do_not_disturb_each_other() -> None:
    logits = np.stack([np.r_[50.0, np.zeros(49)], np.zeros(50)]).astype(np.float32)
    filters = Filters(top_k=0, top_p=1.0, min_p=0.5, temperature=1.0)
    drawn = Sampler(filters, range(400), 1).draw(logits, np.repeat([0, 1], 200), np.arange(400), 0)
    assert set(drawn.tokens[:200].tolist()) == {0}
    assert len(set(drawn.tokens[200:].tolist())) > 40


def test_logits_are_only_read() -> None:
    logits = np.random.default_rng(4).normal(0, 70, (2, 5000)).astype(np.float32)
    before = logits.copy()
    Sampler(Filters(), [1, 2], 1).draw(logits, np.array([0, 1]), np.array([0, 1]), 0)
    np.testing.assert_array_equal(logits, before)


def test_a_long_answer_needs_no_memory_for_draws_it_never_makes() -> None:
    sampler = Sampler(Filters(), range(256), 10**9)
    logits = np.zeros((1, 10), dtype=np.float32)
    late = sampler.draw(logits, np.array([0]), np.array([3]), 1000)
    stream = np.random.default_rng(3).random(1001)
    assert late.tokens[0] == int(stream[-1] * 10)


finite = st.floats(-100, 100, width=32)
extreme = st.one_of(finite, st.just(float("-inf")), st.floats(-(2.0**126), 2.0**126, width=32))
filters_strategy = st.builds(
    Filters,
    top_k=st.integers(0, 60),
    top_p=st.floats(0.01, 1.0),
    min_p=st.floats(0.0, 1.0),
    temperature=st.one_of(st.just(0.0), st.floats(0.01, 5.0)),
)


@settings(max_examples=300, deadline=None)
@given(arrays.arrays(np.float32, st.integers(1, 80), elements=extreme), filters_strategy, st.integers(0, 2**63 - 1))
def test_any_logits_give_a_token_that_the_filters_allow(
    logits: npt.NDArray[np.float32], filters: Filters, seed: int
) -> None:
    logits[0] = max(float(logits[0]), -(2.0**126))  # at least one token is possible
    drawn = draw(logits, filters, seed=seed)
    token = int(drawn.tokens[0])
    assert logits[token] > -np.inf
    better = int((logits > logits[token]).sum())
    assert better < (filters.top_k or len(logits))
    if filters.temperature == 0:
        assert better == 0
    assert drawn.logprobs[0] <= 1e-4
    assert np.isfinite(drawn.logprobs[0])


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(np.float32, (3, 33), elements=finite), filters_strategy, st.permutations(range(6)))
def test_the_order_of_candidates_and_rows_does_not_matter(
    logits: npt.NDArray[np.float32], filters: Filters, order: Sequence[int]
) -> None:
    rows, candidates = np.array([0, 0, 1, 1, 2, 2]), np.arange(6)
    sampler = Sampler(filters, range(6), 1)
    plain, shuffled = (
        sampler.draw(logits, rows, candidates, 0),
        sampler.draw(logits, rows[list(order)], candidates[list(order)], 0),
    )
    assert plain.tokens[list(order)].tolist() == shuffled.tokens.tolist()
