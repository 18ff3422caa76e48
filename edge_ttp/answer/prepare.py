"""From request to plan: recall, compose every prompt that comes into question, let the planner choose among them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp import schema
from edge_ttp.answer import controls
from edge_ttp.answer.ask import Ask, Policy, Rooms
from edge_ttp.answer.prompt import Prompt, Style, compose, tokens_for
from edge_ttp.answer.select import NEEDS_SIMILARITY
from edge_ttp.budget import gain
from edge_ttp.budget.planner import Option, PlanLimits, Planned, plan
from edge_ttp.errors import HistoryUnavailable, OutOfCapacity
from edge_ttp.history import History
from edge_ttp.learning.calibration import POPULATION, Calibration
from edge_ttp.learning.learned import Learned, learned
from edge_ttp.reward.user_profile import HISTORY_ITEMS, UserProfile
from edge_ttp.schema import HistoryItem

EXAMPLES_WORTH = ((0, 0.0), (1, 0.2), (2, 0.25), (4, 0.3), (8, 0.35), (64, 0.4))
"""What so many recalled examples add to every candidate, in units of the utility's spread (docs/budget.md)."""

CUT_WORTH = 1.0
"""What a text loses that has to end before its end, in the same units."""

_LENGTHS_FROM = 32
"""Newest outputs whose lengths tell how long a candidate may be."""

