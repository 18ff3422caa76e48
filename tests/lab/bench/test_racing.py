"""Racing, simulated: who is dropped, what it costs and saves, on pools whose judge is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from edge_ttp.lab.bench import racing
from edge_ttp.lab.bench.racing import CutFit, JudgedBeginnings, Pace, RaceRule, fits, race, rows

PACE = Pace(lambda rows, cells: np.asarray(1.0 + rows), judge_s=0.5)
"""A step takes a second, and one for every row."""


@dataclass
class Known:
    """A pool whose scores are given: `said` at every beginning, `meant` of the whole."""

    said: list[float]
    meant: list[float]
    utility: npt.NDArray[np.float64]
    tokens: npt.NDArray[np.int64]
    stopped: npt.NDArray[np.bool_]

    def whole(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return np.array(self.meant)[places]

    def beginning(self, places: npt.NDArray[np.int64], at: int) -> npt.NDArray[np.float64]:
        return np.array(self.said)[places]


def pool(
    said: list[float], *, meant: list[float] | None = None, tokens: tuple[int, ...] = (60, 60, 60, 60)
) -> JudgedBeginnings:
    whole = meant or said
    return cast(
        "JudgedBeginnings",
        Known(said, whole, np.array(whole), np.array(tokens), np.array([count < 60 for count in tokens])),
    )


FIT = dict.fromkeys(racing.CHECKPOINTS, CutFit(1.0, 0.1))


def test_a_judge_that_sees_the_end_in_the_beginning_loses_nothing_and_saves_time() -> None:
    raced = race(pool([0.1, 0.4, 0.2, 0.3]), RaceRule((16,), keep=0.25), FIT, PACE, "ann")
    assert raced.regret == 0
    # 15 steps of four rows, 44 of one; four beginnings and one whole text are judged.
    assert raced.seconds == 15 * 5 + 44 * 2 + 5 * 0.5
    assert raced.all_seconds == 59 * 5 + 4 * 0.5
    assert raced.all_long_seconds == (racing.STRETCHED - 1) * 5 + 4 * 0.5
    assert raced.long_seconds == 15 * 5 + (racing.STRETCHED - 16) * 2 + 5 * 0.5


def test_a_misjudged_beginning_costs_what_the_whole_pool_would_have_chosen() -> None:
    raced = race(pool([0.4, 0.1, 0.2, 0.3], meant=[0.2, 0.9, 0.3, 0.1]), RaceRule((16,), keep=0.5), FIT, PACE, "ann")
    assert raced.regret == 0.9 - 0.2
    assert raced.headroom == 0.9 - np.mean([0.2, 0.9, 0.3, 0.1])


def test_bounds_drop_only_who_is_surely_behind_and_who_has_ended_stays() -> None:
    rule = RaceRule((16,), bound=1.0)
    raced = race(pool([0.50, 0.45, 0.20, 0.10], tokens=(60, 60, 10, 60)), rule, FIT, PACE, "ann")
    # 0.2 apart at most stays: the third is behind, but ended before; the fourth goes.
    assert raced.seconds == 9 * 5 + 6 * 4 + 44 * 3 + (4 + 3) * 0.5
    wide = race(pool([0.50, 0.45, 0.20, 0.10]), RaceRule((16,), bound=9.0), FIT, PACE, "ann")
    assert wide.seconds == 59 * 5 + 8 * 0.5


def test_beginnings_are_fitted_on_other_users_and_rules_become_rows() -> None:
    pools = [("ann", pool([0.0, 0.1, 0.2, 0.3], meant=[0.0, 0.2, 0.4, 0.6])), ("bob", pool([0.1, 0.2, 0.4, 0.3]))]
    found = fits(pools)
    assert np.isclose(found["bob"][16].slope, 2.0)  # ann's pool says so
    assert np.isclose(found["ann"][16].slope, 1.0)
    assert found["bob"][16].error < 1e-9
    done: list[float] = []
    table = rows(pools, PACE, (RaceRule(()), RaceRule((), first=0.5), RaceRule((16,), keep=0.5)), advance=done.append)
    assert [row.rule for row in table] == ["all to their end", "draw 50% of them", "keep 50% at 16"]
    assert (table[0].regret.mean, table[0].faster) == (0, 1)
    assert table[1].regret.mean > 0  # the best ones were not drawn
    assert (table[2].regret.mean, table[2].users) == (0, 2)
    assert table[2].faster > 1
    assert done == [1, 2, 3]
