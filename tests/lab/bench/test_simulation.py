"""The simulation study: its generator against its own truth, and a small run of it."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.lab.bench.simulation import SETTINGS, SHAPES, Population, Shape, simulate, study, summary, table, truth

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_truth_is_what_large_samples_show(setting: Population, shape: Shape) -> None:
    """Pools of 400 candidates measure each query nearly without error."""
    pools = simulate(setting, shape, 400, np.random.default_rng(0), users=1500, queries=2)
    evidence = pools.evidence()
    true = truth(setting, shape)
    collapsed = evidence.score_sd < 0.2
    weight, rho = evidence.weight, evidence.rho
    assert weight[collapsed].sum() / weight.sum() == pytest.approx(true.c, abs=0.025)
    assert (weight * rho)[~collapsed].sum() / weight[~collapsed].sum() == pytest.approx(true.net, abs=0.035)
    alive = ~collapsed
    negative, positive = alive & (rho < 0), alive & (rho > 0)
    assert weight[negative].sum() / weight[alive].sum() == pytest.approx(true.h, abs=0.025)
    assert np.average(rho[positive], weights=weight[positive]) == pytest.approx(true.rho_plus, abs=0.015)
    if true.h > 0:
        assert -np.average(rho[negative], weights=weight[negative]) == pytest.approx(true.rho_minus, abs=0.03)


def test_skewed_utilities_are_skewed_and_bounded() -> None:
    pools = simulate(SETTINGS[0], "skewed", 50, np.random.default_rng(0))
    assert 0 < pools.utility.min() < pools.utility.max() < 1
    centred = pools.utility.reshape(-1, 50) - pools.utility.reshape(-1, 50).mean(axis=1, keepdims=True)
    skewness = np.mean(centred**3) / np.mean(centred**2) ** 1.5
    assert skewness > 1.5


def test_a_small_study_is_close_to_the_truth_where_the_rivals_are_not() -> None:
    done: list[float] = []
    rows = study(runs=6, sizes=[16], shapes=["gaussian"], settings=SETTINGS[2:4], resamples=40, advance=done.append)
    assert done[-1] == 12
    for row in rows:
        assert abs(row.bias) < 0.02 + 3 * row.sd / np.sqrt(row.runs), row
        assert row.unknown == 0
    worst = max(abs(row.normal_bias) for row in rows if row.quantity == "rho_minus")
    assert worst > 0.2
    assert len(table(rows)) == len(rows) + 1
    assert "largest bias" in summary(rows)[0]


def test_the_same_seed_gives_the_same_study() -> None:
    def run(seed: int) -> str:
        rows = study(runs=2, sizes=[8], settings=SETTINGS[3:4], resamples=20, seed=seed, advance=lambda done: None)
        return repr(rows)

    assert run(1) == run(1)
    assert run(1) != run(2)
