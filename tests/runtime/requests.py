"""Requests that several tests ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from edge_ttp.runtime import Runtime
from edge_ttp.schema import Generation, Sampling

SHORT = Sampling(max_tokens=8)


LONG = Sampling(max_tokens=1500)


def answer(runtime: Runtime, prompt: str = "what grows here", **options: Any) -> Generation:
    return runtime.generate(prompt, **{"user": "ann", "n": 4, "seed": 3, "sampling": SHORT, **options})


def until(fact: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < ends
        time.sleep(0.001)
