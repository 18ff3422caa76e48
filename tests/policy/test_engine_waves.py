"""The engine's waves: those that memory makes, and those that the caller decides on."""

from __future__ import annotations

import pytest

from edge_ttp.errors import OutOfCapacity
from edge_ttp.policy.engine import Engine
from edge_ttp.policy.request import Control, StepReport

from .calls import APART, request, restless, said, sample, script, uniform
from .table import FakeClock, TableDecoder


def test_more_candidates_than_fit_at_once_run_in_waves_on_one_prefill() -> None:
    decoder = TableDecoder(restless)
    sampled = sample(decoder, request(n=7), width=3)
    assert (sampled.waves, len(sampled.candidates), len(decoder.prefills)) == (3, 7, 2)


def test_without_room_the_last_candidates_end_and_the_first_are_completed() -> None:
    decoder = TableDecoder(uniform, cells=6 + 20)
    sampled = sample(decoder, request(n=4, max_tokens=8, sampling=APART))
    reasons = [one.finish_reason for one in sampled.candidates]
    assert reasons == sorted(reasons, key=["length", "capacity"].index)
    assert reasons.count("length") >= 2
    assert reasons.count("capacity") >= 1
    assert all(one.text for one in sampled.candidates)


def test_without_room_for_a_single_candidate_its_beginning_is_kept() -> None:
    sampled = sample(TableDecoder(uniform, cells=8), request(n=1))
    assert [(one.tokens, one.finish_reason) for one in sampled.candidates] == [(3, "capacity")]


def test_a_prompt_larger_than_the_cache_is_refused_and_leaves_it_empty() -> None:
    decoder = TableDecoder(uniform, cells=5)
    with pytest.raises(OutOfCapacity, match="of a longer prompt"):
        Engine(decoder).sample(request(), Control(), width=4)
    assert decoder.cells_used() == 0


def in_waves(first: int, *further: int, told: list[StepReport] | None = None) -> tuple[Control, list[int]]:
    """A control that asks for `first` candidates and then for each of `further`; and how many it had seen each time."""
    seen: list[int] = []
    left = list(further)

    def more(candidates: object) -> int:
        seen.append(len(candidates))  # type: ignore[arg-type]
        return left.pop(0) if left else 0

    return Control(first_wave=first, more=more, on_step=None if told is None else told.append), seen


def test_the_caller_decides_after_each_wave_and_the_candidates_are_those_of_one_batch() -> None:
    control, seen = in_waves(4, 3, 2)
    sampled = sample(TableDecoder(restless), request(n=50, max_tokens=6), control)
    assert seen == [4, 7, 9]
    assert sampled.waves == 3
    assert said(sampled) == said(sample(TableDecoder(restless), request(n=9, max_tokens=6)))


def test_no_more_are_drawn_than_the_request_allows() -> None:
    control, seen = in_waves(4, 100)
    assert len(sample(TableDecoder(restless), request(n=6, max_tokens=4), control).candidates) == 6
    assert seen == [4]


def test_a_decision_against_more_ends_the_call() -> None:
    control, seen = in_waves(4, -5)
    assert len(sample(TableDecoder(restless), request(n=50), control).candidates) == 4
    assert seen == [4]


def test_a_wave_wider_than_the_memory_holds_runs_in_parts_before_the_caller_is_asked() -> None:
    control, seen = in_waves(5, 2)
    sampled = sample(TableDecoder(restless), request(n=50, max_tokens=6), control, width=2)
    assert seen == [5, 7]
    assert sampled.waves == 4
    assert said(sampled) == said(sample(TableDecoder(restless), request(n=7, max_tokens=6)))


def test_what_the_caller_takes_to_decide_is_not_decoding_time() -> None:
    clock = FakeClock()
    decoder = TableDecoder(script(3, 4, 5), clock=clock, step_s=1.0)

    def more(_: object) -> int:
        clock.now += 100.0
        return 0

    sampled = Engine(decoder, clock=clock).sample(request(n=8, max_tokens=3), Control(first_wave=2, more=more), width=8)
    assert sampled.decode_s == pytest.approx(2.0)


def test_progress_speaks_only_of_candidates_that_were_begun() -> None:
    told: list[StepReport] = []
    control, _ = in_waves(3, 2, told=told)
    sample(TableDecoder(restless), request(n=50, max_tokens=4), control)
    assert {len(progress.tokens) for progress in told} == {3, 5}


def test_the_rows_of_every_step_are_told() -> None:
    sampled = sample(TableDecoder(script(3, 4, 5)), request(n=5, max_tokens=3, sampling=APART))
    assert sampled.step_rows == (5, 5)
    assert sum(sampled.step_rows) == sampled.rows
