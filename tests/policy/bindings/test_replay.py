"""Decode calls of a request again: timed, and nothing of them left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge_ttp.errors import OutOfCapacity
from edge_ttp.policy.bindings import Context, Model, Step, replay

STEPS = [
    Step((7, 8), 10, ((1, 3), (2,))),
    Step((7, 9, 8), 11, ((1,), (2,), (3,))),
    Step((5, 6), 12, ((1,), (3,)), drops=(2,)),
]


@pytest.fixture
def context(loaded: Model) -> Iterator[Context]:
    context = Context(loaded, cells=256, sequences=4, chunk=32, threads=1)
    context.prefill(list(range(3, 13)), 0, want_logits=False)
    yield context
    context.close()


def test_steps_are_timed_and_only_the_prompt_is_left(context: Context) -> None:
    for _ in range(2):  # they can be replayed again
        assert replay(context, (1, 2, 3), STEPS) > 0
        assert [context.length(sequence) for sequence in range(4)] == [10, 0, 0, 0]
    assert replay(context, (1,), []) == 0


def test_without_room_it_says_so_and_leaves_the_prompt(loaded: Model) -> None:
    context = Context(loaded, cells=256, sequences=4, chunk=128, threads=1)
    for start in (0, 128):
        context.prefill([5] * 127 if start else [5] * 128, start, want_logits=False)
    with pytest.raises(OutOfCapacity, match="llama_decode returned 1 for 3 rows"):
        replay(context, (1, 2, 3), [Step((5, 6, 7), 255, ((1,), (2,), (3,)))])
    assert [context.length(sequence) for sequence in range(4)] == [255, 0, 0, 0]
    context.close()
