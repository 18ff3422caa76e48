"""The candidate engine on a small table of logits: what is computed, shared and reused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.policy.engine import Engine
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import Sampling

from .calls import APART, OPEN, VOCABULARY, request, restless, said, sample, script, uniform
from .table import TableDecoder
from .test_sampling import assert_distributed


def test_the_prompt_is_read_once_in_chunks_and_only_its_end_gives_logits() -> None:
    decoder = TableDecoder(restless)
    sampled = sample(decoder, request())
    assert decoder.prefills == [(0, (1, 2, 3, 4)), (4, (5, 6))]
    assert (sampled.prompt_tokens, sampled.cached_tokens) == (6, 0)


def test_candidates_differ_and_keep_the_order_of_their_seeds() -> None:
    sampled = sample(TableDecoder(uniform), request(n=8))
    assert len({one.text for one in sampled.candidates}) == 8
    assert len(sampled.candidates) == 8
    assert [one.seed for one in sampled.candidates] == list(range(3, 11))


def test_seeds_at_the_end_of_their_range_wrap_around() -> None:
    sampled = sample(TableDecoder(uniform), request(n=3, seed=2**63 - 2))
    assert [one.seed for one in sampled.candidates] == [2**63 - 2, 2**63 - 1, 0]


def test_the_same_seed_gives_the_same_candidates() -> None:
    first, again, other = (sample(TableDecoder(restless), request(seed=seed)) for seed in (5, 5, 6))
    assert said(first) == said(again) != said(other)


def test_a_candidate_is_the_same_with_fewer_or_more_beside_it() -> None:
    few, many = sample(TableDecoder(restless), request(n=2)), sample(TableDecoder(restless), request(n=50))
    assert said(few) == said(many)[:2]


def test_the_logprob_is_the_sum_over_the_tokens_drawn() -> None:
    sampled = sample(TableDecoder(uniform), request(max_tokens=7, sampling=Sampling(top_k=2)))
    for one in sampled.candidates:
        assert one.logprob == pytest.approx(7 * -np.log(VOCABULARY), rel=1e-6)


def test_candidates_that_said_the_same_take_one_row() -> None:
    decoder = TableDecoder(script(3, 4, 5))
    sampled = sample(decoder, request(n=5, max_tokens=3))
    assert decoder.steps == [((3, (1, 2, 3, 4, 5)),), ((4, (1, 2, 3, 4, 5)),)]
    assert (sampled.rows, sampled.steps) == (2, 2)


def test_without_sharing_every_candidate_takes_its_own_row() -> None:
    decoder = TableDecoder(script(3, 4, 5))
    sampled = sample(decoder, request(n=5, max_tokens=3, sampling=APART))
    assert [len(rows) for rows in decoder.steps] == [5, 5]
    assert sampled.rows == 10


@settings(max_examples=60)
@given(
    n=st.integers(1, 24),
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0.0, 0.3, 1.0]),
    width=st.integers(1, 24),
    top_k=st.integers(0, VOCABULARY),
)
def test_sharing_and_waves_change_nothing(n: int, seed: int, temperature: float, width: int, top_k: int) -> None:
    asked = request(n=n, seed=seed, sampling=Sampling(top_k=top_k, temperature=temperature), stop=("7 7",))
    shared, apart = TableDecoder(restless, ends=[6]), TableDecoder(restless, ends=[6])
    with_sharing = sample(shared, asked)
    without = sample(
        apart, replace(asked, sampling=asked.sampling.model_copy(update={"share_prefixes": False})), width=width
    )
    assert said(with_sharing) == said(without)
    assert with_sharing.rows <= without.rows
    assert without.waves == -(-n // width)


@pytest.mark.slow
def test_shared_decoding_has_exactly_the_distribution_of_independent_sampling() -> None:
    """All texts of a three-token Markov chain, by the chain rule, against what 4,000 sharing calls of 8 drew."""
    start = np.array([0.5, 0.3, 0.2])
    table = np.array([[0.1, 0.6, 0.3], [0.4, 0.4, 0.2], [0.25, 0.25, 0.5]])

    def markov(prefix: tuple[int, ...]) -> np.ndarray:
        return np.asarray(np.log(start if len(prefix) == 1 else table[prefix[-1]]))

    engine = Engine(TableDecoder(markov, pieces=[b"a", b"b", b"c"]))
    counts: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for call in range(4000):
        asked = Request(prompt=(0,), n=8, sampling=OPEN, seed=call * 8, max_tokens=3)
        texts = [one.text for one in engine.sample(asked, Control(), width=8).candidates]
        counts.update(texts)
        pairs.update(zip(texts[::2], texts[1::2], strict=True))
    words = ["".join(letters) for letters in product("abc", repeat=3)]
    probability = {
        word: start["abc".index(word[0])]
        * table["abc".index(word[0])]["abc".index(word[1])]
        * table["abc".index(word[1])]["abc".index(word[2])]
        for word in words
    }
    drawn = np.repeat(np.arange(27), [counts[word] for word in words])
    assert_distributed(drawn, np.array([probability[word] for word in words]))
    # Two candidates of one call are independent of each other: the same first letter as often as chance has it.
    same = sum(count for (one, other), count in pairs.items() if one[0] == other[0])
    assert_distributed(
        np.repeat([0, 1], [same, pairs.total() - same]), np.array([(start**2).sum(), 1 - (start**2).sum()])
    )


def test_a_prompt_that_begins_alike_is_reused_in_whole_chunks() -> None:
    decoder = TableDecoder(restless)
    engine = Engine(decoder)
    engine.sample(request(prompt=(1, 2, 3, 4, 5, 6, 7)), Control(), width=8)
    decoder.prefills.clear()
    sampled = engine.sample(request(prompt=(1, 2, 3, 4, 5, 6, 0, 0, 0)), Control(), width=8)
    assert decoder.prefills == [(4, (5, 6, 0, 0)), (8, (0,))]
    assert sampled.cached_tokens == 4


def test_the_same_prompt_again_reads_nothing() -> None:
    for length in (6, 8, 9, 3):
        decoder = TableDecoder(restless)
        engine = Engine(decoder)
        asked = request(prompt=tuple(range(length)))
        first = engine.sample(asked, Control(), width=8)
        again = engine.sample(asked, Control(), width=8)
        assert (first.cached_tokens, again.cached_tokens) == (0, length)
        assert len(decoder.prefills) == -(-length // decoder.chunk)
        assert said(first) == said(again)


def test_a_prompt_whose_end_was_cut_off_is_read_to_its_end_again() -> None:
    decoder = TableDecoder(restless)
    engine = Engine(decoder)
    engine.sample(request(prompt=tuple(range(8))), Control(), width=8)
    shorter = engine.sample(request(prompt=tuple(range(6))), Control(), width=8)
    assert shorter.cached_tokens == 4
    assert said(shorter) == said(sample(TableDecoder(restless), request(prompt=tuple(range(6))), width=8))


def test_with_a_finer_grain_pieces_begin_at_its_multiples_and_none_is_smaller() -> None:
    decoder = TableDecoder(restless, chunk=8)
    decoder.grain = 2
    engine = Engine(decoder)
    engine.sample(request(prompt=tuple(range(17))), Control(), width=8)
    assert decoder.prefills == [(0, tuple(range(8))), (8, tuple(range(8, 14))), (14, (14, 15, 16))]
    decoder.prefills.clear()
    sampled = engine.sample(request(prompt=(*range(13), 7, 7, 7)), Control(), width=8)
    assert (sampled.cached_tokens, decoder.prefills) == (12, [(12, (12, 7, 7, 7))])


prompts = st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(prompts, min_size=2, max_size=5), st.booleans(), st.sampled_from((1, 2, 4)))
def test_reuse_changes_nothing(asked: list[tuple[int, ...]], can_truncate: bool, grain: int) -> None:
    decoder = TableDecoder(restless, ends=[0])
    decoder.can_truncate, decoder.grain = can_truncate, grain
    engine = Engine(decoder)
    for prompt in asked:
        warm = engine.sample(request(prompt=prompt), Control(), width=4)
        cold = sample(TableDecoder(restless, ends=[0]), request(prompt=prompt), width=4)
        assert said(warm) == said(cold)
        assert decoder.cells_used() == decoder.cells_of(0) == len(prompt)


def test_forget_leaves_nothing_of_the_prompt() -> None:
    decoder = TableDecoder(restless)
    engine = Engine(decoder)
    engine.sample(request(), Control(), width=8)
    engine.forget()
    assert decoder.cells_used() == 0
    assert engine.sample(request(), Control(), width=8).cached_tokens == 0
