"""What a request costs: the linear model, how calls correct it, and the file it is kept in."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.budget.profile import Cost, Profiles, fit

COST = Cost(prefill_token_s=0.002, step_s=0.02, row_s=0.003, overhead_s=0.04, score_s=0.005)


def predict(cost: Cost = COST, most: int = 32, **changes: float) -> np.ndarray:
    values = {"prompt_tokens": 100, "max_tokens": 50, "usual_tokens": 20.0, **changes}
    return cost.seconds(most, **values)  # type: ignore[arg-type]


def test_one_candidate_costs_prompt_steps_rows_score_and_overhead() -> None:
    assert predict()[0] == pytest.approx(0.04 + 100 * 0.002 + 20 * 0.02 + 20 * 0.003 + 0.005)


def test_many_candidates_take_nearly_the_longest_one_in_steps_and_the_usual_length_in_rows() -> None:
    expected = 0.04 + 100 * 0.002 + (20 + 30 * (1 - 1 / 32)) * 0.02 + 32 * 20 * 0.003 + 32 * 0.005
    assert predict()[31] == pytest.approx(expected)


def test_a_batch_is_cheaper_than_its_candidates_one_by_one() -> None:
    seconds = predict()
    assert (np.diff(seconds) > 0).all()
    assert seconds[15] < 16 * seconds[0]


def updated(cost: Cost = COST, **changes: float) -> Cost:
    """The model after a call that took exactly what it predicts, but for `changes`."""
    values = {
        "computed_prompt_tokens": 200,
        "prefill_s": 200 * cost.prefill_token_s,
        "steps": 10,
        "rows": 80,
        "decode_s": 10 * cost.step_s + 80 * cost.row_s,
        "candidates": 8,
        "score_s": 8 * cost.score_s,
        "overhead_s": cost.overhead_s,
        **changes,
    }
    return cost.updated(**values)  # type: ignore[arg-type]


def as_tuple(cost: Cost) -> tuple[float, ...]:
    return (cost.prefill_token_s, cost.step_s, cost.row_s, cost.overhead_s, cost.score_s)


def test_a_call_that_took_what_was_predicted_changes_nothing() -> None:
    assert as_tuple(updated()) == pytest.approx(as_tuple(COST))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prefill_s": 0.8}, "prefill_token_s"),
        ({"decode_s": 0.88}, "step_s"),
        ({"decode_s": 0.88}, "row_s"),
        ({"score_s": 0.08}, "score_s"),
        ({"overhead_s": 0.08}, "overhead_s"),
    ],
)
def test_a_slower_call_moves_its_part_towards_what_it_took(change: dict[str, float], field: str) -> None:
    before, after = getattr(COST, field), getattr(updated(**change), field)
    assert before < after < 2 * before + 1e-12


def test_repeated_calls_converge_to_what_they_take() -> None:
    cost = COST
    for _ in range(40):
        cost = updated(cost, prefill_s=200 * 0.005, decode_s=2 * (10 * COST.step_s + 80 * COST.row_s))
    assert cost.prefill_token_s == pytest.approx(0.005, rel=0.01)
    assert cost.step_s == pytest.approx(2 * COST.step_s, rel=0.01)
    assert cost.row_s == pytest.approx(2 * COST.row_s, rel=0.01)


def test_one_wild_measurement_moves_a_part_to_less_than_twice() -> None:
    cost = updated(prefill_s=9999.0, decode_s=9999.0, score_s=9999.0, overhead_s=9999.0)
    assert max(new / old for new, old in zip(as_tuple(cost), as_tuple(COST), strict=True)) < 2


def test_a_prompt_that_was_in_the_cache_says_nothing_of_reading() -> None:
    assert updated(computed_prompt_tokens=1, prefill_s=5.0).prefill_token_s == COST.prefill_token_s


def test_a_call_without_scores_or_steps_keeps_their_costs() -> None:
    cost = updated(candidates=0, score_s=0.0, steps=0, rows=0, decode_s=0.0)
    assert as_tuple(cost) == pytest.approx(as_tuple(COST))


@given(st.lists(st.floats(0, 1e6), min_size=4, max_size=4), st.integers(0, 1000), st.integers(0, 1000))
def test_costs_stay_positive_whatever_was_measured(seconds: list[float], steps: int, rows: int) -> None:
    cost = COST.updated(
        computed_prompt_tokens=500,
        prefill_s=seconds[0],
        steps=steps,
        rows=rows,
        decode_s=seconds[1],
        candidates=3,
        score_s=seconds[2],
        overhead_s=seconds[3],
    )
    assert min(as_tuple(cost)) > 0
    assert all(np.isfinite(as_tuple(cost)))


def test_a_fit_finds_the_parts_of_a_step() -> None:
    rows = (1, 8, 16)
    cost = fit(0.001, rows, [0.02 + 0.003 * count for count in rows])
    assert (cost.prefill_token_s, cost.step_s, cost.row_s) == pytest.approx((0.001, 0.02, 0.003))


@pytest.mark.parametrize("steps", [(0.03, 0.02, 0.01), (0.001, 0.04, 0.09), (0.02, 0.02, 0.02)])
def test_a_fit_to_noise_has_positive_parts(steps: tuple[float, ...]) -> None:
    assert min(as_tuple(fit(0.001, (1, 8, 16), steps))) > 0


# The file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "device.json"


def test_a_cost_model_is_read_back_as_it_was_written_beside_others(file: Path) -> None:
    other = replace(COST, step_s=0.5)
    Profiles(file).save("one", COST)
    Profiles(file).save("two", other)
    assert (Profiles(file).load("one"), Profiles(file).load("two")) == (COST, other)
    assert Profiles(file).load("three") is None
    assert [path.name for path in file.parent.iterdir()] == ["device.json"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_missing_file_holds_nothing_and_is_not_made(file: Path) -> None:
    assert Profiles(file).load("one") is None
    assert not file.parent.exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"one": 3}', b"\xff\xfe", b'{"one": {"step_s": 1.0}}']
)
def test_a_damaged_file_counts_as_empty_and_is_written_anew(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    assert Profiles(file).load("one") is None
    Profiles(file).save("one", COST)
    assert Profiles(file).load("one") == COST


@pytest.mark.parametrize("value", ["fast", None, -1.0, 0.0, float("nan"), float("inf"), True])
def test_a_cost_that_is_no_positive_number_is_not_used(file: Path, value: object) -> None:
    Profiles(file).save("one", COST)
    stored = json.loads(file.read_text())
    stored["one"]["step_s"] = value
    file.write_text(json.dumps(stored))
    assert Profiles(file).load("one") is None


def test_an_unknown_part_is_not_used(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(json.dumps({"one": {"step_s": 1.0, "steam": 2.0}}))
    assert Profiles(file).load("one") is None


def test_writers_at_the_same_time_leave_a_whole_file(file: Path) -> None:
    keys = [f"model-{index}" for index in range(8)]

    def write(key: str) -> None:
        for _ in range(25):
            Profiles(file).save(key, COST)

    with ThreadPoolExecutor(len(keys)) as threads:
        list(threads.map(write, keys))
    assert set(json.loads(file.read_text())) <= set(keys)
    assert any(Profiles(file).load(key) == COST for key in keys)
    assert [path.name for path in file.parent.iterdir()] == ["device.json"]
