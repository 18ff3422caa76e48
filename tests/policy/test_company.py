"""Several calls on one policy at once: the same answers as alone, by turns, each in a cache of its own."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_ttp.errors import Cancelled, DeadlineTooShort
from edge_ttp.policy.job import Claim, Queued
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request, Sampled, StepReport
from edge_ttp.policy.scheduler import Scheduler
from edge_ttp.schema import LoraAdapter, Sampling

from . import tiny
from .tiny_calls import FREE, conversation


def test_what_a_seed_says_does_not_depend_on_company(policy: LlamaPolicy, tmp_path: Path) -> None:
    path = tmp_path / "lora.gguf"
    tiny.adapter(path, seed=1)
    adapted = Sampling(adapters=(LoraAdapter(path=str(path)),))
    asked = [
        conversation(first, n=1 + first % 7, prompt=20 + 37 * first, sampling=adapted if first % 3 == 0 else Sampling())
        for first in range(12)
    ]
    alone = [policy.sample(one, FREE) for one in asked]
    together = threading.Barrier(len(asked))

    def call(one: Request) -> Sampled:
        together.wait()
        return policy.sample(one, FREE)

    with ThreadPoolExecutor(len(asked)) as threads:
        beside = list(threads.map(call, asked))
    for one, other in zip(alone, beside, strict=True):
        assert one.candidates == other.candidates
        assert one.token_ids == other.token_ids
    assert not policy._seats.busy


def test_a_short_call_ends_while_a_long_one_goes_on(policy: LlamaPolicy) -> None:
    drawing, stop = threading.Event(), threading.Event()
    long = conversation(n=40, max_tokens=4000, sampling=Sampling(logit_bias={}), stop=())

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(
            policy.sample,
            endless(long),
            Control(cancel=stop, on_step=lambda _: drawing.set()),
            claim=Claim(user="ann"),
        )
        assert drawing.wait(60)
        short = policy.sample(conversation(7, n=2), FREE, claim=Claim(user="bob"))
        assert not running.done()
        stop.set()
        cut = running.result(60)
    assert {one.finish_reason for one in short.candidates} <= {"stop", "length"}
    assert "cancelled" in {one.finish_reason for one in cut.candidates}


def endless(one: Request) -> Request:
    """The same, no answer of which ends by itself."""
    ends = tuple((token, -1000.0) for token in (0, 1, 2, len(tiny.WORDS) - 1))
    return Request(one.prompt, one.n, one.sampling, one.seed, one.max_tokens, logit_bias=ends)


def test_time_spent_waiting_is_not_counted_as_the_calls_own(policy: LlamaPolicy) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(policy.sample, endless(conversation(n=40, max_tokens=4000)), Control(cancel=stop))
        began = time.monotonic()
        short = policy.sample(conversation(9, n=4, max_tokens=30), FREE, claim=Claim(user="bob"))
        passed = time.monotonic() - began
        stop.set()
        running.result(60)
    assert short.prefill_s + short.decode_s < passed


def test_without_room_for_two_the_second_waits_and_is_told(policy: LlamaPolicy) -> None:
    tight = policy._footprint.total(policy.layout(50, 12, 6).cells, 7, "f16")
    asked = threading.Event()
    told: list[Queued] = []

    def hold(_: object) -> int:
        assert asked.wait(60)
        return 0

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(policy.sample, conversation(n=7), Control(first_wave=6, more=hold), memory_bytes=tight)
        while not policy._seats.busy:
            time.sleep(0.001)
        second = threads.submit(policy.sample, conversation(5), Control(on_queued=told.append), memory_bytes=tight)
        while not told and not second.done():
            time.sleep(0.001)
        asked.set()
        first.result(60)
        assert len(second.result(60).candidates) == 6
    assert [one.position for one in told] == [1]
    assert len(policy._seats.all) == 1


def test_who_waits_for_room_can_give_up(policy: LlamaPolicy) -> None:
    tight = policy._footprint.total(policy.layout(50, 12, 6).cells, 7, "f16")
    asked, cancel = threading.Event(), threading.Event()

    def hold(_: object) -> int:
        assert asked.wait(60)
        return 0

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(
            policy.sample, conversation(n=7), Control(first_wave=6, more=hold), memory_bytes=tight + 10**6
        )
        while not policy._seats.busy:
            time.sleep(0.001)
        with pytest.raises(DeadlineTooShort):
            policy.sample(conversation(5), Control(deadline=time.monotonic() + 0.05), memory_bytes=tight)
        waiting = threads.submit(
            policy.sample, conversation(5), Control(cancel=cancel, on_queued=lambda _: cancel.set()), memory_bytes=tight
        )
        with pytest.raises(Cancelled):
            waiting.result(60)
        asked.set()
        first.result(60)


def test_two_policies_share_one_engine_thread(tiny_path: Path) -> None:
    before = set(threading.enumerate())
    scheduler = Scheduler()
    policies = [LlamaPolicy(tiny_path, threads=1, scheduler=scheduler) for _ in range(2)]
    drawn = [policy.sample(conversation(), FREE).candidates for policy in policies]
    assert drawn[0] == drawn[1]
    names = [thread.name for thread in threading.enumerate() if thread not in before]
    assert sorted(names) == ["edge-ttp-engine", "edge-ttp-watch"]
    policies[0].close()
    assert policies[1].sample(conversation(), FREE).candidates == drawn[0]
    assert scheduler.close(timeout=60)
    policies[1].close()


def test_what_listens_to_the_steps_cannot_hold_up_the_engine(policy: LlamaPolicy) -> None:
    holding, go_on = threading.Event(), threading.Event()

    def slow(_: StepReport) -> None:
        holding.set()
        assert go_on.wait(60)

    with ThreadPoolExecutor(1) as threads:
        slowly = threads.submit(policy.sample, conversation(), Control(on_step=slow))
        assert holding.wait(60)
        assert len(policy.sample(conversation(8), FREE).candidates) == 6
        go_on.set()
        slowly.result(60)


def test_a_call_inside_a_callback_is_answered(policy: LlamaPolicy) -> None:
    inner: list[Sampled] = []

    def ask_again(_: StepReport) -> None:
        if not inner:
            inner.append(policy.sample(conversation(8), FREE))

    assert len(policy.sample(conversation(), Control(on_step=ask_again)).candidates) == 6
    assert len(inner[0].candidates) == 6
