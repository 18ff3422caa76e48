"""Requests, models and one-call helpers that the tests of the engine share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edge_ttp.policy.engine import Engine
from edge_ttp.policy.request import Control, Request, Sampled
from edge_ttp.schema import Sampling

from .table import FakeClock, TableDecoder

OPEN = Sampling(top_k=0, top_p=1.0, min_p=0.0, temperature=1.0)


APART = OPEN.model_copy(update={"share_prefixes": False})


PROMPT = (1, 2, 3, 4, 5, 6)


VOCABULARY = 8


FREE = Control()


def uniform(_: tuple[int, ...]) -> np.ndarray:
    return np.zeros(VOCABULARY)


def restless(prefix: tuple[int, ...]) -> np.ndarray:
    """Logits that depend on every token before: a wrongly shared cache would show."""
    return np.random.default_rng([len(prefix), *prefix]).normal(0, 2, VOCABULARY)


def script(*tokens: int, after: int = len(PROMPT)) -> Callable[[tuple[int, ...]], np.ndarray]:
    """A model that says these tokens and nothing else."""

    def logits(prefix: tuple[int, ...]) -> np.ndarray:
        row = np.full(max(VOCABULARY, max(tokens) + 1), -np.inf)
        row[tokens[min(len(prefix) - after, len(tokens) - 1)]] = 0.0
        return row

    return logits


def request(**changes: object) -> Request:
    plain = Request(prompt=PROMPT, n=6, sampling=OPEN, seed=3, max_tokens=10)
    return replace(plain, **changes)  # type: ignore[arg-type]


def sample(decoder: TableDecoder, asked: Request, control: Control = FREE, *, width: int = 64) -> Sampled:
    """One call on a new engine; afterwards only the prompt may be left in the cache."""
    sampled = Engine(decoder, clock=FakeClock()).sample(asked, control, width=width)
    assert decoder.cells_used() == decoder.cells_of(0) == len(asked.prompt)
    return sampled


def said(sampled: Sampled) -> list[tuple[str, float, str]]:
    return [(one.text, one.logprob, one.finish_reason) for one in sampled.candidates]
