"""One request's way down the staircase: recall, compose, plan, sample, score, select, record."""

from __future__ import annotations

import secrets
import time

from edge_ttp.answer import choosing, ending, prepare, record, waves
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.policy.job import Paused, waited
from edge_ttp.schema import Event, Generation


def generate(rooms: Rooms, ask: Ask) -> Generation:
    """The answer to `ask`, waited for in this thread, which `ask` is told from. As `answering`."""
    return waited(answering(rooms, ask))


def answering(rooms: Rooms, ask: Ask) -> Paused[Generation]:
    """The answer to `ask`, with everything that led to it. Recorded in the history unless the caller forbade it.

    It pauses where the engine is at work (policy/job.py), so that nobody's thread has to wait meanwhile.
    """
    if ask.rewrite is not None:
        from edge_ttp.answer.rewriting import rewriting  # a third of this room's modules: most requests need none

        return (yield from rewriting(rooms, ask))
    began = time.monotonic()
    deadline = None if ask.budget.deadline_s is None else began + ask.budget.deadline_s
    seed = secrets.randbelow(2**31) if ask.seed is None else ask.seed

    # 1. Recall, compose, plan: as many examples, tokens and candidates as are worth their time and fit.
    prepared = prepare.prepare(rooms, ask, deadline)
    planned = time.monotonic()
    ask.tell(Event(type="planned", n=prepared.plan.n))
    if ask.n == 1:  # nothing will compete with it
        ask.tell(Event(type="selected", candidate=0))

    # 2. Sample and score, in waves where the planner decides again after each.
    drawing = yield from waves.draw(rooms, ask, prepared, seed=seed, deadline=deadline)
    drawn = time.monotonic()

    # 3. Select; the one that was chosen goes on where its length cut it.
    against = choosing.remarks(drawing.candidates, prepared.request, prepared.recollection.past)
    chosen = choosing.choose(
        ask.rule,
        drawing.candidates,
        drawing.scores,
        seed=seed,
        against=against,
        goes_on=ending.goes_on(ask),
    )
    ask.tell(Event(type="scored", n=len(drawing.candidates)))
    selected = time.monotonic()
    end = yield from ending.end(rooms, ask, prepared, drawing, chosen.choice.index, deadline=deadline)
    if ask.n != 1:
        ask.tell(Event(type="selected", candidate=chosen.choice.index, text=end.candidate.text))
    elif end.added:
        ask.tell(Event(type="delta", candidate=0, text=end.added))
    marks = record.Marks(began, planned, drawn, selected)

    # 4. Record: the whole result, its row in the history, and its cost for the plans to come.
    answered = record.Answered(ask, prepared, drawing, chosen, end, marks, seed, secrets.token_hex(6))
    generation = record.generation(rooms, answered)
    generation = record.keep(rooms, generation, drawing.scores, began=began, deadline=deadline)
    record.observe(rooms, prepared, drawing, generation.timings)
    done = Event(type="done", text=generation.text, candidate=generation.chosen, generation=generation)
    try:
        ask.tell(done)
    except BaseException:
        record.take_back(rooms, generation)  # the caller gets no answer, so there must be none to judge
        raise
    return generation
