"""One request's way down the staircase: recall, compose, plan, sample, score, select, record."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

import numpy as np

from edge_ttp import schema
from edge_ttp.answer import events
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.prepare import Prepared, prepare
from edge_ttp.answer.prompt import with_context
from edge_ttp.answer.select import NEEDS_SIMILARITY, Choice, Pool, select
from edge_ttp.answer.waves import Drawing
from edge_ttp.budget.device_profile import Call
from edge_ttp.errors import HistoryUnavailable
from edge_ttp.learning.evidence import layer_of
from edge_ttp.policy.request import Sampled
from edge_ttp.reward.model import Scores
from edge_ttp.reward.utility import agreement_matrix

_UNFAMILIAR = (
    "the reward model was trained on nothing like this and is too unsure to choose:"
    " the candidate that agrees most with the others was taken"
)

_RECORD_WAIT_S = 0.1
"""Least wait for another writer before an answer is not recorded, even when the deadline has come."""


def generate(rooms: Rooms, ask: Ask) -> schema.Generation:
    """The answer to `ask`, with everything that led to it. Recorded in the history unless the caller forbade it."""
    began = time.monotonic()
    deadline = None if ask.budget.deadline_s is None else began + ask.budget.deadline_s

    # Recall, compose, plan: as many examples, tokens and candidates as are worth their time and fit.
    prepared = prepare(rooms, ask, deadline)
    planned_at = time.monotonic()
    _emit(ask, schema.Event(type="planned", n=prepared.plan.n))

    # Sample, in waves where the planner decides again after each.
    seed = secrets.randbelow(2**31) if ask.seed is None else ask.seed
    drawing = Drawing(rooms, ask, prepared, lambda drawn: _score(rooms, ask, prepared, drawn), deadline)
    sampled = drawing.sample(seed)
    cut = events.cut_short(sampled, drawing.wanted, structured=prepared.structured)
    notes = [*prepared.notes, *sampled.notes, *cut]

    # Score, select.
    drawn = sampled.candidates
    scores = drawing.scores(drawn)
    selecting = time.monotonic()
    complete = [
        one.finish_reason == "stop" or (one.finish_reason == "length" and not prepared.structured) for one in drawn
    ]
    rule = ask.rule
    if scores is not None and not scores.familiar and len(drawn) > 1:
        rule = "consensus"
        notes.append(_UNFAMILIAR)
    choice = _choose(rule, drawn, complete, scores, seed)
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
        plan=prepared.plan.model_copy(
            update={
                "waves": max(1, sampled.waves),
                "decisions": tuple(drawing.decisions),
                "notes": (*prepared.plan.notes, *sampled.notes),
            }
        ),
        timings=schema.Timings(
            recall_s=planned_at - began,
            prefill_s=sampled.prefill_s,
            reuse_saved_s=_saved_s(sampled, rooms),
            decode_s=sampled.decode_s,
            sample_s=sampled.sample_s,
            score_s=drawing.score_s,
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
    if rooms.observe is not None and rooms.costs is not None:
        rooms.observe(_call(rooms.costs.threads(rooms.free_cores), prepared.usual, drawing, sampled, generation))
    _emit(ask, schema.Event(type="selected", text=generation.text, candidate=choice.index, generation=generation))
    return generation


def _call(
    threads: tuple[int, int], usual: int, drawing: Drawing, sampled: Sampled, generation: schema.Generation
) -> Call:
    """What this request did and took, for the device's profile."""
    timings = generation.timings
    return Call(
        prefill_threads=threads[0],
        decode_threads=threads[1],
        prompt_tokens=sampled.prompt_tokens,
        cached_tokens=sampled.cached_tokens,
        prefill_s=sampled.prefill_s,
        rows=sampled.step_rows,
        decode_s=sampled.decode_s,
        tokens=tuple(one.tokens for one in sampled.candidates),
        cut=tuple(one.finish_reason not in ("stop", "length") for one in sampled.candidates),
        usual=usual,
        scored=drawing.scored,
        waves=drawing.scorings,
        score_s=timings.score_s,
        before_s=timings.recall_s,
        after_s=timings.select_s + timings.store_s,
    )


def _saved_s(sampled: Sampled, rooms: Rooms) -> float:
    """Seconds that the prompt tokens in the cache would have taken, at the measured rate or else at this call's."""
    if rooms.costs is not None:
        return rooms.costs.prefill_s(sampled.cached_tokens, 0, rooms.free_cores) if sampled.cached_tokens else 0.0
    computed = sampled.prompt_tokens - sampled.cached_tokens
    return sampled.cached_tokens * sampled.prefill_s / max(1, computed)


def _score(rooms: Rooms, ask: Ask, prepared: Prepared, drawn: Sequence[schema.Candidate]) -> Scores | None:
    recalled = prepared.recalled
    if rooms.reward is None or recalled.profile is None or recalled.learned is None:
        return None
    given = with_context(ask.prompt, ask.context)  # an answer is judged by all that it answers
    return rooms.reward.score(recalled.profile, given, drawn, recalled.learned.weights)


def _choose(
    rule: schema.Rule, drawn: Sequence[schema.Candidate], complete: Sequence[bool], scores: Scores | None, seed: int
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


def _candidates(
    drawn: Sequence[schema.Candidate], scores: Scores | None, choice: Choice
) -> tuple[schema.Candidate, ...]:
    """The candidates with what the reward model and the rule said of them."""
    result = []
    for index, one in enumerate(drawn):
        rank = float(choice.scores[index])
        said: dict[str, float | None] = {"score": rank if np.isfinite(rank) else None}
        if scores is not None:
            for name in ("mean", "variance", "aleatoric", "epistemic"):
                said[name] = float(getattr(scores, name)[index])
        result.append(one.model_copy(update=said))
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
