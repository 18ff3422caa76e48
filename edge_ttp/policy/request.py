"""What one call of the engine is asked for, how it is ended early, and what it gives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.adapter import Adapter
from edge_ttp.policy.sampling import Filters

Finish = Literal["stop", "length", "deadline", "cancelled", "capacity"]


@dataclass(frozen=True)
class Request:
    """One call's candidates: what to continue, how many, how they are drawn and when they end.

    Raises InvalidInput for one that cannot be meant.
    """

    prompt: tuple[int, ...]
    n: int
    filters: Filters
    seed: int
    max_tokens: int
    stop: tuple[str, ...] = ()
    share: bool = True
    """Decode equal prefixes once. Off only to measure what that saves."""
    grammar: str | None = None
    """GBNF that every candidate follows (bindings.schema_to_grammar makes it of a JSON schema)."""
    adapters: tuple[Adapter, ...] = ()
    """LoRA adapters to decode with. Another choice than the call before computes the prompt anew."""

    def __post_init__(self) -> None:
        if not self.prompt:
            raise InvalidInput("the prompt has no tokens", "write a prompt")
        if self.n < 1:
            raise InvalidInput(f"n={self.n} candidates cannot be drawn", "choose 1 or more")
        if self.max_tokens < 1:
            raise InvalidInput(f"a candidate of {self.max_tokens} tokens says nothing", "choose 1 or more")


@dataclass(frozen=True)
class Control:
    """How a call is ended early. All are looked at between decode steps."""

    deadline: float | None = None
    """Moment on the engine's clock (time.monotonic)."""
    cancel: threading.Event | None = None
    on_step: Callable[[Progress], None] | None = None
    first_wave: int | None = None
    """Candidates drawn before `more` is asked; None: all of them at once."""
    more: Callable[[Sequence[Drawn]], int] | None = None
    """Called after each wave with the candidates so far: how many more to draw, 0 to end. No wave is larger than the
    first, and `n` of the request is the most in all."""


@dataclass(frozen=True)
class Progress:
    """The state after one step: tokens drawn per candidate, and candidates that ended in this step."""

    tokens: tuple[int, ...]
    finished: tuple[Drawn, ...]
    dropped: tuple[Drawn, ...] = ()
    """Candidates that the call ended before they were complete: no room, deadline or cancel."""


@dataclass(frozen=True)
class Drawn:
    """One candidate as drawn."""

    index: int
    text: str
    tokens: int
    logprob: float
    finish_reason: Finish
    seed: int
    token_ids: tuple[int, ...] = ()
    """The tokens drawn, the end token or the tokens of a stop string included."""


@dataclass(frozen=True)
class Sampled:
    """The candidates of a call in order of their seeds, and what they cost.

    Fewer than n where the call was cut short before some of them had begun.
    """

    candidates: tuple[Drawn, ...]
    prompt_tokens: int
    cached_tokens: int
    prefill_s: float
    decode_s: float
    """From the end of the prefill to the last token, sampling included, what `more` took left out."""
    sample_s: float
    """The part of decode_s outside the decoder."""
    rows: int
    """Batch rows decoded."""
    steps: int
    waves: int
    step_rows: tuple[int, ...] = ()
    """Rows of each decode step, in order."""
    notes: tuple[str, ...] = ()
    """What memory made the call give up, in words."""
