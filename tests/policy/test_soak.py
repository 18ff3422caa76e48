"""Long runs in one process: cancel storms, thousands of generations, many callers. Minutes; run by `make soak`."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from edge_ttp.errors import Cancelled, DeadlineTooShort
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import LoraAdapter, Sampling

from . import tiny

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]  # minutes on a quiet machine, more on a busy one

FREE = Control()


@pytest.fixture
def policy(tmp_path: Path) -> Iterator[LlamaPolicy]:
    policy = LlamaPolicy(tiny.language_model(tmp_path / "tiny.gguf"), threads=2)
    yield policy
    policy.close()


def random_request(rng: random.Random, adapters: tuple[LoraAdapter, ...] = ()) -> Request:
    return Request(
        tuple(rng.randrange(3, 250) for _ in range(rng.choice([1, 20, 130, 300]))),
        n=rng.choice([1, 2, 7, 20, 40]),
        sampling=Sampling(
            top_k=rng.choice([0, 1, 40]),
            temperature=rng.choice([0.0, 0.7, 1.5]),
            typical_p=rng.choice([1.0, 0.7]),
            repetition_penalty=rng.choice([1.0, 1.2]),
            share_prefixes=rng.random() < 0.8,
            adapters=rng.choice([(), (), adapters]),
        ),
        seed=rng.randrange(2**31),
        max_tokens=rng.choice([1, 3, 12]),
        stop=rng.choice([(), ("a",)]),
        grammar=rng.choice([None, None, "root ::= [a-z]+"]),
    )


def settled_bytes() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def test_ten_thousand_generations_take_no_memory(policy: LlamaPolicy, tmp_path: Path) -> None:
    path = tmp_path / "lora.gguf"
    tiny.adapter(path, seed=1)
    rng = random.Random(0)
    policy.sample(Request((5,) * 300, n=40, sampling=Sampling(), seed=0, max_tokens=12), FREE)
    measured = []
    for index in range(10_000):
        policy.sample(random_request(rng, (LoraAdapter(path=str(path)),)), FREE)
        if index % 1000 == 999:
            measured.append(settled_bytes())
    assert measured[-1] - measured[1] < 4 * 2**20, measured


def test_a_thousand_random_cancels_leave_no_trace(policy: LlamaPolicy) -> None:
    rng = random.Random(1)
    asked = Request(tuple(range(3, 60)), n=6, sampling=Sampling(), seed=1, max_tokens=12)
    expected = policy.sample(asked, FREE).candidates
    outcomes = {"cut": 0, "whole": 0, "before": 0}
    for index in range(1000):
        cancel = threading.Event()
        timer = threading.Timer(rng.random() * 0.02, cancel.set)
        timer.start()
        deadline = time.monotonic() + rng.random() * 0.02 if rng.random() < 0.3 else None
        request = random_request(rng)
        try:
            sampled = policy.sample(request, Control(cancel=cancel, deadline=deadline))
        except (Cancelled, DeadlineTooShort):
            outcomes["before"] += 1
        else:
            cut = any(one.finish_reason in ("cancelled", "deadline") for one in sampled.candidates)
            outcomes["cut" if cut or len(sampled.candidates) < request.n else "whole"] += 1
        timer.join()
        if index % 50 == 0:
            assert policy.sample(asked, FREE).candidates == expected
    assert min(outcomes.values()) > 10, outcomes
    for context in [seat.context for seat in policy._seats.all]:
        assert {context.length(sequence) for sequence in range(1, context.sequences)} == {0}


def test_many_callers_with_cancels_and_deadlines_get_what_they_get_alone(policy: LlamaPolicy) -> None:
    rng = random.Random(2)
    asked = [random_request(rng) for _ in range(40)]
    alone = [policy.sample(one, FREE).candidates for one in asked]

    def call(index: int) -> None:
        own = random.Random(index)
        cancel = threading.Event()
        if own.random() < 0.5:
            threading.Timer(own.random() * 0.2, cancel.set).start()
        control = Control(cancel=cancel, deadline=time.monotonic() + 5 if own.random() < 0.5 else None)
        try:
            sampled = policy.sample(asked[index % 40], control)
        except (Cancelled, DeadlineTooShort):
            return
        for one in sampled.candidates:
            if one.finish_reason in ("stop", "length"):
                assert one == alone[index % 40][one.index]

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(call, index) for index in range(2000)]:
            done.result()
    assert policy._scheduler.waiting() == 0


def test_opening_and_closing_takes_no_memory(tmp_path: Path) -> None:
    path = tiny.language_model(tmp_path / "tiny.gguf")
    measured = []
    for index in range(600):
        policy = LlamaPolicy(path, threads=2)
        policy.sample(Request((5, 6, 7), n=3, sampling=Sampling(), seed=index, max_tokens=2), FREE)
        policy.close()
        if index % 100 == 99:
            measured.append(settled_bytes())
    assert measured[-1] - measured[1] < 4 * 2**20, measured
