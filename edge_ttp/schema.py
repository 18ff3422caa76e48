"""What crosses the border of the runtime: requests, results, history items, feedback. Checked by pydantic.

Inside the rooms, frozen dataclasses and numpy arrays; here, what an app, a file or the command line sees.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from edge_ttp.system.border import Border

Mode = Literal["fast", "balanced", "best"]
Energy = Literal["mains", "battery", "saver"]
Rule = Literal["mean", "lcb", "shrink", "thompson", "consensus", "logprob", "first"]
DEFAULT_RULE: Rule = "lcb"
"""The rule, with its constant in edge_ttp.answer.select, that was best on tune users (docs/measured/reward.md)."""
REWRITE_RULE: Rule = "consensus"
"""Of rewriting: the reward model was trained on answers and is behind it there (docs/measured/rewrite.md)."""
Speaker = Literal["user", "policy", "text"]
"""Who answers. `user`: the policy in the user's place. `policy`: the bare policy, as an assistant: nothing is recalled,
nothing of ours stands in the prompt. `text`: the bare policy goes on with a text."""
FinishReason = Literal["stop", "length", "deadline", "cancelled", "capacity", "raced"]
Bound = Literal[
    "requested", "mode", "value", "trust", "max_candidates", "deadline", "memory", "energy", "heat", "no_reward"
]
"""What bound a plan's number of candidates. `value`: a further one would not have been worth its time. `trust`: this
user's scores order nothing. `no_reward`: nothing tells the candidates apart."""
FeedbackKind = Literal["accept", "reject", "edit", "prefer", "copied", "regenerated"]
"""The last two are not said by the user but seen by the app: the answer was copied, or another one was asked for."""

MAX_CANDIDATES = 256
"""Most candidates one request may ask for (llama.cpp's own limit on sequences in one context)."""


MAX_TEXT = 200_000
"""Longest text, in characters, of one input or output in the history."""

PROMPT_KIND = "prompt"
"""Kind of what a person typed to a chatbot. It asks a machine for something and is no example of how they write to
people: it is recalled only where it is asked for by this kind."""


def utc_now() -> datetime:
    """The present moment in UTC, to the millisecond (what the database keeps)."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Budget(Border):
    """What the caller allows one request to cost. Everything unset is unlimited."""

    deadline_s: Annotated[float, Field(gt=0)] | None = None
    """Seconds for the whole call, recall to recording."""
    max_candidates: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] | None = None
    """Upper limit on N."""
    memory_bytes: Annotated[int, Field(gt=0)] | None = None
    """Upper limit on the memory that the policy may take (weights, cache and buffers)."""
    energy: Energy | None = None
    """What the device runs on: a second is dearer on battery. None: as the device says."""
    mode: Mode = "balanced"
    """How much a better answer is worth in time."""


class LoraAdapter(Border):
    """A LoRA adapter: a GGUF file that holds a small change of this policy's weights."""

    path: Annotated[str, Field(min_length=1)]
    scale: Annotated[float, Field(ge=-100, le=100)] = 1.0
    """Multiplies the change: 0 is off, 1 as trained."""


