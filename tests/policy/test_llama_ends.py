"""LlamaPolicy under many threads, cancelled, cut off, closed: nobody waits, and nothing is left in the cache."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_ttp.budget.timed import CHUNK
from edge_ttp.errors import Cancelled, DeadlineTooShort, ModelUnavailable, OutOfCapacity
from edge_ttp.policy import bindings
from edge_ttp.policy.decoder import Aborted
from edge_ttp.policy.engine import Engine
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, StepReport

from .tiny_calls import FREE, cells_left, request


def test_calls_from_many_threads_draw_what_they_draw_alone(policy: LlamaPolicy) -> None:
    asked = [request(tuple(range(3, 20 + index)), n=1 + index % 5, seed=index) for index in range(12)]
    alone = [policy.sample(one, FREE).candidates for one in asked]
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda one: policy.sample(one, FREE).candidates, asked * 3))
    assert together == alone * 3


def test_a_cancel_reaches_a_running_computation(policy: LlamaPolicy) -> None:
    """A prompt of 30 chunks is left within one of them, and the policy goes on as if nothing had been."""
    before = policy.sample(request(), FREE).candidates
    cancel = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(policy.sample, request((5,) * 4000, max_tokens=50), Control(cancel=cancel))
        time.sleep(0.02)
        cancel.set()
        try:
            cut = running.result(30)
        except Cancelled:
            pass
        else:
            assert "cancelled" in {one.finish_reason for one in cut.candidates}
    assert policy.sample(request(), FREE).candidates == before


def test_an_aborted_computation_leaves_the_cache_as_it_was(policy: LlamaPolicy) -> None:
    policy.sample(request(), FREE)
    context = policy._seats.all[0].context
    context.clear()
    filled = context.prefill([3] * 20, 0, want_logits=True)
    assert filled is not None
    plain = filled.copy()
    context.truncate(19)
    context.abort()
    with pytest.raises(Aborted):
        context.prefill([3], 19, want_logits=True)
    assert context.length(0) == 19
    context.fork([1, 2])
    with pytest.raises(Aborted):
        context.step([3], [19], [[1, 2]])
    assert [context.length(sequence) for sequence in (0, 1, 2)] == [19, 19, 19]
    context.arm()
    again = context.step([3], [19], [[1, 2]])
    assert again[0].tolist() == pytest.approx(plain.tolist(), rel=1e-4, abs=1e-4)


def test_no_free_slot_in_the_cache_costs_candidates_and_not_the_answer(policy: LlamaPolicy) -> None:
    """llama_decode's own "no slot", in a cache that is far too small for the width it is given."""
    context = bindings.Context(policy._model, cells=256, sequences=41, chunk=CHUNK, threads=1)
    engine = Engine(context)
    sampled = engine.sample(request(n=40, max_tokens=30), FREE, width=40)
    reasons = [one.finish_reason for one in sampled.candidates]
    assert {"capacity"} < set(reasons) <= {"capacity", "length", "stop"}
    assert reasons[0] != "capacity"
    assert {context.length(sequence) for sequence in range(1, 41)} == {0}
    with pytest.raises(OutOfCapacity, match="the cache holds 256 tokens of a longer prompt"):
        engine.sample(request((5,) * 300), FREE, width=6)
    again = engine.sample(request(n=2), FREE, width=2)
    assert {one.finish_reason for one in again.candidates} <= {"length", "stop"}
    context.close()


def test_a_thread_that_cannot_be_started_is_a_refusal(
    policy: LlamaPolicy, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = policy.sample(request(), FREE).candidates
    other = LlamaPolicy(tiny_path, threads=1)
    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OutOfCapacity, match="a thread cannot be started"):
            other.sample(request(), FREE)
    assert other.sample(request(), FREE).candidates == before
    other.close()


def test_a_deadline_reaches_a_running_computation(policy: LlamaPolicy) -> None:
    with pytest.raises(DeadlineTooShort):
        policy.sample(request((5,) * 4000), Control(deadline=time.monotonic() + 0.01))
    assert len(policy.sample(request(), FREE).candidates) == 6


@pytest.mark.slow
def test_random_cancels_leave_no_trace(policy: LlamaPolicy) -> None:
    rng = random.Random(3)
    expected = policy.sample(request(), FREE).candidates
    for _ in range(60):
        cancel = threading.Event()
        timer = threading.Timer(rng.random() * 0.03, cancel.set)
        timer.start()
        at = rng.randrange(1, 40)

        def on_step(progress: StepReport, at: int = at, cancel: threading.Event = cancel) -> None:
            if max(progress.tokens) == at:
                cancel.set()

        try:
            sampled = policy.sample(
                request(tuple(range(3, rng.randrange(4, 250))), n=rng.randrange(1, 20), max_tokens=40),
                Control(cancel=cancel, on_step=on_step),
            )
            assert sampled.candidates
        except Cancelled:
            pass
        timer.join()
        assert set(cells_left(policy)) == {0}
    assert policy.sample(request(), FREE).candidates == expected


def test_a_closed_policy_says_so_to_everybody(tiny_path: Path) -> None:
    policy = LlamaPolicy(tiny_path, threads=1)
    started, closing = threading.Event(), threading.Event()

    def hold(_: object) -> int:
        started.set()
        assert closing.wait(30)
        return 4

    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(policy.sample, request(), Control(first_wave=2, more=hold))
        assert started.wait(30)
        close = pool.submit(policy.close)
        while not policy._closed:
            time.sleep(0.001)
        with pytest.raises(ModelUnavailable, match="closed"):
            policy.sample(request(), FREE)
        closing.set()
        assert len(running.result(30).candidates) == 6
        close.result(30)
    for use in (lambda: policy.encode_text("a"), lambda: policy.count_tokens("a"), policy.measure, policy.forget):
        with pytest.raises(ModelUnavailable, match="closed"):
            use()
    policy.close()  # again
