"""A policy on a fake engine and requests to it, for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from fakes.engine import FakeEngine, running

from edge_ttp.policy.elsewhere.address import EngineAddress
from edge_ttp.policy.elsewhere.engine_policy import EnginePolicy
from edge_ttp.policy.elsewhere.persistence import Persistence
from edge_ttp.policy.request import Request
from edge_ttp.schema import Sampling

QUICK = Persistence(connect_s=2, silence_s=20, gone_s=0.2, first_wait_s=0.01, longest_wait_s=0.05)


STEADY = replace(QUICK, gone_s=120)
"""Does not give up where chance alone decides, however busy the machine is."""


@contextmanager
def policy(
    model: str | None = None, *, patience: Persistence = QUICK, **manners: Any
) -> Iterator[tuple[EnginePolicy, FakeEngine]]:
    with running(FakeEngine(**manners)) as engine:
        made = EnginePolicy(EngineAddress.of(engine.url), model, patience=patience)
        engine.posts.clear()
        try:
            yield made, engine
        finally:
            made.close()


def request(made: EnginePolicy, n: int = 3, **given: Any) -> Request:
    tokens = made.encode_chat([("user", "how is it there")])
    assert tokens is not None
    asked = {"sampling": Sampling(), "seed": 11, "max_tokens": 8, **given}
    return Request(prompt=tokens, n=n, **asked)


def texts(candidates: Any) -> list[str]:
    return [one.text for one in candidates]