class Sampling(Border):
    """How a candidate is drawn: bias, penalties, top-k, typical, top-p, min-p and the temperature, in this order.

    Goes unchanged from the caller to the engine; the command line takes its defaults and its help from these fields.
    """

    top_k: Annotated[int, Field(ge=0, description="Keep the k most probable tokens; 0 keeps all.")] = 40
    top_p: Annotated[
        float,
        Field(gt=0, le=1, description="Keep the smallest set of tokens whose probability reaches this; 1 keeps all."),
    ] = 0.95
    min_p: Annotated[
        float,
        Field(ge=0, le=1, description="Drop tokens less probable than this share of the most probable; 0 drops none."),
    ] = 0.05
    temperature: Annotated[
        float, Field(ge=0, le=5, description="Divides the logits; 0 always takes the most probable token.")
    ] = 0.8
    max_tokens: Annotated[
        Annotated[int, Field(ge=1, le=8192)] | None, Field(description="Longest answer in tokens.")
    ] = None
    """None: from the lengths of what this user wrote before."""
    stop: Annotated[tuple[str, ...], Field(description="End before the first of these texts.")] = ()
    typical_p: Annotated[
        float, Field(gt=0, le=1, description="Keep the most typical tokens up to this probability; 1 keeps all.")
    ] = 1.0
    """Typical: of a surprise near the expected one (Meister et al. 2023, Locally Typical Sampling)."""
    repetition_penalty: Annotated[
        float, Field(ge=0.01, le=100, description="Above 1: less of what the candidate said before; 1 is off.")
    ] = 1.0
    """Of tokens drawn before, divides a positive logit and multiplies a negative one."""
    presence_penalty: Annotated[
        float,
        Field(ge=-100, le=100, description="Taken off the logits of tokens drawn before; below 0 invites repetition."),
    ] = 0.0
    frequency_penalty: Annotated[
        float, Field(ge=-100, le=100, description="The same, once for every time a token was drawn.")
    ] = 0.0
    penalty_window: Annotated[
        int, Field(ge=0, description="The last tokens of a candidate that count as drawn before; 0 counts all.")
    ] = 64
    """The prompt never counts."""
    logit_bias: Annotated[
        dict[int | str, Annotated[float, Field(ge=-1000, le=1000)]],
        Field(max_length=1000, description="Added to the logit of a token id, or of a text's tokens; -1000 bans."),
    ] = {}  # noqa: RUF012  # pydantic gives every request its own
    """A key is a token id (digits), or a text all of whose tokens are meant, a leading space included."""
    temperatures: Annotated[
        tuple[Annotated[float, Field(ge=0, le=5)], ...],
        Field(max_length=MAX_CANDIDATES, description="Candidates take these temperatures in turn: more diverse ones."),
    ] = ()
    grammar: Annotated[
        Annotated[str, Field(max_length=MAX_TEXT)] | None,
        Field(description="GBNF grammar (llama.cpp's) that every candidate follows, from its rule `root` on."),
    ] = None
    json_schema: Annotated[
        dict[str, Any] | None, Field(description="JSON schema that every candidate fits; excludes a grammar.")
    ] = None
    adapters: Annotated[
        tuple[LoraAdapter, ...], Field(max_length=8, description="LoRA adapters (GGUF) to draw with.")
    ] = ()
    """Another choice than the call before reads the prompt anew."""
    share_prefixes: Annotated[bool, Field(description="Compute equal beginnings once for all candidates.")] = True
    """False only to compare: it changes no distribution and costs time."""
    race: Annotated[bool, Field(description="Drop halfway what is thought worse of 8 long candidates or more.")] = False

    @field_validator("logit_bias")
    @classmethod
    def _token_ids(cls, value: dict[int | str, float]) -> dict[int | str, float]:
        """Ids written in digits, as JSON has to, are ids."""
        return {int(key) if isinstance(key, str) and key.isdecimal() else key: bias for key, bias in value.items()}

    @property
    def greedy(self) -> bool:
        """Whether every candidate takes the most probable token."""
        return not any(self.temperatures) if self.temperatures else self.temperature == 0

    @property
    def penalizes(self) -> bool:
        """Whether tokens drawn before are treated differently."""
        return self.repetition_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0

    @property
    def structured(self) -> bool:
        """Whether candidates follow a grammar, which alone says where a text is complete."""
        return self.grammar is not None or self.json_schema is not None


