"""How fast formats are: ratios within a round, turns, and a visit to a real file."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput, ModelUnavailable, OutOfCapacity
from edge_ttp.policy.formats import speeds
from edge_ttp.policy.formats.speeds import COUNTS, Visit, summarize
from policy import tiny


def visit(scale: float) -> Visit:
    return Visit(prompt_token_s=0.001 * scale, step_s={n: 0.01 * n**0.5 * scale for n in COUNTS})


def test_ratios_are_taken_within_a_round_so_that_a_slow_machine_cancels_out() -> None:
    busy = [1.0, 5.0, 1.2, 9.0, 1.1]
    found = summarize([visit(0.5 * load) for load in busy], [visit(load) for load in busy])
    assert found.request_ratio == pytest.approx(2)
    assert found.prompt_ratio == pytest.approx(2)
    assert all(ratio == pytest.approx(2) for ratio in found.decode_ratio.values())
    assert (found.rounds_faster, found.rounds) == (5, 5)
    assert found.prompt_tps == pytest.approx(1 / (0.001 * 0.6))
    assert found.decode_tps[32] == pytest.approx(32 / (0.01 * 32**0.5 * 0.6))


def test_a_usual_request_is_its_prompt_and_the_mean_of_8_and_32_candidates() -> None:
    one = Visit(prompt_token_s=0.002, step_s={1: 9.0, 8: 0.1, 32: 0.3})
    assert one.request_s == pytest.approx(256 * 0.002 + 24 * 0.2)


def test_every_format_is_first_and_before_every_other_in_some_round() -> None:
    orders = [speeds._order(["a", "b", "c"], turn) for turn in range(6)]
    assert {order[0] for order in orders} == {"a", "b", "c"}
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    for one in "abc":
        for other in set("abc") - {one}:
            assert sum(order.index(one) < order.index(other) for order in orders) == 3


def test_a_format_that_does_not_fit_is_left_out_and_the_own_file_must_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(path: Path, *, threads: int, gpu_layers: int) -> Visit:
        if path.name in too_large:
            raise OutOfCapacity(f"{path.name} is too large")
        return visit(1.0)

    too_large = {"F16"}
    monkeypatch.setattr(speeds, "visit", measured)
    files = {name: tmp_path / name for name in ("Q4_1", "F16", "Q8_0")}
    found, unfit = speeds.measure(files, base="Q4_1", threads=1, rounds=2)
    assert [*found] == ["Q4_1", "Q8_0"]
    assert unfit == {"F16": "F16 is too large"}
    too_large.add("Q4_1")
    with pytest.raises(OutOfCapacity):
        speeds.measure(files, base="Q4_1", threads=1, rounds=2)
    with pytest.raises(InvalidInput):
        speeds.measure(files, base="Q4_1", threads=1, rounds=0)


def test_a_visit_to_a_real_file_times_the_prompt_and_every_number_of_candidates(tmp_path: Path) -> None:
    path = tiny.language_model(tmp_path / "tiny.gguf")
    found = speeds.visit(path, threads=1)
    assert found.prompt_token_s > 0
    assert set(found.step_s) == set(COUNTS)
    assert min(found.step_s.values()) > 0
    path.unlink()
    with pytest.raises(ModelUnavailable):
        speeds.visit(path, threads=1)


def test_progress_counts_visits_of_formats_that_do_not_fit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(path: Path, **_: int) -> Visit:
        if path.name == "F16":
            raise OutOfCapacity("too large", "")
        return visit(1.0)

    monkeypatch.setattr(speeds, "visit", measured)
    done: list[int] = []
    files = {name: tmp_path / name for name in ("Q4_1", "F16")}
    speeds.measure(files, base="Q4_1", threads=1, rounds=3, gpu_layers=0, advance=done.append)
    assert done == [1, 2, 3, 4, 5, 6]
