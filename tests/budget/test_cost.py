"""What parts of a request take: linear models, how calls correct them, and what they predict for N candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.budget.cost import BINS, KNOTS, Lengths, Speed, corrected, decode_s, fit, prefill_amounts
from edge_ttp.budget.timed import CHUNK

SPEED = Speed(0.01, 0.002, 1e-7, (0.02, 0.03, 0.04, 0.06, 0.09, 0.15, 0.27), 1e-6)
ALL_LONG = Lengths(tuple([0.0] * BINS + [1.0]), sharing=0.0)


def seconds(counts: list[int], lengths: Lengths = ALL_LONG, speed: Speed = SPEED, longest: int = 20) -> np.ndarray:
    return decode_s(speed, lengths, np.array(counts), prompt=0, longest=longest)


# Amounts and predictions


def test_a_prompt_costs_its_chunks_its_tokens_and_what_stands_before_them() -> None:
    assert prefill_amounts(300, 0) == (3, 300, 300 * 150)
    assert prefill_amounts(300, 2 * CHUNK) == (1, 44, 44 * (256 + 300) / 2)
    assert prefill_amounts(300, 300) == (0, 0, 0)
    assert SPEED.prefill_s(300) == pytest.approx(3 * 0.01 + 300 * 0.002 + 45_000 * 1e-7)


def test_steps_between_the_knots_are_interpolated_and_beyond_them_the_last_slope_goes_on() -> None:
    found = SPEED.rows_s(np.array([1.0, 3.0, 24.0, 64.0, 128.0]))
    assert found == pytest.approx([0.02, 0.035, 0.12, 0.27, 0.51])


def test_a_step_takes_no_less_than_half_of_what_reading_its_rows_would() -> None:
    """Measured on a busy machine, 64 rows looked as quick as one, and 128 candidates were drawn for a list."""
    flat = replace(SPEED, step_s=(0.034,) * len(KNOTS))
    assert flat.rows_s(np.array([1.0, 8.0, 64.0, 128.0])) == pytest.approx([0.034, 0.034, 0.064, 0.128])


def test_candidates_of_equal_length_take_that_many_steps_of_all_of_them() -> None:
    bare = replace(SPEED, cell_s=1e-15)
    assert seconds([1, 8], speed=bare) == pytest.approx([19 * 0.02, 19 * 0.06])


def test_a_batch_is_cheaper_than_its_candidates_one_by_one_and_dearer_than_one() -> None:
    found = seconds([1, 2, 4, 8, 16, 32], Lengths())
    assert (np.diff(found) > 0).all()
    assert found[4] < 16 * found[0]


def test_candidates_that_share_their_beginnings_take_fewer_rows() -> None:
    assert seconds([16], replace(ALL_LONG, sharing=0.2))[0] < seconds([16])[0]


def test_a_longer_prompt_makes_every_step_dearer() -> None:
    short, long = (decode_s(SPEED, ALL_LONG, np.array([8]), prompt=prompt, longest=20)[0] for prompt in (100, 1500))
    assert long - short == pytest.approx(19 * 8 * 1400 * 1e-6)


def test_long_candidates_are_summed_in_strides_to_nearly_the_same() -> None:
    bare = replace(SPEED, cell_s=1e-15)
    assert seconds([4], speed=bare, longest=1000)[0] == pytest.approx(999 * 0.04, rel=0.06)


# Corrections


def test_a_call_that_took_what_was_predicted_changes_nothing() -> None:
    same = SPEED.after_prefill(500, 0, SPEED.prefill_s(500))
    assert same.parts() == pytest.approx(SPEED.parts())


@pytest.mark.parametrize("factor", [0.4, 0.8, 1.2, 3.0])
def test_five_calls_follow_a_machine_that_changed(factor: float) -> None:
    speed = SPEED
    for _ in range(5):
        speed = speed.after_prefill(500, 0, factor * SPEED.prefill_s(500))
    assert speed.prefill_s(500) == pytest.approx(factor * SPEED.prefill_s(500), rel=0.1)


def test_decoding_that_slowed_down_is_followed_for_every_width_at_once() -> None:
    slower = SPEED.scaled(3)
    rows = [8] * 20
    speed = SPEED
    for _ in range(6):
        speed = speed.after_decode(
            rows, 500, float(slower.rows_s(np.array(rows, float)).sum()) + 160 * 500 * slower.cell_s
        )
    for width in (1.0, 8.0, 32.0):
        assert speed.rows_s(np.array([width]))[0] == pytest.approx(slower.rows_s(np.array([width]))[0], rel=0.15)


def test_small_errors_go_to_the_widths_that_made_them() -> None:
    speed = SPEED
    for _ in range(30):
        speed = speed.after_decode([1] * 20, 10, 1.15 * 20 * 0.02)
        speed = speed.after_decode([32] * 20, 10, 0.9 * 20 * 0.15)
    assert speed.rows_s(np.array([1.0]))[0] == pytest.approx(1.15 * 0.02, rel=0.03)
    assert speed.rows_s(np.array([32.0]))[0] == pytest.approx(0.9 * 0.15, rel=0.03)


def test_one_wild_measurement_moves_a_prediction_to_less_than_twice() -> None:
    speed = SPEED.after_prefill(500, 0, 9999.0)
    assert speed.prefill_s(500) < 2 * SPEED.prefill_s(500)


def test_a_speed_goes_back_to_another_bit_by_bit() -> None:
    slow = SPEED.scaled(4)
    for _ in range(60):
        slow = slow.towards(SPEED)
    assert slow.parts() == pytest.approx(SPEED.parts(), rel=0.01)


@given(
    st.lists(st.floats(1e-9, 10), min_size=3, max_size=3),
    st.lists(st.floats(0, 1e6), min_size=3, max_size=3),
    st.floats(0, 1e9),
)
def test_parts_stay_above_zero_and_finite_whatever_was_measured(
    parts: list[float], amounts: list[float], took: float
) -> None:
    found = corrected(parts, amounts, took)
    assert min(found) > 0
    assert np.isfinite(found).all()


# Lengths


def test_lengths_are_learned_from_what_is_drawn() -> None:
    lengths = Lengths()
    for _ in range(20):
        lengths = lengths.after([10] * 8, [False] * 8, 40, 72, 8)
    assert lengths.mean(40) == pytest.approx(10, abs=2)
    assert sum(lengths.weights) == pytest.approx(1)


def test_candidates_that_were_cut_off_count_as_longer_than_they_were() -> None:
    cut = Lengths().after([5] * 30, [True] * 30, 40, 120, 30)
    whole = Lengths().after([5] * 30, [False] * 30, 40, 120, 30)
    assert cut.mean(40) > whole.mean(40)


def test_sharing_is_learned_from_rows_and_tokens() -> None:
    lengths = Lengths(sharing=0.0)
    for _ in range(40):
        lengths = lengths.after([21] * 16, [False] * 16, 40, int(320 * 16**-0.1), 16)
    assert lengths.sharing == pytest.approx(0.1, abs=0.01)


def test_nothing_drawn_teaches_nothing() -> None:
    assert Lengths().after([], [], 40, 0, 0) == Lengths()


# Fits


def measurements(speed: Speed) -> tuple[list[tuple[int, int, float]], list[tuple[int, int, float]]]:
    """What a machine of this speed would be timed at."""
    chunks = [
        (count, before, speed.prefill_s(before + count, before))
        for count, before in ((128, 0), (128, 128), (128, 896), (16, 128))
    ]
    steps = [
        (rows, cells, float(speed.rows_s(np.array([rows], float))[0] + speed.cell_s * rows * cells))
        for rows in (1, 2, 4, 8, 16, 32)
        for cells in (256, 1024)
    ]
    return chunks, steps


def test_a_fit_finds_the_parts_that_made_the_measurements() -> None:
    found = fit(*measurements(SPEED))
    assert found.prefill_s(1000) == pytest.approx(SPEED.prefill_s(1000), rel=0.01)
    assert found.step_s[:6] == pytest.approx(SPEED.step_s[:6], rel=0.01)
    assert found.cell_s == pytest.approx(SPEED.cell_s, rel=0.05)
    assert found.step_s[6] > found.step_s[5]


@given(st.integers(0, 10_000))
def test_a_fit_to_noise_has_parts_above_zero_and_no_wider_step_is_quicker(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chunks = [
        (128, 0, float(rng.uniform(0.01, 2))),
        (128, 128, float(rng.uniform(0.01, 2))),
        (16, 128, float(rng.uniform(0.01, 2))),
    ]
    steps = [(rows, 256 + rows, float(rng.uniform(0.001, 1))) for rows in (1, 2, 8, 16)]
    found = fit(chunks, steps)
    assert min(found.parts()) > 0
    assert np.isfinite(found.parts()).all()
    assert list(found.step_s) == sorted(found.step_s)
    assert len(found.step_s) == len(KNOTS)


def test_a_limit_far_above_the_usual_length_hardly_changes_what_is_expected() -> None:
    short = Lengths().after([5] * 30, [False] * 30, 40, 120, 30)
    usual, roomy = (decode_s(SPEED, short, np.array([8]), 0, longest, usual=40)[0] for longest in (40, 2000))
    assert usual < roomy < 2.5 * usual
    assert decode_s(SPEED, short, np.array([8]), 0, 2000)[0] > 10 * usual
    assert short.alive(2000, 40)[79] == pytest.approx(short.alive(2000, 40)[39] / 2)
    np.testing.assert_allclose(short.alive(20, 40), short.alive(20))
