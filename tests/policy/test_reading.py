"""In which pieces prompts are read: the same ones for every token, whatever was read before."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.policy.reading import alike, pieces, reusable

shapes = st.sampled_from([(8, 128), (1, 4), (2, 8), (4, 4), (128, 128)])


def test_alike_counts_what_both_begin_with() -> None:
    assert alike((1, 2, 3), (1, 2, 4)) == 2
    assert alike((1, 2), np.array([1, 2, 3], dtype=np.int32)) == 2
    assert alike((), (1,)) == alike((2,), (1,)) == 0


@given(shapes, st.integers(1, 600), st.integers(0, 600))
def test_pieces_are_the_prompt_aligned_and_none_is_too_small(shape: tuple[int, int], length: int, shared: int) -> None:
    grain, chunk = shape
    start = reusable(min(shared, length), length, grain=grain, chunk=chunk)
    assert 0 <= start < length
    assert start % grain == 0
    found = list(pieces(start, length, grain=grain, chunk=chunk))
    assert [one for first, last in found for one in range(first, last)] == list(range(start, length))
    assert all(first % grain == 0 and last - first <= chunk for first, last in found)
    if grain < chunk and length >= grain:
        assert all(last - first >= grain for first, last in found)


@given(shapes, st.integers(1, 600), st.integers(0, 600))
def test_at_most_two_grains_of_what_is_shared_are_read_again(shape: tuple[int, int], length: int, shared: int) -> None:
    grain, chunk = shape
    shared = min(shared, length)
    assert shared - reusable(shared, length, grain=grain, chunk=chunk) <= 2 * grain
