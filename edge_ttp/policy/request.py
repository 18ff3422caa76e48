"""What one call of the engine is asked for, how it is ended early, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.job import Asked, Flag, Queued
from edge_ttp.schema import Candidate, Sampling


@dataclass(frozen=True)
class Request:
    """One call's candidates: what to continue, how many, how they are drawn and when they end.

    Raises InvalidInput for one that cannot be meant.
    """

    prompt: tuple[int, ...]
    n: int
    sampling: Sampling
    """As the caller wrote it. What it leaves open is settled below; the engine looks there alone for these."""
    seed: int
    max_tokens: int
    stop: tuple[str, ...] = ()
    """The caller's, and those that the prompt calls for."""
    grammar: str | None = None
    """GBNF that every candidate follows, or what json_grammar.schema_to_grammar makes of a JSON schema."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token, what is added to its logit), texts turned into their tokens."""
    core: int = 0
    """Tokens at the beginning that the user's later prompts will begin with too: worth keeping on disk."""

    def __post_init__(self) -> None:
        if not self.prompt:
            raise InvalidInput("the prompt has no tokens", "write a prompt")
        if self.n < 1:
            raise InvalidInput(f"n={self.n} candidates cannot be drawn", "choose 1 or more")
        if self.max_tokens < 1:
            raise InvalidInput(f"a candidate of {self.max_tokens} tokens says nothing", "choose 1 or more")


class Raced(Asked):
    """Asks which candidates (all that were begun, as they stand) need not go on."""


@dataclass(frozen=True)
class Race:
    """Candidates that are dropped halfway."""

    at: tuple[int, ...]
    """Tokens that each has drawn when it is asked."""
    worse: Callable[[Sequence[Candidate]], Collection[int]]
    """Their places among all that were begun. Finished ones stay whatever it says."""


@dataclass(frozen=True)
class Control:
    """How a call is ended early, looked at between decode steps, and who is told of it."""

    deadline: float | None = None
    """Moment on the engine's clock (time.monotonic)."""
    cancel: Flag | None = None
    on_step: Callable[[StepReport], None] | None = None
    on_queued: Callable[[Queued], None] | None = None
    """Called while it waits for room beside other calls, when its position changes."""
    first_wave: int | None = None
    """Candidates drawn before `more` is asked; None: all of them at once."""
    more: Callable[[Sequence[Candidate]], int] | None = None
    """Called after each wave with the candidates so far: how many more to draw, 0 to end. No wave is larger than the
    first, and `n` of the request is the most in all."""
    race: Race | None = None

    def hear(self, message: object) -> int | Collection[int] | None:
        """Tells whom it concerns of a message; the reply to a question."""
        if isinstance(message, Raced):
            return () if self.race is None else self.race.worse(message.question)
        if isinstance(message, Asked):
            return 0 if self.more is None else self.more(message.question)
        if isinstance(message, Queued) and self.on_queued is not None:
            self.on_queued(message)
        elif isinstance(message, StepReport) and self.on_step is not None:
            self.on_step(message)
        return None


@dataclass(frozen=True)
class StepReport:
    """The state after one step: tokens drawn per candidate, and by their index the candidates that ended in it."""

    tokens: tuple[int, ...]
    finished: Mapping[int, Candidate]
    dropped: Mapping[int, Candidate] = field(default_factory=dict)
    """Candidates that the call ended before they were complete: no room, deadline or cancel."""
    texts: Mapping[int, str] = field(default_factory=dict)
    """What candidates have said since the last report: put together, their final text."""


@dataclass(frozen=True)
class Sampled:
    """The candidates of a call in order of their seeds, and what they cost.

    Fewer than n where the call was cut short before some of them had begun.
    """

    candidates: tuple[Candidate, ...]
    token_ids: tuple[tuple[int, ...], ...]
    """The tokens that each of them drew, the end token or the tokens of a stop text included."""
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
