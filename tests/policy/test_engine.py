"""The engine's invariants on a table of logits: what is computed, what is shared, how candidates end, what is freed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.errors import Cancelled, DeadlineTooShort, InvalidInput, OutOfCapacity
from edge_ttp.policy.engine import Engine
from edge_ttp.policy.request import Control, Request, Sampled, StepReport
from edge_ttp.schema import Sampling

from .table import FakeClock, TableDecoder
from .test_sampling import assert_distributed

OPEN = Sampling(top_k=0, top_p=1.0, min_p=0.0, temperature=1.0)
APART = OPEN.model_copy(update={"share_prefixes": False})
PROMPT = (1, 2, 3, 4, 5, 6)
VOCABULARY = 8
FREE = Control()


def uniform(_: tuple[int, ...]) -> np.ndarray:
    return np.zeros(VOCABULARY)


def restless(prefix: tuple[int, ...]) -> np.ndarray:
    """Logits that depend on every token before: a wrongly shared cache would show."""
    return np.random.default_rng([len(prefix), *prefix]).normal(0, 2, VOCABULARY)


def script(*tokens: int, after: int = len(PROMPT)) -> Callable[[tuple[int, ...]], np.ndarray]:
    """A model that says these tokens and nothing else."""

    def logits(prefix: tuple[int, ...]) -> np.ndarray:
        row = np.full(max(VOCABULARY, max(tokens) + 1), -np.inf)
        row[tokens[min(len(prefix) - after, len(tokens) - 1)]] = 0.0
        return row

    return logits


def request(**changes: object) -> Request:
    plain = Request(prompt=PROMPT, n=6, sampling=OPEN, seed=3, max_tokens=10)
    return replace(plain, **changes)  # type: ignore[arg-type]


def sample(decoder: TableDecoder, asked: Request, control: Control = FREE, *, width: int = 64) -> Sampled:
    """One call on a new engine; afterwards only the prompt may be left in the cache."""
    sampled = Engine(decoder, clock=FakeClock()).sample(asked, control, width=width)
    assert decoder.cells_used() == decoder.cells_of(0) == len(asked.prompt)
    return sampled


def said(sampled: Sampled) -> list[tuple[str, float, str]]:
    return [(one.text, one.logprob, one.finish_reason) for one in sampled.candidates]


# What is computed


def test_the_prompt_is_read_once_in_chunks_and_only_its_end_gives_logits() -> None:
    decoder = TableDecoder(restless)
    sampled = sample(decoder, request())
    assert decoder.prefills == [(0, (1, 2, 3, 4)), (4, (5, 6))]
    assert (sampled.prompt_tokens, sampled.cached_tokens) == (6, 0)


def test_candidates_differ_and_keep_the_order_of_their_seeds() -> None:
    sampled = sample(TableDecoder(uniform), request(n=8))
    assert len({one.text for one in sampled.candidates}) == 8
    assert len(sampled.candidates) == 8
    assert [one.seed for one in sampled.candidates] == list(range(3, 11))


def test_seeds_at_the_end_of_their_range_wrap_around() -> None:
    sampled = sample(TableDecoder(uniform), request(n=3, seed=2**63 - 2))
    assert [one.seed for one in sampled.candidates] == [2**63 - 2, 2**63 - 1, 0]


def test_the_same_seed_gives_the_same_candidates() -> None:
    first, again, other = (sample(TableDecoder(restless), request(seed=seed)) for seed in (5, 5, 6))
    assert said(first) == said(again) != said(other)


def test_a_candidate_is_the_same_with_fewer_or_more_beside_it() -> None:
    few, many = sample(TableDecoder(restless), request(n=2)), sample(TableDecoder(restless), request(n=50))
    assert said(few) == said(many)[:2]


def test_the_logprob_is_the_sum_over_the_tokens_drawn() -> None:
    sampled = sample(TableDecoder(uniform), request(max_tokens=7, sampling=Sampling(top_k=2)))
    for one in sampled.candidates:
        assert one.logprob == pytest.approx(7 * -np.log(VOCABULARY), rel=1e-6)


# What is shared


def test_candidates_that_said_the_same_take_one_row() -> None:
    decoder = TableDecoder(script(3, 4, 5))
    sampled = sample(decoder, request(n=5, max_tokens=3))
    assert decoder.steps == [((3, (1, 2, 3, 4, 5)),), ((4, (1, 2, 3, 4, 5)),)]
    assert (sampled.rows, sampled.steps) == (2, 2)


def test_without_sharing_every_candidate_takes_its_own_row() -> None:
    decoder = TableDecoder(script(3, 4, 5))
    sampled = sample(decoder, request(n=5, max_tokens=3, sampling=APART))
    assert [len(rows) for rows in decoder.steps] == [5, 5]
    assert sampled.rows == 10


@settings(max_examples=60)
@given(
    n=st.integers(1, 24),
    seed=st.integers(0, 1000),
    temperature=st.sampled_from([0.0, 0.3, 1.0]),
    width=st.integers(1, 24),
    top_k=st.integers(0, VOCABULARY),
)
def test_sharing_and_waves_change_nothing(n: int, seed: int, temperature: float, width: int, top_k: int) -> None:
    asked = request(n=n, seed=seed, sampling=Sampling(top_k=top_k, temperature=temperature), stop=("7 7",))
    shared, apart = TableDecoder(restless, ends=[6]), TableDecoder(restless, ends=[6])
    with_sharing = sample(shared, asked)
    without = sample(
        apart, replace(asked, sampling=asked.sampling.model_copy(update={"share_prefixes": False})), width=width
    )
    assert said(with_sharing) == said(without)
    assert with_sharing.rows <= without.rows
    assert without.waves == -(-n // width)


def test_shared_decoding_has_exactly_the_distribution_of_independent_sampling() -> None:
    """All texts of a three-token Markov chain, by the chain rule, against what 4,000 sharing calls of 8 drew."""
    start = np.array([0.5, 0.3, 0.2])
    table = np.array([[0.1, 0.6, 0.3], [0.4, 0.4, 0.2], [0.25, 0.25, 0.5]])

    def markov(prefix: tuple[int, ...]) -> np.ndarray:
        return np.asarray(np.log(start if len(prefix) == 1 else table[prefix[-1]]))

    engine = Engine(TableDecoder(markov, pieces=[b"a", b"b", b"c"]))
    counts: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for call in range(4000):
        asked = Request(prompt=(0,), n=8, sampling=OPEN, seed=call * 8, max_tokens=3)
        texts = [one.text for one in engine.sample(asked, Control(), width=8).candidates]
        counts.update(texts)
        pairs.update(zip(texts[::2], texts[1::2], strict=True))
    words = ["".join(letters) for letters in product("abc", repeat=3)]
    probability = {
        word: start["abc".index(word[0])]
        * table["abc".index(word[0])]["abc".index(word[1])]
        * table["abc".index(word[1])]["abc".index(word[2])]
        for word in words
    }
    drawn = np.repeat(np.arange(27), [counts[word] for word in words])
    assert_distributed(drawn, np.array([probability[word] for word in words]))
    # Two candidates of one call are independent of each other: the same first letter as often as chance has it.
    same = sum(count for (one, other), count in pairs.items() if one[0] == other[0])
    assert_distributed(
        np.repeat([0, 1], [same, pairs.total() - same]), np.array([(start**2).sum(), 1 - (start**2).sum()])
    )


# How candidates end


def test_an_end_token_ends_a_candidate_and_is_no_text() -> None:
    decoder = TableDecoder(script(3, 4, 0), ends=[0])
    sampled = sample(decoder, request(n=1))
    assert said(sampled) == [("3 4", 0.0, "stop")]
    assert sampled.candidates[0].tokens == 3


def test_an_end_token_at_once_gives_an_empty_text() -> None:
    sampled = sample(TableDecoder(script(0), ends=[0]), request(n=3))
    assert [one.text for one in sampled.candidates] == [""] * 3
    assert sampled.steps == 0


@pytest.mark.parametrize("most", [1, 2, 9])
def test_no_candidate_is_longer_than_asked(most: int) -> None:
    sampled = sample(TableDecoder(uniform), request(max_tokens=most))
    assert {(one.tokens, one.finish_reason) for one in sampled.candidates} == {(most, "length")}
    assert sampled.steps == most - 1


def test_a_stop_string_ends_the_text_before_it_even_across_tokens() -> None:
    pieces = [b"Hel", b"lo E", b"N", b"D of", b" it"]
    decoder = TableDecoder(script(0, 1, 2, 3, 4), pieces=pieces)
    sampled = sample(decoder, request(n=1, stop=("END", "it")))
    assert said(sampled) == [("Hello", 0.0, "stop")]
    assert sampled.candidates[0].tokens == 4


def test_of_several_stop_strings_the_first_in_the_text_counts() -> None:
    decoder = TableDecoder(script(0), pieces=[b"one two three"])
    assert sample(decoder, request(n=1, stop=("three", "two", ""))).candidates[0].text == "one"


def test_a_stop_string_at_the_very_beginning_gives_an_empty_text() -> None:
    decoder = TableDecoder(script(0), pieces=[b"\nmore"])
    assert said(sample(decoder, request(n=1, stop=("\n",)))) == [("", 0.0, "stop")]


def test_tokens_without_text_count_but_say_nothing() -> None:
    decoder = TableDecoder(script(0, 1, 0, 2), pieces=[b"", b"EN", b"D"])
    assert said(sample(decoder, request(n=1, stop=("END",)))) == [("", 0.0, "stop")]
    assert sample(TableDecoder(script(0), pieces=[b""]), request(n=1, max_tokens=5)).candidates[0].tokens == 5


def test_a_stop_string_of_several_bytes_is_found_between_half_characters() -> None:
    decoder = TableDecoder(script(0, 1, 2), pieces=[b"caf\xc3", b"\xa9 \xe2\x82", b"\xac end"])
    assert sample(decoder, request(n=1, stop=("€",))).candidates[0].text == "café"


def test_a_stop_string_that_is_no_text_never_matches() -> None:
    decoder = TableDecoder(script(0), pieces=[b"?"])
    assert sample(decoder, request(n=1, max_tokens=3, stop=("\ud800",))).candidates[0].text == "???"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"ok", "ok"),
        ("日本語🙂".encode(), "日本語🙂"),
        (b"a\xff\xfeb", "a\ufffd\ufffdb"),
        (b"caf\xc3", "caf"),
        (b"\xe2\x82", ""),
        (b"x\xf0\x9f\x99", "x"),
        (b"\x80\x80\x80\x80", "\ufffd\ufffd\ufffd\ufffd"),
        (b"a\x00b", "a\x00b"),
    ],
)
def test_bytes_become_text_across_token_borders(data: bytes, text: str) -> None:
    pieces = [bytes([byte]) for byte in data] + [b""]
    decoder = TableDecoder(script(*range(len(data)), len(data)), pieces=pieces, ends=[len(data)])
    assert sample(decoder, request(n=2, max_tokens=20)).candidates[1].text == text


def test_candidates_end_one_by_one_and_those_left_go_on() -> None:
    decoder = TableDecoder(uniform, ends=[0])
    sampled = sample(decoder, request(n=20, max_tokens=12, sampling=APART))
    lengths = [one.tokens for one in sampled.candidates]
    assert len(set(lengths)) > 3
    for step, rows in enumerate(decoder.steps, start=1):
        assert len(rows) == sum(length > step for length in lengths)


# Waves and memory


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
    with pytest.raises(OutOfCapacity, match="not the 6 of the prompt"):
        Engine(decoder).sample(request(), Control(), width=4)
    assert decoder.cells_used() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"prompt": ()}, "no tokens"), ({"n": 0}, "n=0"), ({"max_tokens": 0}, "of 0 tokens")],
)
def test_a_request_that_cannot_be_meant_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        request(**changes)


# Prompt reuse


def test_a_prompt_that_begins_alike_is_reused_in_whole_chunks() -> None:
    decoder = TableDecoder(restless)
    engine = Engine(decoder)
    engine.sample(request(prompt=(1, 2, 3, 4, 5, 6, 7)), Control(), width=8)
    decoder.prefills.clear()
    sampled = engine.sample(request(prompt=(1, 2, 3, 4, 5, 6, 0, 0, 0)), Control(), width=8)
    assert decoder.prefills == [(4, (5, 6, 0, 0)), (8, (0,))]
    assert sampled.cached_tokens == 4


def test_the_same_prompt_again_computes_only_its_last_chunk() -> None:
    for length, cached in ((6, 4), (8, 4), (9, 8), (3, 0)):
        decoder = TableDecoder(restless)
        engine = Engine(decoder)
        asked = request(prompt=tuple(range(length)))
        first = engine.sample(asked, Control(), width=8)
        again = engine.sample(asked, Control(), width=8)
        assert (first.cached_tokens, again.cached_tokens) == (0, cached)
        assert said(first) == said(again)


prompts = st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple)


@settings(max_examples=60)
@given(st.lists(prompts, min_size=2, max_size=5), st.booleans())
def test_reuse_changes_nothing(asked: list[tuple[int, ...]], can_truncate: bool) -> None:
    decoder = TableDecoder(restless, ends=[0])
    decoder.can_truncate = can_truncate
    engine = Engine(decoder)
    for prompt in asked:
        warm = engine.sample(request(prompt=prompt), Control(), width=4)
        cold = sample(TableDecoder(restless, ends=[0]), request(prompt=prompt), width=4)
        assert said(warm) == said(cold)
        assert decoder.cells_used() == decoder.cells_of(0) == len(prompt)


def test_forget_leaves_nothing_of_the_prompt() -> None:
    decoder = TableDecoder(restless)
    engine = Engine(decoder)
    engine.sample(request(), Control(), width=8)
    engine.forget()
    assert decoder.cells_used() == 0
    assert engine.sample(request(), Control(), width=8).cached_tokens == 0


# Deadline, cancel, faults


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


# Waves that the caller decides on


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
