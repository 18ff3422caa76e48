"""What a policy's steps take: what is timed, and that it can be cancelled."""

from __future__ import annotations

import threading

import pytest

from edge_ttp.budget.timed import CHUNK, Timed
from edge_ttp.errors import Cancelled
from edge_ttp.policy import bindings
from edge_ttp.policy.job import Steps
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.timing import extent, measuring


def test_measured_speeds_are_of_this_device(policy: LlamaPolicy) -> None:
    quick = policy.measure()
    assert quick.threads == policy.threads
    assert {rows for rows, _, _ in quick.steps} == {1, 2, 8, 16}
    assert {count for count, _, _ in quick.chunks} == {16, CHUNK}
    assert min(seconds for *_, seconds in (*quick.chunks, *quick.steps)) > 0
    thorough = policy.measure(1, thorough=True)
    assert thorough.threads == 1
    assert len({cells for _, cells, _ in thorough.steps}) > len({cells for _, cells, _ in quick.steps})
    assert max(rows for rows, _, _ in thorough.steps) == 32


def test_the_extent_follows_the_models_context() -> None:
    assert extent(8192, thorough=False) == ((1, 2, 8, 16), 2 * CHUNK)
    assert extent(8192, thorough=True) == ((1, 2, 4, 8, 16, 32), 1024)
    assert extent(1000, thorough=True)[1] == 3 * CHUNK  # half the context, in whole chunks
    assert extent(2 * CHUNK - 1, thorough=False)[1] == 0


def finished(steps: Steps[Timed]) -> Timed:
    """What the steps come to."""
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            timed: Timed = ended.value
            return timed


def test_requests_come_between_and_a_cancel_ends_it(policy: LlamaPolicy) -> None:
    context = bindings.Context(policy._model, cells=600, sequences=9, chunk=CHUNK, threads=1)
    stop = threading.Event()
    steps = measuring(context, [5] * CHUNK, 2 * CHUNK, (1, 2, 16), threads=1, stop=stop)
    assert [next(steps) for _ in range(3)] == [None] * 3
    stop.set()
    with pytest.raises(Cancelled, match="while the device was measured"):
        next(steps)
    context.clear()
    stop.clear()
    timed = finished(measuring(context, [5] * CHUNK, 2 * CHUNK, (1, 2, 16), threads=1, stop=stop))
    assert {rows for rows, _, _ in timed.steps} == {1, 2}  # 16 rows have no sequences here
    assert [(count, start) for count, start, _ in timed.chunks] == [(CHUNK, 0), (CHUNK, CHUNK), (16, CHUNK)]
    assert context.length(0) == 0
    context.close()
