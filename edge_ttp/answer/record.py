"""What is told and kept of an answered request: the Generation, its row in the history, its cost for the profile."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from edge_ttp import schema
from edge_ttp.answer import events
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.choosing import Selected
from edge_ttp.answer.ending import Ending
from edge_ttp.answer.prepare import Prepared
from edge_ttp.answer.race import going_on
from edge_ttp.answer.waves import Drawing
from edge_ttp.budget.device_profile import Call
from edge_ttp.errors import HistoryUnavailable, NotFound
from edge_ttp.learning.evidence import layer_of
from edge_ttp.reward.model import Scores

_RECORD_WAIT_S = 0.1
"""Least wait for another writer before an answer is not recorded, even when the deadline has come."""


@dataclass(frozen=True)
class Marks:
    """Moments of time.monotonic on a request's way."""

    began: float
    planned: float
    drawn: float
    chosen: float


@dataclass(frozen=True)
class Answered:
    """One request after its last step, before it is told and kept."""

    ask: Ask
    prepared: Prepared
    drawing: Drawing
    chosen: Selected
    end: Ending
    marks: Marks
    seed: int
    generation_id: str


def generation(rooms: Rooms, answered: Answered) -> schema.Generation:
    """The result of the request, whole. Pure: reads no clock and touches no room."""
    ask, prepared, drawing, choice = answered.ask, answered.prepared, answered.drawing, answered.chosen.choice
    sampled, marks = drawing.sampled, answered.marks
    candidates = _candidates(answered)
    return schema.Generation(
        text=candidates[choice.index].text,
        generation_id=answered.generation_id,
        user=ask.user,
        prompt=ask.prompt,
        kind=ask.kind,
        model=rooms.policy_name,
        reward=rooms.reward.name if rooms.reward is not None else None,
        n=len(candidates),
        chosen=choice.index,
        candidates=candidates,
        selection=schema.Selection(rule=choice.rule, reason=choice.reason),
        plan=prepared.plan.model_copy(
            update={
                "adapter": None if ask.sampling.adapters else rooms.adapter_name,
                "waves": max(1, sampled.waves),
                "decisions": drawing.decisions,
                "notes": (*prepared.plan.notes, *sampled.notes),
            }
        ),
        timings=schema.Timings(
            recall_s=marks.planned - marks.began,
            prefill_s=sampled.prefill_s + answered.end.prefill_s,
            reuse_saved_s=_saved_s(rooms, drawing),
            decode_s=sampled.decode_s + answered.end.decode_s,
            sample_s=sampled.sample_s,
            score_s=drawing.score_s,
            select_s=marks.chosen - marks.drawn,
            device=rooms.policy.device,
            policy_url=rooms.policy_url,
        ),
        usage=schema.Usage(
            prompt_tokens=sampled.prompt_tokens,
            cached_prompt_tokens=sampled.cached_tokens,
            completion_tokens=sum(one.tokens for one in candidates),
            decoded_rows=sampled.rows,
        ),
        seed=answered.seed,
        sampling=prepared.sampling,
        stored=ask.store,
        remember=ask.remember,
        conversation=ask.conversation,
        notes=(
            *prepared.notes,
            *sampled.notes,
            *events.cut_short(sampled, drawing.wanted, structured=ask.sampling.structured),
            *answered.chosen.notes,
            *answered.end.notes,
        ),
    )


def keep(
    rooms: Rooms, made: schema.Generation, scores: Scores | None, *, began: float, deadline: float | None
) -> schema.Generation:
    """The generation with its final timings, written to the history if it is to be stored.

    An answer is never lost because it could not be recorded: then it says so. Nor does it wait for another writer
    much longer than the deadline.
    """
    started = time.monotonic()
    timings = made.timings.model_copy(update={"total_s": started - began})
    made = made.model_copy(update={"timings": timings})
    if not made.stored:
        return made
    layer = None
    # Candidates that a race dropped are incomplete: they are no rivals, and nobody knows what was left of the pool.
    if rooms.reward is not None and scores is not None and len(going_on(made.candidates)) == len(made.candidates):
        layer = layer_of(rooms.reward.fingerprint, scores)
    wait_s = None if deadline is None else max(_RECORD_WAIT_S, deadline - started)
    try:
        rooms.history.record(made, layer=layer, wait_s=wait_s)
    except HistoryUnavailable as failed:
        notes = (*made.notes, f"not recorded: {failed}")
        return made.model_copy(update={"stored": False, "notes": notes})
    ended = time.monotonic()
    timings = timings.model_copy(update={"store_s": ended - started, "total_s": ended - began})
    return made.model_copy(update={"timings": timings})


def take_back(rooms: Rooms, made: schema.Generation) -> None:
    """Takes an answer out of the history again that its caller will never get."""
    if made.stored:
        with suppress(HistoryUnavailable, NotFound):
            rooms.history.forget(made.user, generation_id=made.generation_id)


def observe(rooms: Rooms, prepared: Prepared, drawing: Drawing, timings: schema.Timings) -> None:
    """Tells the device's profile what this request did and took."""
    if rooms.observe is None or rooms.costs is None:
        return
    sampled = drawing.sampled
    reading, drawn_with = rooms.costs.threads(rooms.free_cores)
    rooms.observe(
        Call(
            prefill_threads=reading,
            decode_threads=drawn_with,
            prompt_tokens=sampled.prompt_tokens,
            cached_tokens=sampled.cached_tokens,
            prefill_s=sampled.prefill_s,
            rows=sampled.step_rows,
            decode_s=sampled.decode_s,
            tokens=tuple(one.tokens for one in sampled.candidates),
            cut=tuple(one.finish_reason not in ("stop", "length") for one in sampled.candidates),
            usual=prepared.usual,
            scored=drawing.scored,
            waves=drawing.scorings,
            score_s=timings.score_s,
            before_s=timings.recall_s,
            after_s=timings.select_s + timings.store_s,
        )
    )


def _candidates(answered: Answered) -> tuple[schema.Candidate, ...]:
    """The candidates with what the reward model and the rule said of them, the chosen one with its end."""
    choice, scores, remarks = answered.chosen.choice, answered.drawing.scores, answered.chosen.remarks
    result = []
    for index, drawn in enumerate(answered.drawing.candidates):
        one = answered.end.candidate if index == choice.index else drawn
        rank = float(choice.scores[index])
        said: dict[str, object] = {"score": rank if np.isfinite(rank) else None, "remark": remarks[index]}
        if scores is not None and drawn.finish_reason != "raced":
            for name in ("mean", "variance", "aleatoric", "epistemic"):
                said[name] = float(getattr(scores, name)[index])
        result.append(one.model_copy(update=said))
    return tuple(result)


def _saved_s(rooms: Rooms, drawing: Drawing) -> float:
    """Seconds that the prompt tokens in the cache would have taken, at the measured rate or else at this call's."""
    sampled = drawing.sampled
    if rooms.costs is not None:
        return rooms.costs.prefill_s(sampled.cached_tokens, 0, rooms.free_cores) if sampled.cached_tokens else 0.0
    computed = sampled.prompt_tokens - sampled.cached_tokens
    return sampled.cached_tokens * sampled.prefill_s / max(1, computed)
