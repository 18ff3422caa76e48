"""One request as the caller made it, the parts of the runtime it passes through, and what makes it impossible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol

from edge_ttp import schema
from edge_ttp.answer import controls
from edge_ttp.answer.prompt import Style
from edge_ttp.budget.device_profile import Call, Profile
from edge_ttp.errors import InvalidInput, shown
from edge_ttp.history import History
from edge_ttp.history.rows import checked_label, checked_text
from edge_ttp.policy.job import Claim, Job, Priority
from edge_ttp.policy.request import Control, Request, Sampled
from edge_ttp.reward.model import RewardModel

DEFAULT_EXAMPLES = 4
"""Recalled history items in a prompt where the caller names no number."""


MOST_CORE = 64
"""Most items in a core."""


class Policy(Protocol):
    """What a request needs of a policy (policy/llama.py)."""

    @property
    def device(self) -> str:
        """What decodes: the CPU, or layers on a GPU."""

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Tokens of a plain prompt."""

    def encode_chat(self, messages: Sequence[tuple[str, str]]) -> tuple[int, ...] | None:
        """Tokens of a chat prompt, None without a known template."""

    def count_tokens(self, text: str) -> int:
        """Tokens of a text alone."""

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens themselves."""

    def width(self, prompt_tokens: int, max_tokens: int, n: int, *, memory_bytes: int | None = None) -> int:
        """Candidates that fit into memory at once. OutOfCapacity where context or memory hold not even one."""

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens of one answer say, with the space around it."""

    def resident(self, prompt: Sequence[int], user: str = "") -> int:
        """The prompt's first tokens that were read for this user, and need not be read again."""

    def begin(
        self,
        request: Request,
        control: Control,
        *,
        memory_bytes: int | None = None,
        threads: tuple[int, int] | None = None,
        claim: Claim | None = None,
    ) -> Job[Sampled]:
        """Draws the candidates by turns with others."""

    def sample(
        self,
        request: Request,
        control: Control,
        *,
        memory_bytes: int | None = None,
        threads: tuple[int, int] | None = None,
        claim: Claim | None = None,
    ) -> Sampled:
        """Draws the candidates, with so many threads for reading and for drawing."""


NO_ADAPTER = "none"
"""In place of an adapter's name: the policy as it is."""


@dataclass(frozen=True)
class Rooms:
    """The parts of an open runtime that one request passes through."""

    policy: Policy
    policy_name: str
    style: Style
    reward: RewardModel | None
    """None where the rule needs no scores."""
    history: History
    costs: Profile | None
    """What requests cost on this device, None before anything was measured."""
    memory_bytes: int | None
    """What the device and the caller leave for the policy."""
    free_cores: int = 1
    """Cores that other programs leave."""
    energy: schema.Energy = "mains"
    """What the device runs on, for budgets that leave it to the device."""
    hot: bool = False
    """Whether the processor is at its upper temperature."""
    temperatures: tuple[float, ...] = ()
    """What this policy's candidates are drawn at in turn where the caller says nothing; empty: Sampling's own."""
    adapters: tuple[schema.LoraAdapter, ...] = ()
    """What candidates are drawn with where the caller names no adapter."""
    adapter_name: str | None = None
    """Name of the voice adapter that is."""
    languages: tuple[str, ...] = ()
    """What the policy was measured to write, ISO 639-1 codes; empty where that was never measured."""
    noted: set[tuple[str, str]] = field(default_factory=set)
    """(user, what was said) that is not to be said again."""
    observe: Callable[[Call], None] | None = None
    """Told what the request took."""
    logprobs: bool = True
    """Whether candidates come with their log-probabilities: an engine elsewhere may not say them."""
    policy_url: str | None = None
    """The address of the engine that draws, where it is not this program."""
    sent: str | None = None
    """What to say of every answer that it draws: that the prompt went there."""
    share: Callable[[str, Priority], float] = lambda _user, _priority: 1.0
    """The part of the engine's time that a request of this user gets beside the others that are here."""