_LEVELS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of examples that are compared, beside the one asked for."""

_CACHE_WAIT_S = 0.25
"""Longest wait for another writer before vectors are not kept."""

_RESERVE_S = 0.02
"""Time kept back from a deadline for choosing and recording where nothing was measured yet."""


@dataclass(frozen=True)
class Recollection:
    """What is known of the user when the request comes."""

    examples: tuple[tuple[str, str], ...]
    """Input and output, the most similar first."""
    recent: tuple[HistoryItem, ...]
    profile: UserProfile | None
    learned: Learned | None
    """None where nothing is scored."""

    @property
    def calibration(self) -> Calibration:
        """The user's record, the population's where nothing is scored."""
        return POPULATION if self.learned is None else self.learned.record


@dataclass(frozen=True)
class EncodedPrompt:
    """A composed prompt in tokens."""

    prompt: Prompt
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Prepared:
    """A request that is ready to be drawn."""

    recalled: Recollection
    encoded: EncodedPrompt
    planned: Planned
    plan: schema.Plan
    budget: schema.Budget
    """The caller's, with the device's energy where they left it open."""
    structured: bool
    usual: int
    """Tokens that most candidates keep to, at most `longest`."""
    notes: tuple[str, ...]

    @property
    def longest(self) -> int:
        """Tokens that a candidate may have."""
        return self.planned.option.longest


def recall(rooms: Rooms, ask: Ask) -> Recollection:
    """What this user wrote in answer to something similar, their profile, and what was learned of them."""
    sought = ask.prompt if ask.recall_for is None else ask.recall_for
    found = rooms.history.recall(ask.user, sought, ask.examples, kind=ask.kind) if ask.examples else []
    recent = rooms.history.items(ask.user, kind=ask.kind, limit=HISTORY_ITEMS, prompts=False)
    # The profile comes before the plan: a user's first one takes time that a deadline has to know of.
    profile = rooms.reward.profile(recent, StoredVectors(rooms.history)) if rooms.reward is not None else None
    return Recollection(
        examples=tuple((one.item.input, one.item.output) for one in found),
        recent=tuple(recent),
        profile=profile,
        learned=learned(rooms.history, ask.user, rooms.reward) if rooms.reward is not None else None,
    )


def prepare(rooms: Rooms, ask: Ask, deadline: float | None) -> Prepared:
    """The request with its prompt and its plan; `deadline` is a moment of time.monotonic.

    Raises OutOfCapacity where the request alone is too long for the context or the memory.
    """
    recalled = recall(rooms, ask)
    notes = []
    if damaged := len(rooms.history.damaged):
        notes.append(f"{damaged} damaged rows of the history were left out: see `edge-ttp history doctor`")
    if not recalled.recent:
        notes.append(f"no history yet for {ask.user!r}: nothing to imitate, answers are not personal")
    structured = ask.sampling.structured
    lengths = [rooms.policy.count_tokens(item.output) for item in recalled.recent[:_LENGTHS_FROM]]
    caps = _caps(ask, lengths, structured)
    usual = caps[0] if structured else min(caps[0], tokens_for(lengths))
    budget = ask.budget
    if budget.energy is None:
        budget = budget.model_copy(update={"energy": rooms.energy})
    turns = list(ask.turns)
    while True:
        options, prompts, refusal = _options(rooms, ask, recalled, turns=turns, caps=caps, usual=usual, lengths=lengths)
        left = None if deadline is None else deadline - time.monotonic()
        limits = PlanLimits(
            requested=ask.n,
            deadline_s=None if left is None else left - margin_s(rooms),
            scored=rooms.reward is not None or ask.rule in NEEDS_SIMILARITY or ask.rule == "logprob",
            trusted=rooms.reward is None or recalled.calibration.trusted,
            hot=rooms.hot,
        )
        late = bool(options) and left is not None and all(_late(one, limits) for one in options)
        if options and not (late and turns):
            break
        if not turns:
            assert refusal is not None
            raise refusal
        turns.pop(0)
    planned = plan(options, budget, limits)
    place = options.index(planned.option)
    encoded = prompts[place]
    notes += _left_out(recalled, ask, encoded, turns=turns, refusal=refusal, hurried=deadline is not None)
    if planned.option.longest < caps[0]:
        notes.append(f"answers end after {planned.option.longest} of {caps[0]} tokens: more time would be needed")
    notes += planned.notes
    shown = schema.Plan(
        n=planned.n,
        bound_by=planned.bound_by,
        max_tokens=planned.option.longest,
        examples=planned.option.examples,
        prompt_tokens=len(encoded.tokens),
        expected_s=planned.expected_s,
        expected_gain=planned.expected_gain,
        notes=planned.notes,
    )
    return Prepared(
        recalled, encoded, planned, shown, budget, structured, min(usual, planned.option.longest), tuple(notes)
    )


def margin_s(rooms: Rooms) -> float:
    """Seconds by which a prediction of the time after drawing may be off."""
    return _RESERVE_S if rooms.costs is None else 3 * rooms.costs.deviation_s


def reserve_s(rooms: Rooms, n: int) -> float:
    """Seconds to keep back from a deadline for scoring `n` candidates, choosing and recording."""
    return _RESERVE_S if rooms.costs is None else rooms.costs.reserve_s(n, scored=rooms.reward is not None)


def encode(
    policy: Policy,
    style: Style,
    request: str,
    examples: Sequence[tuple[str, str]],
    turns: Sequence[tuple[str, str]] = (),
    *,
    system: str | None = None,
    context: Sequence[str] = (),
) -> tuple[Prompt, tuple[int, ...]]:
    """The prompt for `request` in words and in tokens; few-shot text where the model has no chat template."""
    prompt = compose(request, examples, style, turns, system=system, context=context)
    if style == "chat":
        tokens = policy.encode_chat(prompt.messages)
        if tokens is not None:
            return prompt, tokens
        prompt = compose(request, examples, "few-shot", turns, system=system, context=context)
    return prompt, policy.encode_text(prompt.text)


def _caps(ask: Ask, lengths: Sequence[int], structured: bool) -> list[int]:
    """Longest candidates that come into question, in tokens, the usual one first.

    Under a deadline also shorter ones that most of the user's own texts would keep to.
    """
    least = controls.STRUCTURED_TOKENS if structured else 1
    usual = ask.sampling.max_tokens or max(tokens_for(lengths), least)
    if ask.sampling.max_tokens or structured or ask.budget.deadline_s is None or not lengths:
        return [usual]
    shorter = {max(8, int(np.quantile(lengths, part)) + 2) for part in (0.5, 0.9)}
    return [usual, *sorted((cap for cap in shorter if cap < usual), reverse=True)]


def _options(
    rooms: Rooms,
    ask: Ask,
    recalled: Recollection,
    *,
    turns: Sequence[tuple[str, str]],
    caps: Sequence[int],
    usual: int,
    lengths: Sequence[int],
) -> tuple[list[Option], list[EncodedPrompt], OutOfCapacity | None]:
    """Every way to put the request that context and memory hold, its prompt, and why the others do not fit."""
    most = ask.n or ask.budget.max_candidates or schema.MAX_CANDIDATES
    calibration = recalled.calibration
    several = gain.before_scores(calibration, most)
    shown = sorted({level for level in _LEVELS if level < len(recalled.examples)} | {len(recalled.examples)})
    best = _worth(len(recalled.examples))
    options, prompts, refusal = [], [], None
    for count in reversed(shown):
        shown_now = recalled.examples[:count]
        encoded = EncodedPrompt(
            *encode(rooms.policy, rooms.style, ask.prompt, shown_now, turns, system=ask.system, context=ask.context)
        )
        size = len(encoded.tokens)
        for longest in caps:
            try:
                width = _width(rooms, ask, size, longest)
            except OutOfCapacity as too_long:
                refusal = too_long
                continue
            cut = float(np.mean([length > longest for length in lengths])) if longest < caps[0] else 0.0
            lost = (best - _worth(count) + CUT_WORTH * cut) * calibration.spread
            options.append(
                Option(
                    count,
                    longest,
                    _seconds(rooms, encoded.tokens, longest=longest, usual=usual, most=most, width=width),
                    several - lost,
                    width,
                )
            )
            prompts.append(encoded)
        if options and (rooms.costs is None or _is_replay(ask)):
            break  # nothing to weigh them by, or not to be weighed: as many examples as fit
    return options, prompts, refusal


def _is_replay(ask: Ask) -> bool:
    """Whether the same candidates are to come again: then the prompt must not depend on how fast the device is."""
    return ask.n is not None and ask.seed is not None and ask.budget.deadline_s is None


def _worth(examples: int) -> float:
    counts, worth = zip(*EXAMPLES_WORTH, strict=True)
    return float(np.interp(examples, counts, worth))


def _width(rooms: Rooms, ask: Ask, prompt: int, longest: int) -> int | None:
    """Candidates that the memory holds at once, None where that does not bind. Raises OutOfCapacity for none."""
    if rooms.memory_bytes is None or ask.n is not None:  # a number asked for is drawn in waves, if need be
        rooms.policy.width(prompt, longest, 1, memory_bytes=rooms.memory_bytes)
        return None
    width = rooms.policy.width(prompt, longest, schema.MAX_CANDIDATES, memory_bytes=rooms.memory_bytes)
    return None if width >= schema.MAX_CANDIDATES - 1 else width


def _seconds(
    rooms: Rooms, tokens: tuple[int, ...], *, longest: int, usual: int, most: int, width: int | None
) -> npt.NDArray[np.float64] | None:
    """Predicted seconds, (most,), from now to the recorded answer."""
    if rooms.costs is None:
        return None
    reading = rooms.costs.prefill_s(len(tokens), rooms.policy.resident(tokens), rooms.free_cores)
    scored = rooms.reward is not None
    drawing = rooms.costs.draw_s(
        most, prompt=len(tokens), longest=longest, usual=usual, free=rooms.free_cores, width=width, scored=scored
    )
    return reading + drawing + rooms.costs.after_s


def _late(option: Option, limits: PlanLimits) -> bool:
    assert limits.deadline_s is not None
    return option.seconds is not None and float(option.seconds[0]) > limits.deadline_s


def _left_out(
    recalled: Recollection,
    ask: Ask,
    encoded: EncodedPrompt,
    *,
    turns: Sequence[object],
    refusal: OutOfCapacity | None,
    hurried: bool,
) -> list[str]:
    """What of the past is not in the prompt, and why."""
    if refusal is not None:
        why = "context and memory hold no more"
    elif hurried:
        why = "the deadline leaves no time to read them"
    else:
        why = "reading them takes longer than they are worth"
    lost = (
        (len(recalled.examples) - encoded.prompt.examples, "recalled examples"),
        (len(ask.turns) - len(turns), "earlier turns"),
    )
    return [f"{count} {what} left out: {why}" for count, what in lost if count]


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
