"""From request to plan: recall, compose every prompt that comes into question, let the planner choose among them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from edge_ttp import schema
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.encoding import EncodedPrompt
from edge_ttp.answer.options import Ways, answer_lengths, ways
from edge_ttp.answer.prompt import Example
from edge_ttp.answer.recollection import Recollection, recollect
from edge_ttp.answer.select import NEEDS_SIMILARITY
from edge_ttp.budget.planner import Option, PlanLimits, Planned, plan

_RESERVE_S = 0.02
"""Time kept back from a deadline for choosing and recording where nothing was measured yet."""


@dataclass(frozen=True)
class Prepared:
    """A request that is ready to be drawn."""

    recollection: Recollection
    encoded: EncodedPrompt
    planned: Planned
    plan: schema.Plan
    budget: schema.Budget
    """The caller's, with the device's energy where they left it open."""
    limits: PlanLimits
    """What the plan had to keep to."""
    usual: int
    """Tokens that most candidates keep to, at most `longest`."""
    notes: tuple[str, ...]

    @property
    def longest(self) -> int:
        """Tokens that a candidate may have."""
        return self.planned.option.longest


def prepare(rooms: Rooms, ask: Ask, deadline: float | None) -> Prepared:
    """The request with its prompt and its plan; `deadline` is a moment of time.monotonic.

    Raises OutOfCapacity where the request alone is too long for the context or the memory.
    """
    recollection = recollect(rooms, ask)
    lengths = answer_lengths(rooms, ask, recollection)
    budget = ask.budget
    if budget.energy is None:
        budget = budget.model_copy(update={"energy": rooms.energy})
    turns = list(ask.turns)
    while True:
        open_ways = ways(rooms, ask, recollection, lengths, turns=turns)
        limits = _limits(rooms, ask, recollection, deadline)
        if open_ways.options and not (turns and all(_late(option, limits) for option in open_ways.options)):
            break
        if not turns:
            assert open_ways.refusal is not None
            raise open_ways.refusal
        turns.pop(0)  # the oldest one is missed least
    planned = plan(open_ways.options, budget, limits)
    encoded = open_ways.prompt_of(planned.option)
    notes = _left_out(recollection, ask, encoded, open_ways, turns=turns)
    if planned.option.longest < lengths.caps[0]:
        notes.append(
            f"answers end after {planned.option.longest} of {lengths.caps[0]} tokens: more time would be needed"
        )
    return Prepared(
        recollection=recollection,
        encoded=encoded,
        planned=planned,
        plan=_shown(planned, encoded),
        budget=budget,
        limits=limits,
        usual=min(lengths.usual, planned.option.longest),
        notes=(*recollection.notes, *notes, *planned.notes),
    )


def margin_s(rooms: Rooms) -> float:
    """Seconds by which a prediction of the time after drawing may be off."""
    return _RESERVE_S if rooms.costs is None else 3 * rooms.costs.deviation_s


def reserve_s(rooms: Rooms, n: int) -> float:
    """Seconds to keep back from a deadline for scoring `n` candidates, choosing and recording."""
    return _RESERVE_S if rooms.costs is None else rooms.costs.reserve_s(n, scored=rooms.reward is not None)


def _limits(rooms: Rooms, ask: Ask, recollection: Recollection, deadline: float | None) -> PlanLimits:
    """What the plan has to keep to, now."""
    return PlanLimits(
        requested=ask.n,
        deadline_s=None if deadline is None else deadline - time.monotonic() - margin_s(rooms),
        scored=rooms.reward is not None or ask.rule in NEEDS_SIMILARITY or ask.rule == "logprob",
        trusted=rooms.reward is None or recollection.calibration.trusted,
        hot=rooms.hot,
    )


def _late(option: Option, limits: PlanLimits) -> bool:
    """Whether not even one candidate comes in time."""
    if limits.deadline_s is None or option.seconds is None:
        return False
    return float(option.seconds[0]) > limits.deadline_s


def _shown(planned: Planned, encoded: EncodedPrompt) -> schema.Plan:
    """The plan as the caller sees it."""
    return schema.Plan(
        n=planned.n,
        bound_by=planned.bound_by,
        max_tokens=planned.option.longest,
        examples=planned.option.examples,
        prompt_tokens=len(encoded.tokens),
        expected_s=planned.expected_s,
        expected_gain=planned.expected_gain,
        notes=planned.notes,
    )


def _left_out(
    recollection: Recollection, ask: Ask, encoded: EncodedPrompt, open_ways: Ways, *, turns: Sequence[Example]
) -> list[str]:
    """What of the past is not in the prompt, and why."""
    if open_ways.refusal is not None:
        why = "context and memory hold no more"
    elif ask.budget.deadline_s is not None:
        why = "the deadline leaves no time to read them"
    else:
        why = "reading them takes longer than they are worth"
    lost = (
        (len(recollection.examples) - encoded.prompt.examples, "recalled examples"),
        (len(ask.turns) - len(turns), "earlier turns"),
    )
    return [f"{count} {what} left out: {why}" for count, what in lost if count]
