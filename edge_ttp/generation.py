"""One request's way down the staircase: recall, compose, plan, sample, score, select, record."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Event as Flag
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_ttp import controls, events, schema
from edge_ttp.adaptation.evidence import layer_of
from edge_ttp.adaptation.learned import learned
from edge_ttp.budget.planner import Limits, plan
from edge_ttp.budget.profile import Cost
from edge_ttp.errors import HistoryUnavailable, InvalidInput, OutOfCapacity
from edge_ttp.history import History
from edge_ttp.history.rows import checked_label, checked_text
from edge_ttp.policy.engine import Control, Drawn, Request, Sampled
from edge_ttp.prompt import Prompt, Style, compose, tokens_for
from edge_ttp.reward.model import RewardModel, Scores
from edge_ttp.reward.profile import HISTORY_ITEMS, UserProfile
from edge_ttp.selection import NEEDS_SIMILARITY, Choice, Pool, select
from edge_ttp.utility import agreement_matrix

DEFAULT_EXAMPLES = 4
"""Recalled history items in a prompt."""

_LENGTHS_FROM = 32
"""Newest outputs whose lengths tell how long a candidate may be."""

_PREFILL_SHARE = 0.5
"""Part of a deadline that reading the prompt may take; beyond it, examples are left out."""

_STORE_RESERVE_S = 0.02
"""Least time kept back from a deadline for choosing and recording."""

_CACHE_WAIT_S = 0.25
"""Longest wait for another writer before vectors are not kept."""

_RECORD_WAIT_S = 0.1
"""Least wait for another writer before an answer is not recorded, even when the deadline has come."""


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

    def sample(self, request: Request, control: Control, *, memory_bytes: int | None = None) -> Sampled:
        """Draws the candidates."""


@dataclass(frozen=True)
class Rooms:
    """The parts of an open runtime that one request passes through."""

    policy: Policy
    policy_name: str
    style: Style
    reward: RewardModel | None
    """None where the rule needs no scores."""
    history: History
    cost: Cost | None
    """What candidates cost on this device, None before anything was measured."""
    memory_bytes: int | None
    """What the device and the caller leave for the policy."""


@dataclass(frozen=True)
class Ask:
    """One request as the caller made it."""

    prompt: str
    user: str
    n: int | None = None
    """None: as many as the budget allows."""
    budget: schema.Budget = field(default_factory=schema.Budget)
    rule: schema.Rule = "mean"
    sampling: schema.Sampling = field(default_factory=schema.Sampling)
    seed: int | None = None
    kind: str | None = None
    examples: int = DEFAULT_EXAMPLES
    recall_for: str | None = None
    """Text that examples are recalled for. None: the prompt."""
    turns: tuple[tuple[str, str], ...] = ()
    """What was said before in the same conversation: prompt and answer, oldest first."""
    store: bool = True
    cancel: Flag | None = None
    emit: Callable[[schema.Event], None] | None = None


@dataclass(frozen=True)
class _Encoded:
    """A composed prompt in tokens."""

    prompt: Prompt
    tokens: tuple[int, ...]


def check(ask: Ask) -> None:
    """Raises InvalidInput for a request that cannot be meant."""
    if not ask.prompt.strip():
        raise InvalidInput("the prompt is empty", "write what should be answered")
    checked_text("the prompt", ask.prompt)
    for given, written in ask.turns:
        checked_text("an earlier prompt", given)
        checked_text("an earlier answer", written)
    if ask.recall_for is not None:
        checked_text("the text to recall for", ask.recall_for)
    controls.check(ask.sampling)
    if ask.kind is not None:
        checked_label("kind", ask.kind)
    if ask.n is not None and not 1 <= ask.n <= schema.MAX_CANDIDATES:
        raise InvalidInput(f"n={ask.n} candidates cannot be drawn", f"choose n from 1 to {schema.MAX_CANDIDATES}")
    if ask.seed is not None and not 0 <= ask.seed < 2**63:
        raise InvalidInput(f"the seed {ask.seed} is out of range", "choose one from 0 to 2^63 - 1")
    if ask.examples < 0:
        raise InvalidInput(f"{ask.examples} examples cannot be recalled", "choose 0 or more")


def generate(rooms: Rooms, ask: Ask) -> schema.Generation:
    """The answer to `ask`, with everything that led to it. Recorded in the history unless the caller forbade it."""
    check(ask)
    began = time.monotonic()
    deadline = None if ask.budget.deadline_s is None else began + ask.budget.deadline_s
    notes: list[str] = []

    # Recall: what this user wrote in answer to something similar.
    sought = ask.prompt if ask.recall_for is None else ask.recall_for
    recalled = rooms.history.recall(ask.user, sought, ask.examples, kind=ask.kind) if ask.examples else []
    recent = rooms.history.items(ask.user, kind=ask.kind, limit=HISTORY_ITEMS)
    if not recent:
        notes.append(f"no history yet for {ask.user!r}: nothing to imitate, answers are not personal")
    # The profile comes before the plan: a user's first one takes time that a deadline has to know of.
    profile = rooms.reward.profile(recent, StoredVectors(rooms.history)) if rooms.reward is not None else None
    recall_s = time.monotonic() - began

    # Compose and plan: as many examples and candidates as context, memory and deadline hold.
    lengths = [rooms.policy.count_tokens(item.output) for item in recent[:_LENGTHS_FROM]]
    structured = controls.structured(ask.sampling)
    least = controls.STRUCTURED_TOKENS if structured else 1
    max_tokens = ask.sampling.max_tokens or max(tokens_for(lengths), least)
    usual_tokens = min(float(np.mean(lengths)) + 1 if lengths else max_tokens * 0.6, max_tokens)
    encoded, dropped = _fit_prompt(
        rooms, ask, [(found.item.input, found.item.output) for found in recalled], max_tokens
    )
    notes += dropped
    planned = _plan(rooms, ask, encoded, max_tokens=max_tokens, usual_tokens=usual_tokens, deadline=deadline)
    notes += planned.notes
    _emit(ask, schema.Event(type="planned", n=planned.n))

    # Sample: all candidates together.
    reserve = _STORE_RESERVE_S if rooms.cost is None else rooms.cost.overhead_s + planned.n * rooms.cost.score_s
    seed = secrets.randbelow(2**31) if ask.seed is None else ask.seed
    sampled = rooms.policy.sample(
        controls.request(
            ask.sampling,
            rooms.policy.tokens,
            prompt=encoded.tokens,
            prompt_stop=encoded.prompt.stop,
            n=planned.n,
            seed=seed,
            max_tokens=max_tokens,
        ),
        Control(
            deadline=None if deadline is None else deadline - reserve,
            cancel=ask.cancel,
            on_step=None if ask.emit is None else events.forward(ask.emit),
        ),
        memory_bytes=rooms.memory_bytes,
    )
    notes += [*sampled.notes, *events.cut_short(sampled, planned.n, structured=structured)]

    # Score, select.
    scoring = time.monotonic()
    drawn = [replace(candidate, text=candidate.text.strip()) for candidate in sampled.candidates]
    scores = _score(rooms, ask, profile, drawn)
    selecting = time.monotonic()
    complete = [one.finish_reason == "stop" or (one.finish_reason == "length" and not structured) for one in drawn]
    choice = _choose(ask.rule, drawn, complete, scores, seed)
    _emit(ask, schema.Event(type="scored", n=len(drawn)))
    selected = time.monotonic()

    generation = schema.Generation(
        text=drawn[choice.index].text,
        generation_id=secrets.token_hex(6),
        user=ask.user,
        prompt=ask.prompt,
        kind=ask.kind,
        model=rooms.policy_name,
        reward=rooms.reward.name if rooms.reward is not None else None,
        n=len(drawn),
        chosen=choice.index,
        candidates=_candidates(drawn, scores, choice),
        selection=schema.Selection(rule=choice.rule, reason=choice.reason),
        plan=planned.model_copy(update={"waves": max(1, sampled.waves), "notes": (*planned.notes, *sampled.notes)}),
        timings=schema.Timings(
            recall_s=recall_s,
            prefill_s=sampled.prefill_s,
            reuse_saved_s=_saved_s(sampled, rooms.cost),
            decode_s=sampled.decode_s,
            sample_s=sampled.sample_s,
            score_s=selecting - scoring,
            select_s=selected - selecting,
            device=rooms.policy.device,
        ),
        usage=schema.Usage(
            prompt_tokens=sampled.prompt_tokens,
            cached_prompt_tokens=sampled.cached_tokens,
            completion_tokens=sum(candidate.tokens for candidate in drawn),
            decoded_rows=sampled.rows,
        ),
        seed=seed,
        sampling=ask.sampling,
        stored=ask.store,
        notes=tuple(notes),
    )
    generation = _record(rooms, generation, scores, began, deadline)
    _emit(ask, schema.Event(type="selected", text=generation.text, candidate=choice.index, generation=generation))
    return generation


def encode(
    policy: Policy,
    style: Style,
    request: str,
    examples: Sequence[tuple[str, str]],
    turns: Sequence[tuple[str, str]] = (),
) -> tuple[Prompt, tuple[int, ...]]:
    """The prompt for `request` in words and in tokens; few-shot text where the model has no chat template."""
    prompt = compose(request, examples, style, turns)
    if style == "chat":
        tokens = policy.encode_chat(prompt.messages)
        if tokens is not None:
            return prompt, tokens
        prompt = compose(request, examples, "few-shot", turns)
    return prompt, policy.encode_text(prompt.text)


def _fit_prompt(rooms: Rooms, ask: Ask, examples: list[tuple[str, str]], max_tokens: int) -> tuple[_Encoded, list[str]]:
    """The prompt with as much of the past as context and deadline hold.

    The least similar examples are left out first, then the oldest turns. Raises OutOfCapacity where the request alone
    is too long for the context or the memory.
    """
    kept, turns = list(examples), list(ask.turns)
    slow = False
    while True:
        prompt, tokens = encode(rooms.policy, rooms.style, ask.prompt, kept, turns)
        late = (
            ask.budget.deadline_s is not None
            and rooms.cost is not None
            and len(tokens) * rooms.cost.prefill_token_s > ask.budget.deadline_s * _PREFILL_SHARE
        )
        refusal = _refusal(rooms, len(tokens), max_tokens)
        if refusal is None and not (late and (kept or turns)):
            break
        slow = slow or (late and refusal is None)
        if kept:
            kept.pop()
        elif turns:
            turns.pop(0)
        else:
            assert refusal is not None
            raise refusal
    why = "the deadline leaves no time to read them" if slow else "context and memory hold no more"
    notes = []
    for lost, what in (
        (len(examples) - len(kept), "recalled examples"),
        (len(ask.turns) - len(turns), "earlier turns"),
    ):
        if lost:
            notes.append(f"{lost} {what} left out: {why}")
    return _Encoded(prompt, tokens), notes


def _refusal(rooms: Rooms, prompt_tokens: int, max_tokens: int) -> OutOfCapacity | None:
    """Why not even one candidate fits behind a prompt of so many tokens, None where it does."""
    try:
        rooms.policy.width(prompt_tokens, max_tokens, 1, memory_bytes=rooms.memory_bytes)
    except OutOfCapacity as refusal:
        return refusal
    return None


def _plan(
    rooms: Rooms, ask: Ask, encoded: _Encoded, *, max_tokens: int, usual_tokens: float, deadline: float | None
) -> schema.Plan:
    """How many candidates this request gets."""
    width = None
    if rooms.memory_bytes is not None and ask.n is None:  # a number asked for is drawn in waves, if need be
        width = rooms.policy.width(
            len(encoded.tokens), max_tokens, schema.MAX_CANDIDATES, memory_bytes=rooms.memory_bytes
        )
        width = None if width >= schema.MAX_CANDIDATES - 1 else width
    seconds = None
    if rooms.cost is not None:
        seconds = rooms.cost.seconds(
            schema.MAX_CANDIDATES,
            prompt_tokens=len(encoded.tokens),
            max_tokens=max_tokens,
            usual_tokens=usual_tokens,
        )
    limits = Limits(
        requested=ask.n,
        deadline_s=None if deadline is None else deadline - time.monotonic(),
        width=width,
        scored=rooms.reward is not None or ask.rule in NEEDS_SIMILARITY or ask.rule == "logprob",
    )
    planned = plan(seconds, ask.budget, limits)
    return schema.Plan(
        n=planned.n,
        bound_by=planned.bound_by,
        max_tokens=max_tokens,
        examples=encoded.prompt.examples,
        expected_s=planned.expected_s,
        notes=planned.notes,
    )


def _saved_s(sampled: Sampled, cost: Cost | None) -> float:
    """Seconds that the prompt tokens in the cache would have taken, at the measured rate or else at this call's."""
    computed = sampled.prompt_tokens - sampled.cached_tokens
    each = cost.prefill_token_s if cost is not None else sampled.prefill_s / max(1, computed)
    return sampled.cached_tokens * each


