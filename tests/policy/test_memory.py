"""What a policy takes, reckoned beforehand: sizes by hand, and layouts that keep every limit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.errors import OutOfCapacity
from edge_ttp.policy.memory import LIBRARY_BYTES, MIB, Footprint, Layout

FOOTPRINT = Footprint(
    weights=100 * MIB, vocabulary=50_000, embedding=512, heads=8, kv_elements=4096, blocks_of_32=True, chunk=128
)


def laid_out(limit: int | None, *, n: int = 32, prompt: int = 500, max_tokens: int = 100, most: int = 256) -> Layout:
    return FOOTPRINT.lay_out(prompt=prompt, max_tokens=max_tokens, n=n, most_sequences=most, limit=limit)


def test_sizes_are_sums_of_their_parts() -> None:
    assert FOOTPRINT.fixed == 100 * MIB + 50_000 * 160 + 128 * 512 * 4 * 24 + LIBRARY_BYTES
    assert FOOTPRINT.sequence == 2 * 4 * 50_000
    assert FOOTPRINT.cell("f16") == 4096 * 2 + 4 * 128 * 9
    assert FOOTPRINT.cell("q8_0") == 4096 * 34 // 32 + 4 * 128
    assert FOOTPRINT.state("f16") == 4096 * 2 + 16
    assert FOOTPRINT.total(10, 3, "f16") == FOOTPRINT.fixed + 3 * FOOTPRINT.sequence + 10 * FOOTPRINT.cell("f16")


def test_without_a_limit_all_are_drawn_at_once_as_far_as_sequences_go() -> None:
    assert laid_out(None) == Layout(32, 1, 500 + 32 * 100, "f16", ())
    many = laid_out(None, n=300)
    assert (many.width, many.waves) == (150, 2)
    assert many.notes == ("many candidates: 300 candidates run in 2 waves of at most 150",)


def test_waves_are_equally_wide() -> None:
    limit = FOOTPRINT.total(500 + 31 * 100, 32, "f16")  # 31 fit: two waves of 16, not 31 and 1
    found = laid_out(limit)
    assert (found.width, found.waves) == (16, 2)
    assert found.cells == 500 + 16 * 100


def test_eight_bits_only_where_fewer_than_four_would_fit_and_more_do_so() -> None:
    three = FOOTPRINT.total(500 + 3 * 100, 4, "f16")
    assert laid_out(three).cache_type == "q8_0"
    assert laid_out(three, n=3).cache_type == "f16"  # three were asked for
    odd = replace(FOOTPRINT, blocks_of_32=False)
    found = odd.lay_out(prompt=500, max_tokens=100, n=32, most_sequences=256, limit=three)
    assert (found.cache_type, found.width) == ("f16", 3)


def test_a_limit_below_one_candidate_says_what_it_would_take() -> None:
    enough = FOOTPRINT.total(600, 2, "q8_0")
    assert laid_out(enough).width == 1
    with pytest.raises(OutOfCapacity, match="a prompt of 500 tokens and one answer of 100 need") as raised:
        laid_out(enough - 1)
    assert f"{(enough - 1) // MIB} MiB are allowed" in raised.value.fact
    with pytest.raises(OutOfCapacity):
        laid_out(1)


def test_caches_grow_in_steps_where_the_limit_allows_it() -> None:
    layout = laid_out(None, n=5)
    assert FOOTPRINT.rounded(layout, most_sequences=256, limit=None) == (1024, 17)
    assert FOOTPRINT.rounded(layout, most_sequences=6, limit=None) == (1024, 6)
    tight = FOOTPRINT.total(1024, 17, "f16")
    assert FOOTPRINT.rounded(layout, most_sequences=256, limit=tight) == (1024, 17)
    assert FOOTPRINT.rounded(layout, most_sequences=256, limit=tight - 1) == (1000, 6)


@given(st.integers(1, 300), st.integers(0, 4000), st.integers(1, 2000), st.integers(120, 900))
def test_no_layout_exceeds_its_limit_or_leaves_a_candidate_out(n: int, prompt: int, longest: int, mib: int) -> None:
    try:
        found = laid_out(mib * MIB, n=n, prompt=prompt, max_tokens=longest)
    except OutOfCapacity:
        assert FOOTPRINT.total(prompt + longest, 2, "q8_0") > mib * MIB
        return
    assert found.width * found.waves >= n > found.width * (found.waves - 1)
    assert FOOTPRINT.total(found.cells, found.width + 1, found.cache_type) <= mib * MIB
    cells, sequences = FOOTPRINT.rounded(found, most_sequences=256, limit=mib * MIB)
    assert cells >= found.cells
    assert sequences > found.width
    assert FOOTPRINT.total(cells, sequences, found.cache_type) <= mib * MIB
