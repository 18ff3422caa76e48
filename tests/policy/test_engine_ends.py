"""The engine's calls that end early: deadlines, cancels, aborts, faults."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from edge_ttp.errors import Cancelled, DeadlineTooShort
from edge_ttp.policy.decoder import Aborted
from edge_ttp.policy.engine import Engine
from edge_ttp.policy.request import Control, StepReport

from .calls import APART, PROMPT, request, restless, said, sample, script, uniform
from .table import FakeClock, Places, TableDecoder


def timed(table: Callable[[tuple[int, ...]], np.ndarray], **options: object) -> tuple[TableDecoder, Engine, FakeClock]:
    clock = FakeClock()
    decoder = TableDecoder(table, clock=clock, **options)  # type: ignore[arg-type]
    return decoder, Engine(decoder, clock=clock), clock


def test_a_deadline_ends_decoding_in_time_and_keeps_what_there_is() -> None:
    decoder, engine, clock = timed(uniform, ends=[0])
    sampled = engine.sample(request(n=12, max_tokens=100, seed=1), Control(deadline=9.5), width=12)
    assert clock.now <= 9.5
    assert len(sampled.candidates) == 12
    assert {one.finish_reason for one in sampled.candidates} == {"stop", "deadline"}
    cut = [one for one in sampled.candidates if one.finish_reason == "deadline"]
    assert {one.tokens for one in cut} == {8}  # two seconds of prompt, seven steps
    assert decoder.cells_used() == len(PROMPT)


def test_a_deadline_between_waves_leaves_the_rest_unbegun() -> None:
    _, engine, _ = timed(uniform)
    sampled = engine.sample(request(n=6, max_tokens=4), Control(deadline=5.0), width=2)
    assert [one.finish_reason for one in sampled.candidates] == ["length", "length"]
    assert sampled.waves == 1


def test_what_a_grammar_takes_counts_against_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, engine, clock = timed(restless, ends=[0])

    def slow(_: Places) -> None:
        clock.now += 3.0

    monkeypatch.setattr(Places, "prepare", slow)
    asked = request(n=6, max_tokens=9, seed=1, grammar="|".join(["1234567"] * 9))
    sampled = engine.sample(asked, Control(deadline=12.0), width=6)
    assert {one.finish_reason for one in sampled.candidates} == {"deadline"}
    assert clock.now <= 12.0 + 3.0  # one row's grammar at most
    assert decoder.states == 0
    assert decoder.cells_used() == len(PROMPT)
    clock.now = 0.0
    engine.forget()
    with pytest.raises(DeadlineTooShort):
        engine.sample(asked, Control(deadline=0.5), width=6)
    assert decoder.states == 0


def test_a_vocabulary_that_is_cut_off_while_it_is_read_is_a_deadline() -> None:
    decoder, engine, clock = timed(restless, ends=[0])

    def cut_off(grammar: str) -> Places:
        clock.now += 5.0
        raise Aborted

    decoder.constrain = cut_off  # type: ignore[method-assign]
    with pytest.raises(DeadlineTooShort):
        engine.sample(request(grammar="1|2"), Control(deadline=4.0), width=2)
    with pytest.raises(Cancelled):
        engine.sample(request(grammar="1|2"), Control(), width=2)


@pytest.mark.parametrize("deadline", [-1.0, 0.5, 1.5])
def test_a_deadline_before_the_first_token_is_an_error(deadline: float) -> None:
    decoder, engine, _ = timed(uniform)
    with pytest.raises(DeadlineTooShort):
        engine.sample(request(), Control(deadline=deadline), width=8)
    assert decoder.cells_used() == decoder.cells_of(0)
    assert engine.sample(request(), Control(), width=8).candidates  # and the engine still works


def test_a_deadline_right_after_the_prompt_still_gives_a_token() -> None:
    _, engine, _ = timed(uniform)
    sampled = engine.sample(request(), Control(deadline=2.0), width=8)
    assert {(one.tokens, one.finish_reason) for one in sampled.candidates} <= {(1, "deadline"), (2, "deadline")}


def test_cancel_ends_decoding_within_a_step_and_keeps_finished_candidates() -> None:
    cancel = threading.Event()
    decoder = TableDecoder(uniform, ends=[0])

    def on_step(progress: StepReport) -> None:
        if max(progress.tokens) == 5:
            cancel.set()

    sampled = sample(decoder, request(n=12, max_tokens=100, seed=1), Control(cancel=cancel, on_step=on_step))
    assert {one.finish_reason for one in sampled.candidates} == {"stop", "cancelled"}
    assert max(one.tokens for one in sampled.candidates) == 5


def test_cancel_before_the_prompt_is_read_is_an_error() -> None:
    cancel = threading.Event()
    cancel.set()
    decoder = TableDecoder(uniform)
    with pytest.raises(Cancelled):
        Engine(decoder).sample(request(), Control(cancel=cancel), width=8)
    assert decoder.prefills == []


def test_an_aborted_step_ends_the_call_with_what_there_is() -> None:
    decoder = TableDecoder(uniform, ends=[0])
    decoder.abort_in = 2 + 4  # two chunks of prompt, four steps
    cancel = threading.Event()
    told: list[StepReport] = []
    sampled = sample(decoder, request(n=12, max_tokens=100, seed=1), Control(cancel=cancel, on_step=told.append))
    assert {one.finish_reason for one in sampled.candidates} == {"stop", "cancelled"}
    assert max(one.tokens for one in sampled.candidates) == 5
    assert told[-1].dropped == {
        index: one for index, one in enumerate(sampled.candidates) if one.finish_reason == "cancelled"
    }


def test_an_abort_at_the_deadline_is_a_deadline() -> None:
    decoder, engine, clock = timed(uniform)
    decoder.abort_in = 5

    def late(progress: StepReport) -> None:
        if max(progress.tokens) == 4:
            clock.now = 99.0

    sampled = engine.sample(request(n=2, max_tokens=100), Control(deadline=100.0, on_step=late), width=8)
    assert {one.finish_reason for one in sampled.candidates} == {"deadline"}


@pytest.mark.parametrize("chunks", [0, 1])
def test_an_abort_while_reading_the_prompt_is_an_error_and_keeps_what_was_read(chunks: int) -> None:
    decoder = TableDecoder(restless)
    decoder.abort_in = chunks
    engine = Engine(decoder, clock=FakeClock())
    with pytest.raises(Cancelled):
        engine.sample(request(), Control(), width=8)
    assert decoder.cells_used() == 4 * chunks
    decoder.abort_in = None
    sampled = engine.sample(request(), Control(), width=8)
    assert sampled.cached_tokens == 4 * chunks
    assert said(sampled) == said(sample(TableDecoder(restless), request()))


def test_a_model_that_cannot_share_rows_is_never_asked_to() -> None:
    decoder = TableDecoder(script(3, 4, 5))
    decoder.shares_rows = False
    sample(decoder, request(n=5, max_tokens=3))
    assert [len(rows) for rows in decoder.steps] == [5, 5]


def test_dropped_candidates_are_told() -> None:
    told: list[StepReport] = []
    sampled = sample(
        TableDecoder(uniform, cells=6 + 20), request(n=4, max_tokens=8, sampling=APART), Control(on_step=told.append)
    )
    dropped = {index for report in told for index in report.dropped}
    assert dropped == {index for index, one in enumerate(sampled.candidates) if one.finish_reason == "capacity"}


def test_every_step_tells_how_far_the_candidates_are() -> None:
    steps: list[StepReport] = []
    sampled = sample(TableDecoder(uniform, ends=[0]), request(n=5, seed=1), Control(on_step=steps.append), width=3)
    assert steps[0].tokens == (1, 1, 1, 0, 0)
    assert steps[-1].tokens == tuple(one.tokens for one in sampled.candidates)
    finished = {index: one for report in steps for index, one in report.finished.items()}
    assert finished == dict(enumerate(sampled.candidates))


@pytest.mark.parametrize("fault", [ValueError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", [1, 4])
def test_a_fault_of_the_caller_passes_through_and_frees_the_cells(fault: BaseException, at: int) -> None:
    decoder = TableDecoder(restless, ends=[0])
    engine = Engine(decoder)

    def on_step(progress: StepReport) -> None:
        if max(progress.tokens) == at:
            raise fault

    with pytest.raises(type(fault)):
        engine.sample(request(), Control(on_step=on_step), width=8)
    assert decoder.cells_used() == decoder.cells_of(0) == len(PROMPT)
    assert said(engine.sample(request(), Control(), width=8)) == said(
        sample(TableDecoder(restless, ends=[0]), request())
    )


def test_a_fault_while_reading_the_prompt_empties_the_cache() -> None:
    broken = True

    def table(prefix: tuple[int, ...]) -> np.ndarray:
        if broken:
            raise MemoryError
        return restless(prefix)

    decoder = TableDecoder(table)
    engine = Engine(decoder)
    with pytest.raises(MemoryError):
        engine.sample(request(), Control(), width=8)
    assert decoder.cells_used() == 0
    broken = False
    assert len(engine.sample(request(), Control(), width=8).candidates) == 6