def _score(rooms: Rooms, ask: Ask, profile: UserProfile | None, drawn: Sequence[Drawn]) -> Scores | None:
    if rooms.reward is None or profile is None:
        return None
    weights = learned(rooms.history, ask.user, rooms.reward).weights
    return rooms.reward.score(profile, ask.prompt, [(one.text, one.tokens, one.logprob) for one in drawn], weights)


def _choose(
    rule: schema.Rule, drawn: Sequence[Drawn], complete: Sequence[bool], scores: Scores | None, seed: int
) -> Choice:
    similarity = scores.similarity if scores is not None else None
    if similarity is None and rule in NEEDS_SIMILARITY:
        similarity = agreement_matrix([one.text for one in drawn])
    pool = Pool(
        logprob=np.array([one.logprob for one in drawn]),
        tokens=np.array([one.tokens for one in drawn]),
        complete=np.array([whole and bool(one.text) for whole, one in zip(complete, drawn, strict=True)]),
        mean=scores.mean if scores is not None else None,
        epistemic=scores.epistemic if scores is not None else None,
        similarity=similarity,
    )
    return select(pool, rule, rng=np.random.default_rng(seed))


def _candidates(drawn: Sequence[Drawn], scores: Scores | None, choice: Choice) -> tuple[schema.Candidate, ...]:
    result = []
    for index, one in enumerate(drawn):
        score = float(choice.scores[index])
        result.append(
            schema.Candidate(
                text=one.text,
                tokens=one.tokens,
                logprob=one.logprob,
                finish_reason=one.finish_reason,
                seed=one.seed,
                mean=float(scores.mean[index]) if scores is not None else None,
                variance=float(scores.variance[index]) if scores is not None else None,
                aleatoric=float(scores.aleatoric[index]) if scores is not None else None,
                epistemic=float(scores.epistemic[index]) if scores is not None else None,
                score=score if np.isfinite(score) else None,
            )
        )
    return tuple(result)