class HistoryItem(Border):
    """Something the user wrote (`output`) in answer to something (`input`)."""

    id: int | None = None
    """Row number; None before it is stored."""
    user_id: str
    input: str
    output: str
    kind: str = "text"
    """What sort of text this is: email, headline, commit ... Free for the app to choose."""
    created_at: datetime = Field(default_factory=utc_now)
    """When the user wrote it."""
    source: str = "api"
    """Where it came from: api, cli, jsonl, git, edit ..."""
    metadata: dict[str, Any] = Field(default_factory=dict)


class Candidate(Border):
    """One answer the policy drew and, once scored, what the reward model thinks of it."""

    text: str
    """Without space around it."""
    tokens: int
    """Tokens drawn, the end token included."""
    logprob: float
    """Sum of the drawn tokens' log-probabilities under the unmodified policy (temperature 1, no filter)."""
    finish_reason: FinishReason = "stop"
    seed: int = 0
    """0 where it was not kept."""
    mean: float | None = None
    """Expected utility (0 to 1: agreement with what this user would have written)."""
    variance: float | None = None
    """aleatoric + epistemic, in squared utility units."""
    aleatoric: float | None = None
    """Noise that no further evidence would remove."""
    epistemic: float | None = None
    """Variance of the mean's own error: little is known about this user, or this candidate is unusual."""
    score: float | None = None
    """What the selection rule ranked by."""
    remark: str | None = None
    """What speaks against it, in words, whatever its score: chosen only where nothing else is left."""
    made: Literal["drawn", "merged", "edited"] = "drawn"
    """merged: what most drawn versions of a rewriting have. edited: the given text in the user's surface, by rule."""


class Selection(Border):
    """Which rule chose, and why in words."""

    rule: Rule
    reason: str


class Plan(Border):
    """How many candidates a request gets on this device, and what bound their number."""

    n: int
    bound_by: Bound
    max_tokens: int
    """Longest candidate that the plan reckons with."""
    examples: int
    """Recalled history items in the prompt."""
    prompt_tokens: int = 0
    """Tokens of the prompt that was chosen."""
    expected_s: float | None = None
    """Predicted seconds from the plan to the answer; None before anything was measured on this device."""
    expected_gain: float | None = None
    """Expected utility above one candidate's, put in the best way; below 0 where examples had to be left out."""
    adapter: str | None = None
    """Name of the voice adapter that candidates are drawn with."""
    waves: int = 1
    """Rounds of decoding: after each one the planner decides again, and memory may hold fewer than n at once."""
    decisions: tuple[str, ...] = ()
    """What was decided after each scored wave, in words."""
    notes: tuple[str, ...] = ()
    """What the plan had to give up, in words."""


class Timings(Border):
    """Seconds spent in each room. `sample_s` is the part of decode_s outside llama.cpp's own decoding."""

    recall_s: float = 0.0
    prefill_s: float = 0.0
    reuse_saved_s: float = 0.0
    """What reading the prompt tokens that were still in the cache would have taken besides."""
    decode_s: float = 0.0
    sample_s: float = 0.0
    score_s: float = 0.0
    select_s: float = 0.0
    store_s: float = 0.0
    total_s: float = 0.0
    device: str = ""
    """What decoded: `cpu`, or how many layers lay on which GPU. Empty where it was not recorded."""
    policy_url: str | None = None
    """The engine elsewhere that decoded and was sent the prompt; None: this device, and nothing was sent."""


class Usage(Border):
    """Tokens of one request."""

    prompt_tokens: int
    cached_prompt_tokens: int = 0
    """Prompt tokens still in the cache from the call before, not computed again."""
    completion_tokens: int
    """Over all candidates."""
    decoded_rows: int = 0
    """Batch rows computed; fewer than completion_tokens where candidates shared a prefix."""