@dataclass(frozen=True)
class Ask:
    """One request as the caller made it, checked. Raises InvalidInput for one that cannot be meant."""

    prompt: str
    user: str
    n: int | None = None
    """None: as many as the budget allows."""
    budget: schema.Budget = field(default_factory=schema.Budget)
    rule: schema.Rule = schema.DEFAULT_RULE
    sampling: schema.Sampling = field(default_factory=schema.Sampling)
    seed: int | None = None
    kind: str | None = None
    examples: int | None = None
    """Recalled items in the prompt, as many as there are. A number is kept, or the request refused; None:
    DEFAULT_EXAMPLES, fewer where context, memory or a deadline hold no more."""
    core: int = 0
    """Items that stand for all of the user's before the recalled ones, the same in every prompt (answer/core.py)."""
    recall_for: str | None = None
    """Text that examples are recalled for. None: the prompt."""
    turns: tuple[tuple[str, str], ...] = ()
    """What was said before in the same conversation: prompt and answer, oldest first."""
    system: str | None = None
    """What the caller wants observed besides."""
    context: tuple[str, ...] = ()
    """Documents that the request is about: shown to the policy, never recalled nor kept."""
    speaker: schema.Speaker = "user"
    rewrite: schema.Rewrite | None = None
    """Given: the prompt is a text to be said again, not answered."""
    remember: str | None = None
    """The input under which an accepted text is kept. None: the prompt."""
    conversation: str | None = None
    """Name of the conversation that this is part of."""
    model: str | None = None
    """The policy's name; None: the usual one."""
    adapter: str | None = None
    """The voice adapter's name or file; NO_ADAPTER for none; None: the one that the policy is given for this."""
    priority: Priority = "interactive"
    store: bool = True
    cancel: Event | None = None
    emit: Callable[[schema.Event], None] | None = None
    lock: str | None = None
    """The grammar of what a rewriting holds (answer/word_lock.py), in place of one that the caller might give."""
    grammar: str | None = field(init=False)
    """What every candidate follows: the lock, or the caller's grammar or JSON schema."""

    def __post_init__(self) -> None:
        _check(self)
        object.__setattr__(self, "grammar", controls.check(self.sampling) if self.lock is None else self.lock)

    def tell(self, event: schema.Event) -> None:
        """Passes an event to the caller, if they listen."""
        if self.emit is not None:
            self.emit(event)


def _check(ask: Ask) -> None:
    if ask.adapter is not None and (ask.sampling.adapters or not ask.adapter.strip()):
        raise InvalidInput("the adapter is named twice, or not at all", "give a name, or `none`, or files alone")
    if not ask.prompt.strip():
        if ask.rewrite is not None:
            raise InvalidInput("the text is empty", "give what should be said again")
        raise InvalidInput("the prompt is empty", "write what should be answered")
    checked_text("the prompt", ask.prompt)
    if ask.rewrite is not None and (ask.speaker != "user" or ask.sampling.structured):
        raise InvalidInput("a text is said again by the user, in words", "leave out speaker, grammar and JSON schema")
    for given, written in ask.turns:
        checked_text("an earlier prompt", given)
        checked_text("an earlier answer", written)
    if ask.system is not None:
        checked_text("the system text", ask.system)
    for document in ask.context:
        checked_text("a document", document)
    if ask.recall_for is not None:
        checked_text("the text to recall for", ask.recall_for)
    if ask.remember is not None:
        checked_text("the text to remember", ask.remember)
    if ask.conversation is not None:
        checked_label("conversation", ask.conversation)
    if ask.kind is not None:
        checked_label("kind", ask.kind)
    if ask.n is not None and not 1 <= ask.n <= schema.MAX_CANDIDATES:
        raise InvalidInput(
            f"n={shown(ask.n)} candidates cannot be drawn", f"choose n from 1 to {schema.MAX_CANDIDATES}"
        )
    if ask.seed is not None and not 0 <= ask.seed < 2**63:
        raise InvalidInput(f"the seed {shown(ask.seed)} is out of range", "choose one from 0 to 2^63 - 1")
    if not 0 <= ask.core <= MOST_CORE:
        raise InvalidInput(f"a core of {shown(ask.core)} examples is out of range", f"choose one from 0 to {MOST_CORE}")
    if ask.examples is not None and ask.examples < 0:
        raise InvalidInput(f"{shown(ask.examples)} examples cannot be recalled", "choose 0 or more")
