"""Simulated users fail as they are made to, and the learned variance mends it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_ttp.lab.reproduction.ladder import SELECTIONS
from edge_ttp.lab.reproduction.simulated_modes import (
    COLLAPSE,
    FEATURES,
    GLOSS,
    HACKING,
    HEALTHY,
    SIGNAL,
    SIZES,
    SimulatedMode,
    judged,
    learn,
    simulated,
    simulated_scores,
)


@pytest.fixture(scope="module")
def modes() -> dict[str, SimulatedMode]:
    return {mode.world.name: mode for mode in simulated(seeds=2, resamples=30)}


def test_careless_users_collapse_under_squared_error_and_not_under_the_likelihood(
    modes: dict[str, SimulatedMode],
) -> None:
    mode = modes[COLLAPSE.name]
    plain, trained = mode.row("mse"), mode.row("gaussian")
    assert plain.c.low > 0.15
    assert plain.c.value == pytest.approx(COLLAPSE.careless, abs=0.15)
    assert trained.c.value == 0
    assert trained.h.value < 0.03
    assert trained.over_mse.low > 0.1
    said = dict(mode.said)
    assert "of users collapsed" in " ".join(said["mse"])
    assert "No user collapsed" in " ".join(said["gaussian"])


def test_dazzled_users_are_hacked_and_only_choosing_by_the_variance_mends_it(modes: dict[str, SimulatedMode]) -> None:
    mode = modes[HACKING.name]
    plain, trained, chosen = mode.row("mse"), mode.row("gaussian"), mode.row("gaussian", "lcb, learned")
    assert plain.c.value == 0
    assert plain.h.low > 0.25
    assert trained.h.high < plain.h.low
    assert trained.h.value > 0.1, "learning alone leaves the outliers in"
    assert chosen.h.value < 0.05
    assert chosen.over_mse.low > 0.3
    assert trained.measured[0] > trained.measured[-1], "more candidates make it worse"
    assert chosen.measured[-1] > 0.6
    assert "are hacked" in " ".join(dict(mode.said)["mse"])


def test_careful_judgments_leave_nothing_to_mend(modes: dict[str, SimulatedMode]) -> None:
    for row in modes[HEALTHY.name].rows:
        assert row.c.value == 0
        assert row.h.value < 0.03
        assert abs(row.over_mse.value) < 0.02
        assert row.share.value == pytest.approx(row.predicted[-1], abs=0.03)


def test_every_selection_has_its_row_and_the_same_numbers_come_again(modes: dict[str, SimulatedMode]) -> None:
    mode = modes[COLLAPSE.name]
    assert [row.selection for row in mode.rows] == ["mean", *SELECTIONS]
    assert all(row.n == SIZES for row in mode.rows)
    first, again = (simulated_scores(HACKING, seeds=1).sets[0].variants["standard/gaussian/0"] for _ in range(2))
    np.testing.assert_array_equal(first.score, again.score)


def test_the_likelihood_learns_the_variance_that_was_put_in() -> None:
    rng = np.random.default_rng(5)
    wanted = rng.standard_normal(FEATURES) * SIGNAL / np.sqrt(FEATURES)
    wanted[0] = -GLOSS
    careless = learn(judged(replace(COLLAPSE, careless=1.0), wanted, 0, rng), "gaussian")
    assert careless.log_variance[1] > 5, "careless judgments vary by far more"
    dazzled = learn(judged(replace(HACKING, dazzled=1.0), wanted, 0, rng), "gaussian")
    assert dazzled.log_variance[2] > 0.5, "and so do those of glossy candidates"
    careful = learn(judged(HEALTHY, wanted, 0, rng), "gaussian")
    np.testing.assert_allclose(careful.weights, wanted, atol=0.02)