class Generation(Border):
    """One request's result, whole: a later judgment needs every candidate, not only the chosen one."""

    text: str
    """The chosen candidate's text."""
    generation_id: str
    user: str
    prompt: str
    kind: str | None = None
    model: str
    reward: str | None = None
    """Name of the reward model that scored; None where no score was needed."""
    n: int
    chosen: int
    """Index into candidates, from 0."""
    candidates: tuple[Candidate, ...]
    selection: Selection
    plan: Plan
    timings: Timings
    usage: Usage
    seed: int
    sampling: Sampling
    created_at: datetime = Field(default_factory=utc_now)
    stored: bool = True
    """Whether it is in the history, so that feedback can refer to it."""
    remember: str | None = None
    """The input under which an accepted or edited text is kept; None: the prompt."""
    conversation: str | None = None
    """The conversation that it was given in, where the caller named one."""
    notes: tuple[str, ...] = ()
    """What the user should know: no history yet, deadline reached, examples dropped ..."""

    @property
    def finish_reason(self) -> FinishReason:
        """How the answer ended: anything but `stop` means that it is cut."""
        return self.candidates[self.chosen].finish_reason


class Feedback(Border):
    """What the user did with a generation."""

    id: int | None = None
    generation_id: str
    user_id: str
    kind: FeedbackKind
    candidate: int
    """Index of the candidate it is about, from 0: the preferred one for `prefer`, the chosen one otherwise."""
    text: str | None = None
    """The edited text, for `edit`."""
    created_at: datetime = Field(default_factory=utc_now)


Keep = Literal["words", "strict", "loose"]
"""`words`: every word that says something stays, in its order. `loose`: said freely. `strict`: so, facts put back."""


class Rewrite(Border):
    """That a text is to be said again in the user's way instead of being answered."""

    notes: bool = False
    """The text is notes: it may be turned into sentences, with the user's greeting and closing."""
    keep: Keep = "words"


class Change(Border):
    """A piece of a text that stayed, was taken out or came in."""

    op: Literal["same", "removed", "added"]
    text: str


class FactCheck(Border):
    """What a version did with the facts (numbers, dates, names, links, code, negations) of the text that was given."""

    missing: tuple[str, ...] = ()
    """As they stand in the text that was given."""
    added: tuple[str, ...] = ()
    """As they stand in the version."""

    @property
    def sound(self) -> bool:
        """Whether nothing is lost and nothing invented."""
        return not self.missing and not self.added


class Rewritten(Border):
    """A text in the user's words, with what came of its facts."""

    text: str
    generation: Generation
    """All versions; feedback goes by its generation_id."""
    facts: tuple[FactCheck, ...]
    """Of each version."""
    changes: tuple[Change, ...]
    """From the text that was given to the one that was chosen, word by word."""

    @property
    def kept(self) -> FactCheck:
        """The facts of the chosen version."""
        return self.facts[self.generation.chosen]


class Event(Border):
    """One step of a streamed request."""

    type: Literal[
        "queued", "planned", "delta", "progress", "finished", "dropped", "leading", "scored", "selected", "done"
    ]
    """queued: waits for room beside other requests. planned: how many candidates are wanted; again when more are.
    delta: a candidate said more. progress: a step was taken. finished, dropped: a candidate ended by itself, or was
    ended before it was complete. leading: this candidate leads now, the first one, or once they are scored the best.
    scored: all are judged.
    selected: this candidate is the answer, from now on; where it is still being drawn, its further texts are the
    answer's. done: the last event, with the generation."""
    candidate: int | None = None
    """Index of the candidate that the event is about."""
    finish_reason: FinishReason | None = None
    """finished, dropped: how it ended."""
    text: str | None = None
    """delta: what was added; put together, the candidate's text. finished, dropped, leading: the candidate's text.
    selected, done: the answer; None in `selected` where it is still being drawn."""
    tokens: tuple[int, ...] = ()
    """progress: tokens drawn so far, per candidate."""
    n: int | None = None
    generation: Generation | None = None
    """The whole result, with `done`."""
    position: int | None = None
    """queued: requests that come before it, and itself."""
    expected_s: float | None = None
    """queued: seconds until it will probably begin, where that is known."""
