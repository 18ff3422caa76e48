from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.lab.bench import worth_tables
from edge_ttp.lab.bench.recall_grid import Grid, GridPoint, rows


def grid(short: dict[int, float], long: dict[int, float], noise: float, users: int = 12) -> Grid:
    """Users whose pools have these means over none, in units of the spread, give or take `noise`."""
    random = np.random.default_rng(0)
    made = {}
    for is_long, worth in ((False, short), (True, long)):
        for user in range(users):
            points = {
                f"BM25 {number}": GridPoint(0.0, 0.1 + 0.1 * (value + noise * random.normal()), 0.0, 0.1)
                for number, value in {0: 0.0, **worth}.items()
            }
            made["notes", f"{is_long} {user}", 1] = (is_long, points)
    return made


def test_what_is_measured_well_is_kept_for_each_of_the_two() -> None:
    found = worth_tables.of(rows(grid({1: 0.5, 4: 1.0}, {1: 0.1, 4: 0.2}, noise=0.001)))
    assert found["short"] == [(0, 0.0), (1, pytest.approx(0.5, abs=0.01)), (4, pytest.approx(1.0, abs=0.01))]
    assert found["long"] == [(0, 0.0), (1, pytest.approx(0.1, abs=0.01)), (4, pytest.approx(0.2, abs=0.01))]


def test_the_fewer_queries_there_are_the_more_is_left_of_what_stood_there_before() -> None:
    said = [
        dict(worth_tables.of(rows(grid({4: 1.0}, {4: 1.0}, noise=1.0, users=users)))["long"])[4]
        for users in (3, 30, 900)
    ]
    assert 0.3 <= said[0] < said[1] < said[2]
    assert said[2] == pytest.approx(1.0, abs=0.1)


def test_sets_that_were_measured_badly_are_drawn_towards_both_together() -> None:
    table = rows(grid({1: 0.4, 4: 0.6}, {1: 0.4, 4: 0.6}, noise=2.0))
    apart = {row.texts: row.worth for row in table if row.prompt == "BM25 4"}
    found = {texts: dict(steps)[4] for texts, steps in worth_tables.of(table).items()}
    assert abs(found["short"] - found["long"]) < 0.5 * abs(apart["short"] - apart["long"])


def test_a_table_never_falls_and_is_never_below_nothing() -> None:
    worse = {number: -5.0 * number for number in (1, 2, 4)}
    found = worth_tables.of(rows(grid({1: 0.5, 2: -3.0, 4: 0.6}, worse, noise=0.01)))
    for steps in found.values():
        values = [value for _, value in steps]
        assert values == sorted(values)
        assert values[0] == 0
    assert found["long"] == [(0, 0.0), (1, 0.0), (2, 0.0), (4, 0.0)]


def test_nothing_is_said_where_one_of_the_two_was_not_measured() -> None:
    assert worth_tables.of([]) == {}
    assert worth_tables.of(rows(grid({1: 0.5}, {1: 0.5}, noise=0.1, users=1))) == {}


def test_rising_values_are_the_nearest_by_weighted_squares() -> None:
    assert worth_tables.rise([1, 2, 3], [1, 1, 1]) == [1, 2, 3]
    assert worth_tables.rise([3, 1], [1, 3]) == [1.5, 1.5]
    assert worth_tables.rise([1, 5, 3, 2], [1, 1, 1, 1]) == pytest.approx([1, 10 / 3, 10 / 3, 10 / 3])
    assert worth_tables.rise([], []) == []
