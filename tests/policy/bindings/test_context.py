"""A KV cache of llama.cpp's: rows that belong to several sequences, what failing leaves, and saved states."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge_ttp.policy.bindings import Context, Model, grain_of
from edge_ttp.policy.decoder import Aborted, NoRoom
from edge_ttp.policy.reading import GRAIN

PROMPT = list(range(3, 23))


def made(model: Model, *, cells: int = 512, sequences: int = 5, cache_type: str = "f16") -> Context:
    return Context(model, cells=cells, sequences=sequences, chunk=32, threads=1, cache_type=cache_type)  # type: ignore[arg-type]


@pytest.fixture
def context(loaded: Model) -> Iterator[Context]:
    context = made(loaded)
    yield context
    context.close()
    context.close()  # again


def test_a_step_behind_a_prompt_gives_what_reading_it_whole_would(context: Context, loaded: Model) -> None:
    whole = context.prefill([*PROMPT, 7], 0, want_logits=True)
    assert whole is not None
    assert whole.shape == (loaded.vocab_size,)
    whole = whole.copy()
    context.clear()
    assert context.prefill(PROMPT, 0, want_logits=False) is None
    context.fork([1, 2])
    rows = context.step([7], [len(PROMPT)], [[1, 2]])
    assert rows.shape == (1, loaded.vocab_size)
    assert rows[0] == pytest.approx(whole, rel=1e-4, abs=1e-4)
    assert [context.length(one) for one in range(4)] == [20, 21, 21, 0]


def test_rows_of_several_sequences_are_each_their_own(context: Context) -> None:
    context.prefill(PROMPT, 0, want_logits=False)
    context.fork([1, 2, 3])
    context.step([7, 8], [20, 20], [[1, 3], [2]])
    three = context.step([9, 9, 10], [21, 21, 21], [[1], [2], [3]]).copy()
    context.drop(1)
    context.drop(3)
    assert [context.length(one) for one in (1, 2, 3)] == [0, 22, 0]
    context.drop(2)
    context.fork([4])
    context.step([7], [20], [[4]])
    alone = context.step([9], [21], [[4]])
    assert three[0] == pytest.approx(alone[0], rel=1e-4, abs=1e-4)
    assert three[1] != pytest.approx(alone[0], rel=1e-4, abs=1e-4)


def test_without_room_nothing_changes(loaded: Model) -> None:
    context = made(loaded, cells=64, sequences=2)
    for start in range(0, 240, 20):
        context.prefill(PROMPT, start, want_logits=False)
    with pytest.raises(NoRoom):
        context.prefill(PROMPT, 240, want_logits=False)  # llama.cpp's smallest cache has 256 cells
    assert context.length(0) == 240
    assert context.truncate(10)
    assert context.length(0) == 10
    context.prefill(PROMPT, 10, want_logits=False)
    context.close()


def test_an_abort_leaves_the_cache_and_is_forgotten_when_armed(context: Context) -> None:
    context.prefill(PROMPT, 0, want_logits=False)
    context.abort()
    with pytest.raises(Aborted):
        context.prefill([3], 20, want_logits=True)
    assert context.length(0) == 20
    context.arm()
    assert context.prefill([3], 20, want_logits=True) is not None


@pytest.mark.parametrize("length", [20, 13])
def test_a_saved_state_goes_on_as_the_cache_would_have(context: Context, loaded: Model, length: int) -> None:
    context.prefill(PROMPT, 0, want_logits=False)
    state = context.save(length)
    assert context.length(0) == 20
    assert context.length(1) == 0
    context.truncate(length)
    expected = context.prefill([7], length, want_logits=True)
    assert expected is not None
    other = made(loaded)
    other.prefill([5] * 9, 0, want_logits=False)  # what it held goes
    assert other.load(state, length)
    assert other.length(0) == length
    found = other.prefill([7], length, want_logits=True)
    assert found is not None
    assert found.tolist() == expected.tolist()
    other.close()


def test_what_is_no_state_or_one_of_another_length_is_not_there(loaded: Model) -> None:
    context = made(loaded)
    context.prefill(PROMPT, 0, want_logits=False)
    state = context.save(20)
    assert not context.load(state, 19)
    context.close()
    other = made(loaded)
    assert not other.load(state[:-40].copy(), 20)
    other.close()


def test_a_wiped_cache_holds_nothing(context: Context) -> None:
    context.prefill(PROMPT, 0, want_logits=False)
    context.fork([1])
    context.wipe()
    assert [context.length(0), context.length(1)] == [0, 0]
    context.prefill(PROMPT, 0, want_logits=False)


def test_reuse_is_exact_to_a_grain_only_where_rows_do_not_depend_on_one_another(loaded: Model) -> None:
    assert grain_of(loaded, "f16", 128) == GRAIN
    assert grain_of(loaded, "q8_0", 128) == 128  # flash attention
    assert grain_of(loaded, "f16", GRAIN + 1) == GRAIN + 1  # no whole grains in a chunk


def test_eight_bits_say_nearly_the_same(loaded: Model) -> None:
    exact, coarse = made(loaded), made(loaded, cache_type="q8_0")
    one, other = (each.prefill(PROMPT, 0, want_logits=True) for each in (exact, coarse))
    assert one is not None
    assert other is not None
    assert np.abs(one - other).max() < 0.2 * np.ptp(one)
    assert len(coarse.save(20)) < len(exact.save(20))
    exact.close()
    coarse.close()
