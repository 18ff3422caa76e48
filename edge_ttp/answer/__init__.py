"""One request's way down the staircase: recall, compose, plan, sample, score, select, record."""

from __future__ import annotations

import secrets
import time

from edge_ttp.answer import choosing, prepare, record, waves
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.schema import Event, Generation


def generate(rooms: Rooms, ask: Ask) -> Generation:
    """The answer to `ask`, with everything that led to it. Recorded in the history unless the caller forbade it."""
    began = time.monotonic()
    deadline = None if ask.budget.deadline_s is None else began + ask.budget.deadline_s
    seed = secrets.randbelow(2**31) if ask.seed is None else ask.seed

    # 1. Recall, compose, plan: as many examples, tokens and candidates as are worth their time and fit.
    prepared = prepare.prepare(rooms, ask, deadline)
    planned = time.monotonic()
    ask.tell(Event(type="planned", n=prepared.plan.n))

    # 2. Sample and score, in waves where the planner decides again after each.
    drawing = waves.draw(rooms, ask, prepared, seed=seed, deadline=deadline)
    drawn = time.monotonic()

    # 3. Select.
    structured = ask.sampling.structured
    chosen = choosing.choose(ask.rule, drawing.candidates, drawing.scores, structured=structured, seed=seed)
    ask.tell(Event(type="scored", n=len(drawing.candidates)))
    marks = record.Marks(began, planned, drawn, time.monotonic())

    # 4. Record: the whole result, its row in the history, and its cost for the plans to come.
    answered = record.Answered(ask, prepared, drawing, chosen, marks, seed, secrets.token_hex(6))
    generation = record.generation(rooms, answered)
    generation = record.keep(rooms, generation, drawing.scores, began=began, deadline=deadline)
    record.observe(rooms, prepared, drawing, generation.timings)
    ask.tell(Event(type="selected", text=generation.text, candidate=generation.chosen, generation=generation))
    return generation
