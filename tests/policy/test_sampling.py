"""The sampler draws exactly the tokens the filters allow, with exactly their probabilities."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.sampling import Draw, Sampler
from edge_ttp.schema import Sampling

OPEN = Sampling(top_k=0, top_p=1.0, min_p=0.0, temperature=1.0)
SEVERAL = [
    OPEN,
    Sampling(),
    Sampling(top_k=3, top_p=1.0, min_p=0.0, temperature=1.0),
    Sampling(top_k=0, top_p=0.7, min_p=0.0, temperature=1.0),
    Sampling(top_k=0, top_p=1.0, min_p=0.2, temperature=1.0),
    Sampling(top_k=0, top_p=0.8, min_p=0.1, temperature=0.6),
    Sampling(top_k=5, top_p=0.9, min_p=0.02, temperature=1.5),
    Sampling(top_k=0, top_p=1.0, min_p=0.0, temperature=1.0, typical_p=0.5),
    Sampling(top_k=6, top_p=0.9, min_p=0.1, temperature=0.7, typical_p=0.8),
    Sampling(top_k=0, top_p=0.9, min_p=0.05, temperature=1.2, typical_p=0.57),
]
PENALTIES = [
    Sampling(top_k=4, top_p=1.0, min_p=0.0, temperature=1.0, logit_bias={1: 3.0, 0: -2.5}),
    Sampling(top_k=0, top_p=0.9, min_p=0.05, temperature=0.8, logit_bias={0: -1000.0, 2: -1000.0}),
    Sampling(repetition_penalty=1.8, temperature=1.0),
    Sampling(top_k=0, top_p=1.0, min_p=0.0, repetition_penalty=0.6, temperature=1.0),
    Sampling(top_k=0, top_p=0.95, min_p=0.1, presence_penalty=0.8, temperature=1.0),
    Sampling(top_k=5, frequency_penalty=0.7, temperature=1.0, penalty_window=3),
    Sampling(top_k=0, frequency_penalty=0.2, presence_penalty=-0.4, logit_bias={3: 4.0}, penalty_window=0),
    Sampling(temperature=0, frequency_penalty=5.0),
]
DRAWN = [0, 2, 2, 4, 0, 2]


def probabilities(
    logits: npt.ArrayLike, filters: Sampling, drawn: Sequence[int] = (), banned: Collection[int] = ()
) -> npt.NDArray[np.float64]:
    """The definition, one token after another: bias, penalties, top-k, typical, top-p, min-p, then the temperature.

    Bias to min-p follow llama.cpp's samplers of these names. `banned` tokens are not there at all.
    """
    values = np.asarray(logits, dtype=np.float64).copy()
    for token, bias in filters.logit_bias.items():
        values[token] += bias
    recent = Counter(drawn[-filters.penalty_window :] if filters.penalty_window else drawn)
    for token, count in recent.items():
        rate = filters.repetition_penalty
        values[token] = values[token] / rate if values[token] > 0 else values[token] * rate
        values[token] -= count * filters.frequency_penalty + filters.presence_penalty
    possible = [token for token in range(len(values)) if token not in banned and values[token] > -np.inf]
    order = sorted(possible, key=lambda token: (-values[token], token))
    if filters.temperature == 0:
        order = order[:1]
    if filters.top_k:
        order = order[: filters.top_k]
    plain = {token: float(np.exp(values[token] - values[order[0]])) for token in order}
    if filters.typical_p < 1:
        total = sum(plain.values())
        surprise = {token: -np.log(plain[token] / total) for token in order}
        entropy = sum(plain[token] / total * surprise[token] for token in order)
        mass, typical = 0.0, set()
        for token in sorted(order, key=lambda token: abs(surprise[token] - entropy)):
            if mass <= filters.typical_p:
                typical.add(token)
            mass += plain[token] / total
        order = [token for token in order if token in typical]
    total = sum(plain[token] for token in order)
    kept, mass = [], 0.0
    for token in order:
        if mass < filters.top_p or filters.top_p >= 1:
            kept.append(token)
        mass += plain[token] / total
    kept = [token for token in kept if plain[token] >= filters.min_p * plain[order[0]]]
    result = np.zeros(len(values))
    for token in kept:
        result[token] = np.exp((values[token] - values[order[0]]) / (filters.temperature or 1.0))
    return np.asarray(result / result.sum(), dtype=np.float64)


def sampler_of(sampling: Sampling, seeds: Sequence[int], draws: int, *, pool: Executor | None = None) -> Sampler:
    """A sampler whose biases are for token ids alone."""
    bias = [(int(token), value) for token, value in sampling.logit_bias.items()]
    return Sampler(sampling, seeds, draws, logit_bias=bias, pool=pool)


def draw(logits: npt.ArrayLike, filters: Sampling, n: int = 1, *, seed: int = 0, step: int = 0) -> Draw:
    """n candidates with seeds seed, seed + 1 ... draw from one row."""
    row = np.asarray(logits, dtype=np.float32)[None, :]
    sampler = sampler_of(filters, range(seed, seed + n), step + 1)
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
def test_tokens_come_with_the_probabilities_of_the_definition(filters: Sampling) -> None:
    logits = np.log([0.3, 0.02, 0.25, 0.01, 0.2, 0.04, 0.15, 0.03])
    tokens = draw(logits, filters, 20_000).tokens
    assert_distributed(tokens, probabilities(logits, filters))


@pytest.mark.parametrize("filters", PENALTIES)
def test_bias_and_penalties_change_the_probabilities_as_defined(filters: Sampling) -> None:
    logits = np.log([0.3, 0.02, 0.25, 0.01, 0.2, 0.04, 0.15, 0.03]) + 2.0
    row = logits.astype(np.float32)[None, :]
    n = 20_000
    drawn = sampler_of(filters, range(n), 1).draw(row, np.zeros(n, dtype=np.int64), np.arange(n), 0, drawn=[DRAWN])
    assert_distributed(drawn.tokens, probabilities(logits, filters, DRAWN))
    exact = logits - np.logaddexp.reduce(logits)
    np.testing.assert_allclose(drawn.logprobs, exact[drawn.tokens], rtol=1e-5)  # of the model, not of the penalties


@pytest.mark.slow
@pytest.mark.parametrize("vocabulary", [40, 3000, 50_000, 140_000])
@pytest.mark.parametrize("filters", [*PENALTIES[2:], PENALTIES[0].model_copy(update={"top_k": 40})])
def test_penalties_reach_the_best_tokens_of_a_large_vocabulary(vocabulary: int, filters: Sampling) -> None:
    logits = np.random.default_rng(vocabulary).normal(0, 3, vocabulary).astype(np.float32)
    best = np.argsort(-logits)[:30].tolist() * 2
    expected = probabilities(logits, filters, best)
    rows, candidates = np.zeros(300, dtype=np.int64), np.arange(300)
    tokens = sampler_of(filters, range(300), 1).draw(logits[None], rows, candidates, 0, drawn=[best]).tokens
    assert expected[tokens].min() > 0
    assert expected[np.unique(tokens)].sum() > 0.5


def test_rows_are_penalized_for_their_own_tokens() -> None:
    logits = np.zeros((2, 3), dtype=np.float32)
    sampler = sampler_of(Sampling(presence_penalty=100.0), range(600), 2)
    rows = np.repeat([0, 1], 300)
    tokens = sampler.draw(logits, rows, np.arange(600), 1, drawn=[[0], [1, 2]]).tokens
    assert set(tokens[:300].tolist()) == {1, 2}
    assert set(tokens[300:].tolist()) == {0}


def test_a_bias_beyond_the_vocabulary_and_a_ban_of_everything_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no token 9"):
        draw(np.zeros(9), Sampling(logit_bias={9: 1.0}))
    everything = Sampler(Sampling(), [0], 1, logit_bias=[(token, -math.inf) for token in range(3)])
    with pytest.raises(InvalidInput, match="no token that can follow"):
        everything.draw(np.zeros((1, 3), np.float32), np.array([0]), np.array([0]), 0)


def test_candidates_take_their_temperatures_in_turn() -> None:
    logits = np.log([0.5, 0.3, 0.2])
    filters = OPEN.model_copy(update={"temperatures": (0.0, 1.0, 3.0)})
    tokens = draw(logits, filters, 30_000).tokens
    assert set(tokens[::3].tolist()) == {0}
    assert_distributed(tokens[1::3], probabilities(logits, OPEN))
    assert_distributed(tokens[2::3], probabilities(logits, OPEN.model_copy(update={"temperature": 3.0})))


@pytest.mark.parametrize(
    ("filters", "vocabulary"),
    [
        *((filters, 8) for filters in (*SEVERAL, *PENALTIES)),
        *((filters, 10_000) for filters in (OPEN, Sampling(), SEVERAL[-1], PENALTIES[2], PENALTIES[4])),
    ],
)
def test_a_grammar_leaves_the_distribution_of_the_tokens_it_allows(filters: Sampling, vocabulary: int) -> None:
    """Also where none of the most probable tokens is allowed. Without a min-p nothing may be overlooked."""
    logits = np.random.default_rng(1).normal(0, 0.5, vocabulary).astype(np.float32)
    logits[8:] -= 2.0
    logits[vocabulary // 2 :] -= 20.0
    for allowed in ({1, 3, 4, 6}, {vocabulary - 1, vocabulary - 2}, set(range(0, vocabulary, 2))):
        asked: list[int] = []

        def allow(ids: npt.NDArray[np.int64], allowed: set[int] = allowed, asked: list[int] = asked):  # type: ignore[no-untyped-def]
            asked.append(len(ids))
            return np.isin(ids, sorted(allowed))

        banned = set(range(vocabulary)) - allowed
        expected = probabilities(logits, filters, DRAWN, banned)
        n = 400
        sampler = sampler_of(filters, range(n), 1)
        drawn = sampler.draw(logits[None], np.zeros(n, dtype=np.int64), np.arange(n), 0, drawn=[DRAWN], allowed=[allow])
        assert expected[drawn.tokens].min() > 0
        if vocabulary == 8:
            likely = expected > 5 / n
            counts = np.bincount(drawn.tokens, minlength=vocabulary)
            assert (np.abs(counts - n * expected)[likely] < 6 * np.sqrt(n * expected[likely])).all()
        assert np.isfinite(drawn.logprobs).all()


def test_a_grammar_is_not_asked_about_the_vocabulary_if_the_best_tokens_do() -> None:
    asked: list[int] = []

    def allow(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        asked.append(len(ids))
        return ids < 2

    logits = np.r_[5.0, 4.0, np.zeros(50_000)].astype(np.float32)
    row, candidates = np.zeros(20, dtype=np.int64), np.arange(20)
    drawn = sampler_of(Sampling(), range(20), 1).draw(logits[None], row, candidates, 0, allowed=[allow])
    assert asked == [512]
    assert set(drawn.tokens.tolist()) == {0, 1}


def test_a_grammar_that_allows_nothing_is_an_error() -> None:
    sampler = sampler_of(Sampling(), [1], 1)
    with pytest.raises(InvalidInput, match="no token that can follow"):
        sampler.draw(
            np.zeros((1, 9000), dtype=np.float32),
            np.array([0]),
            np.array([0]),
            0,
            allowed=[lambda ids: np.zeros(len(ids), dtype=bool)],
        )


@pytest.mark.slow
def test_a_second_thread_changes_nothing() -> None:
    logits = np.random.default_rng(6).normal(0, 3, (3, 150_000)).astype(np.float32)
    rows, candidates = np.arange(3), np.arange(3)
    with ThreadPoolExecutor(1) as pool:
        for filters in (Sampling(), Sampling(top_k=0, repetition_penalty=1.5)):
            alone = sampler_of(filters, range(3), 1).draw(logits, rows, candidates, 0, drawn=[[3]] * 3)
            helped = sampler_of(filters, range(3), 1, pool=pool).draw(logits, rows, candidates, 0, drawn=[[3]] * 3)
            np.testing.assert_array_equal(alone.tokens, helped.tokens)
            np.testing.assert_array_equal(alone.logprobs, helped.logprobs)


@pytest.mark.parametrize("vocabulary", [5, 900, 1024, 1025, 3000, 50_000, 140_001])
@pytest.mark.parametrize("filters", [Sampling(), Sampling(top_k=1), Sampling(top_k=2000), SEVERAL[5]])
def test_large_vocabularies_lose_no_likely_token(vocabulary: int, filters: Sampling) -> None:
    logits = np.random.default_rng(vocabulary).normal(0, 3, vocabulary).astype(np.float32)
    expected = probabilities(logits, filters)
    likely = np.flatnonzero(expected > 0)
    tokens = draw(logits, filters, 3000).tokens
    assert set(tokens.tolist()) <= set(likely.tolist())
    assert expected[np.unique(tokens)].sum() > 0.9


@pytest.mark.parametrize("filters", SEVERAL)
def test_inverse_transform_of_the_same_uniform_gives_the_same_token(filters: Sampling) -> None:
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
    drawn = draw(logits, Sampling(top_k=3, temperature=0.2), 50)
    exact = logits.astype(np.float64) - np.logaddexp.reduce(logits.astype(np.float64))
    np.testing.assert_allclose(drawn.logprobs, exact[drawn.tokens], rtol=1e-5)


@pytest.mark.parametrize("offset", [-5000.0, -80.0, 0.0, 80.0, 5000.0])
def test_a_constant_added_to_all_logits_changes_nothing(offset: float) -> None:
    logits = np.random.default_rng(1).integers(-8, 8, 300).astype(np.float32)
    plain, moved = draw(logits, Sampling(), 20), draw(logits + np.float32(offset), Sampling(), 20)
    assert plain.tokens.tolist() == moved.tokens.tolist()
    np.testing.assert_allclose(plain.logprobs, moved.logprobs, rtol=1e-5)


def test_a_candidate_draws_the_same_whatever_runs_beside_it() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 1, (3, 200)).astype(np.float32)
    sampler = sampler_of(Sampling(), [11, 22, 33, 44], 6)
    together = [sampler.draw(logits, np.array([0, 1, 1, 2]), np.arange(4), step) for step in range(6)]
    for index, row in enumerate([0, 1, 1, 2]):
        alone = sampler_of(Sampling(), [[11, 22, 33, 44][index]], 6)
        for step in range(6):
            single = alone.draw(logits[row : row + 1], np.array([0]), np.array([0]), step)
            assert single.tokens[0] == together[step].tokens[index]
            assert single.logprobs[0] == together[step].logprobs[index]


def test_candidates_that_ended_leave_the_others_streams_alone() -> None:
    logits = np.random.default_rng(3).normal(0, 1, (1, 50)).astype(np.float32)
    both = sampler_of(Sampling(), [7, 8], 40)
    single = sampler_of(Sampling(), [8], 40)
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
    assert draw(logits, Sampling(top_k=top_k, temperature=0), 8).tokens.tolist() == [1] * 8


def test_a_tiny_temperature_takes_the_best_without_overflow() -> None:
    assert draw([1.0, 1.5, 900.0, -900.0], Sampling(temperature=1e-6), 20).tokens.tolist() == [2] * 20


def test_of_equal_logits_top_k_keeps_those_with_the_lowest_ids() -> None:
    tokens = draw(np.zeros(30), Sampling(top_k=3, top_p=1.0, min_p=0.0, temperature=1.0), 3000).tokens
    assert_distributed(tokens, np.repeat([1 / 3, 0.0], [3, 27]))


def test_impossible_tokens_are_never_drawn() -> None:
    logits = np.full(3000, -np.inf)
    logits[[5, 2999]] = 0.0
    for filters in (OPEN, Sampling()):
        drawn = draw(logits, filters, 400)
        assert set(drawn.tokens.tolist()) == {5, 2999}
        np.testing.assert_allclose(drawn.logprobs, np.log(0.5), rtol=1e-6)


def test_rows_of_different_width_do_not_disturb_each_other() -> None:
    logits = np.stack([np.r_[50.0, np.zeros(49)], np.zeros(50)]).astype(np.float32)
    filters = Sampling(top_k=0, top_p=1.0, min_p=0.5, temperature=1.0)
    drawn = sampler_of(filters, range(400), 1).draw(logits, np.repeat([0, 1], 200), np.arange(400), 0)
    assert set(drawn.tokens[:200].tolist()) == {0}
    assert len(set(drawn.tokens[200:].tolist())) > 40


def test_logits_are_only_read() -> None:
    logits = np.random.default_rng(4).normal(0, 70, (2, 5000)).astype(np.float32)
    before = logits.copy()
    sampler_of(Sampling(), [1, 2], 1).draw(logits, np.array([0, 1]), np.array([0, 1]), 0)
    np.testing.assert_array_equal(logits, before)


def test_a_long_answer_needs_no_memory_for_draws_it_never_makes() -> None:
    sampler = sampler_of(Sampling(), range(256), 10**9)
    logits = np.zeros((1, 10), dtype=np.float32)
    late = sampler.draw(logits, np.array([0]), np.array([3]), 1000)
    stream = np.random.default_rng(3).random(1001)
    assert late.tokens[0] == int(stream[-1] * 10)


finite = st.floats(-100, 100, width=32)
extreme = st.one_of(finite, st.just(float("-inf")), st.floats(-(2.0**126), 2.0**126, width=32))
filters_strategy = st.builds(
    Sampling,
    top_k=st.integers(0, 60),
    top_p=st.floats(0.0, 1.0, exclude_min=True),
    min_p=st.floats(0.0, 1.0),
    temperature=st.one_of(st.just(0.0), st.floats(0.01, 5.0)),
    typical_p=st.sampled_from([1.0, 1.0, 0.4]),
)


@settings(max_examples=300)
@given(arrays.arrays(np.float32, st.integers(1, 80), elements=extreme), filters_strategy, st.integers(0, 2**63 - 1))
def test_any_logits_give_a_token_that_the_filters_allow(
    logits: npt.NDArray[np.float32], filters: Sampling, seed: int
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


@settings(max_examples=100)
@given(arrays.arrays(np.float32, (3, 33), elements=finite), filters_strategy, st.permutations(range(6)))
def test_the_order_of_candidates_and_rows_does_not_matter(
    logits: npt.NDArray[np.float32], filters: Sampling, order: Sequence[int]
) -> None:
    rows, candidates = np.array([0, 0, 1, 1, 2, 2]), np.arange(6)
    sampler = sampler_of(filters, range(6), 1)
    plain, shuffled = (
        sampler.draw(logits, rows, candidates, 0),
        sampler.draw(logits, rows[list(order)], candidates[list(order)], 0),
    )
    assert plain.tokens[list(order)].tolist() == shuffled.tokens.tolist()