def _record(
    rooms: Rooms, generation: schema.Generation, scores: Scores | None, began: float, deadline: float | None
) -> schema.Generation:
    """The generation with its final timings, written to the history if it is to be stored.

    An answer is never lost because it could not be recorded: then it says so. Nor does it wait for another writer
    much longer than the deadline.
    """
    started = time.monotonic()
    timings = generation.timings.model_copy(update={"total_s": started - began})
    generation = generation.model_copy(update={"timings": timings})
    if not generation.stored:
        return generation
    layer = layer_of(rooms.reward.fingerprint, scores) if rooms.reward is not None and scores is not None else None
    wait_s = None if deadline is None else max(_RECORD_WAIT_S, deadline - started)
    try:
        rooms.history.record(generation, layer=layer, wait_s=wait_s)
    except HistoryUnavailable as failed:
        notes = (*generation.notes, f"not recorded: {failed}")
        return generation.model_copy(update={"stored": False, "notes": notes})
    ended = time.monotonic()
    timings = timings.model_copy(update={"store_s": ended - started, "total_s": ended - began})
    return generation.model_copy(update={"timings": timings})


def _emit(ask: Ask, event: schema.Event) -> None:
    if ask.emit is not None:
        ask.emit(event)


class StoredVectors:
    """The reward model's vectors of history items, kept in the history beside them (reward.profile.VectorCache)."""

    def __init__(self, history: History) -> None:
        self._history = history

    def get(self, item_ids: Sequence[int], encoder: str) -> dict[int, npt.NDArray[np.float32]]:
        """Vectors of these items made by this encoder."""
        return self._history.vectors(item_ids, encoder)

    def put(self, encoder: str, vectors: Mapping[int, npt.NDArray[np.float32]]) -> None:
        """Stores vectors where the history can be written; they can always be computed again."""
        if self._history.read_only:
            return
        # A locked history or a full disk must not cost the answer; recording it will say what is wrong.
        with suppress(HistoryUnavailable):
            self._history.put_vectors(encoder, vectors, wait_s=_CACHE_WAIT_S)
