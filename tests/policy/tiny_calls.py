"""Calls on the random model of a few kilobytes that several tests share."""

from __future__ import annotations

from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request, Sampled
from edge_ttp.schema import Sampling

from .tiny import WORDS

FREE = Control()


CONTROL_TOKENS = {1, 2, len(WORDS) - 1}


def request(prompt: tuple[int, ...] = tuple(range(3, 50)), *, n: int = 6, seed: int = 1, **options: object) -> Request:
    return Request(
        prompt=prompt,
        n=n,
        seed=seed,
        **{"sampling": Sampling(), "max_tokens": 12, **options},  # type: ignore[arg-type]
    )


def tokens(sampled: Sampled) -> list[tuple[int, ...]]:
    return list(sampled.token_ids)


def cells_left(policy: LlamaPolicy) -> list[int]:
    """Tokens left in every sequence but the prompt's."""
    contexts = [seat.context for seat in policy._seats.all]
    assert contexts
    return [context.length(sequence) for context in contexts for sequence in range(1, context.sequences)]


def conversation(first: int = 3, *, n: int = 6, prompt: int = 50, **changes: object) -> Request:
    """A request whose prompt begins with token `first`, and goes on as no other one's does."""
    options: dict[str, object] = {"sampling": Sampling(), "seed": first, "max_tokens": 12, **changes}
    tokens = tuple((first + index) % 200 + 3 for index in range(prompt))
    return Request(prompt=tokens, n=n, **options)  # type: ignore[arg-type]
