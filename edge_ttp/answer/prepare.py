"""From request to plan: recall, compose every prompt that comes into question, let the planner choose among them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from edge_ttp import schema
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.controls import settled
from edge_ttp.answer.encoding import EncodedPrompt
from edge_ttp.answer.language import foreign
from edge_ttp.answer.lengths import AnswerLengths, lengths_for
from edge_ttp.answer.options import ways
from edge_ttp.answer.prompt import Example, with_context
from edge_ttp.answer.recollection import Recollection, recollect
from edge_ttp.answer.select import NEEDS_SIMILARITY
from edge_ttp.budget.planner import Option, PlanLimits, Planned, plan
from edge_ttp.errors import DeadlineTooShort, InvalidInput, OutOfCapacity

_RESERVE_S = 0.02
"""Time kept back from a deadline for choosing and recording where nothing was measured yet."""


@dataclass(frozen=True)
class Prepared:
    """A request that is ready to be drawn."""

    request: str
    """What is answered, with the documents that it is about."""
    sampling: schema.Sampling
    """The caller's, with the policy's own temperatures where they left them open."""
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


def prepare(
    rooms: Rooms,
    ask: Ask,
    deadline: float | None,
    *,
    recollection: Recollection | None = None,
    lengths: AnswerLengths | None = None,
) -> Prepared:
    """The request with its prompt and its plan; `deadline` is a moment of time.monotonic.

    `recollection`, `lengths`: where they are known already.

    Raises OutOfCapacity where the request alone is too long for the context or the memory, InvalidInput for a rule
    that needs what the policy's engine does not say.
    """
    _check_logprobs(rooms, ask)
    recollection = recollection or recollect(rooms, ask)
    lengths = lengths or lengths_for(rooms.policy, ask, recollection.recent)
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
            raise _no_room(ask, recollection, open_ways.refusal)
        turns.pop(0)  # the oldest one is missed least
    planned = plan(open_ways.options, budget, limits)
    if ask.examples and recollection.examples and _late(planned.option, limits):
        raise _no_time(planned.option, limits)
    encoded = open_ways.prompt_of(planned.option)
    fullest = max(open_ways.options, key=lambda option: (option.examples, option.longest))
    hurried = planned.option is not fullest
    notes = [
        *_elsewhere(rooms),
        *_language(rooms, ask),
        *_left_out(recollection, ask, encoded, turns=turns, hurried=hurried),
    ]
    if planned.option.longest < lengths.caps[0]:
        why = "more time would be needed" if hurried else "context and memory hold no more"
        notes.append(f"answers end after {planned.option.longest} of {lengths.caps[0]} tokens: {why}")
    return Prepared(
        request=with_context(ask.prompt, ask.context),
        sampling=settled(ask.sampling, rooms.temperatures, rooms.adapters),
        recollection=recollection,
        encoded=encoded,
        planned=planned,
        plan=_shown(planned, encoded),
        budget=budget,
        limits=limits,
        usual=min(lengths.usual, planned.option.longest),
        notes=(*recollection.notes, *notes, *planned.notes),
    )


def _check_logprobs(rooms: Rooms, ask: Ask) -> None:
    if ask.rule == "logprob" and not rooms.logprobs:
        raise InvalidInput(
            f"the engine at {rooms.policy_url} says no log-probabilities, which the rule 'logprob' ranks by",
            "choose another rule, such as --select lcb",
        )


def _elsewhere(rooms: Rooms) -> list[str]:
    """What to say of an answer that is drawn elsewhere."""
    said = [] if rooms.sent is None else [rooms.sent]
    if not rooms.logprobs:
        said.append("the engine says no log-probabilities: no candidate is judged by them")
    return said


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
        examples=encoded.prompt.examples,
        prompt_tokens=len(encoded.tokens),
        expected_s=planned.expected_s,
        expected_gain=planned.expected_gain,
        notes=planned.notes,
    )


def _left_out(
    recollection: Recollection, ask: Ask, encoded: EncodedPrompt, *, turns: Sequence[Example], hurried: bool
) -> list[str]:
    """What of the past is not in the prompt, and why."""
    why = "the deadline leaves no time to read them" if hurried else "context and memory hold no more"
    lost = (
        (len(recollection.core) + len(recollection.examples) - encoded.prompt.examples, "recalled example"),
        (len(ask.turns) - len(turns), "earlier turn"),
    )
    return [f"{count} {what}{'' if count == 1 else 's'} left out: {why}" for count, what in lost if count]


def _language(rooms: Rooms, ask: Ask) -> list[str]:
    """What to say, once to each user, of a request in a language that the policy cannot write."""
    said = foreign(ask.prompt, rooms.languages, rooms.policy_name)
    if said is None or (ask.user, said) in rooms.noted:
        return []
    rooms.noted.add((ask.user, said))
    return [said]


def _no_room(ask: Ask, recollection: Recollection, refusal: OutOfCapacity) -> OutOfCapacity:
    """The refusal, with the examples in it that the caller wanted at any price."""
    if not ask.examples or not recollection.examples:
        return refusal
    return OutOfCapacity(
        f"{refusal.fact} ({len(recollection.examples)} examples in it)",
        "ask for fewer with --examples, or leave it out: then as many are shown as there is room for",
    )


def _no_time(option: Option, limits: PlanLimits) -> DeadlineTooShort:
    """Examples that the caller wanted at any price, and no time to read them."""
    assert option.seconds is not None
    assert limits.deadline_s is not None
    return DeadlineTooShort(
        f"an answer behind {option.examples} examples would take {float(option.seconds[0]):.1f} s, and"
        f" {max(0.0, limits.deadline_s):.1f} s are left",
        "allow more time, or leave --examples out: fewer are shown then",
    )
