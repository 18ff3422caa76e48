"""The distribution of true correlations behind noisy ones."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.scaling import Deconvolution, QueryEvidence, correlate, naive_moments, normal_moments


def measured(rho: np.ndarray, size: int, seed: int = 0) -> QueryEvidence:
    """QueryEvidence of Gaussian pools with these true correlations."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((len(rho), size))
    score = rho[:, None] * z + np.sqrt(1 - rho[:, None] ** 2) * rng.standard_normal(z.shape)
    return correlate(z, score)


def two_groups(queries: int, h: float, plus: float, minus: float) -> np.ndarray:
    return np.where(np.arange(queries) < h * queries, -minus, plus)


@pytest.mark.parametrize("size", [8, 16, 32])
def test_separate_groups_are_recovered_where_a_normal_distribution_fails(size: int) -> None:
    evidence = measured(two_groups(4000, 0.2, 0.8, 0.8), size)
    held = Deconvolution(evidence, 1.0)
    found = held.moments(held.fit(held.weigh(evidence.weight)[None])).first()
    assert found.h == pytest.approx(0.2, abs=0.02)
    assert found.rho_plus == pytest.approx(0.8, abs=0.02)
    assert found.rho_minus == pytest.approx(0.8, abs=0.02)
    assert found.net == pytest.approx(0.48, abs=0.03)
    normal = normal_moments(evidence, evidence.weight, 1.0)
    assert normal.rho_minus < 0.5


def test_counting_calls_healthy_queries_hacked_and_deconvolution_does_not() -> None:
    evidence = measured(np.full(4000, 0.3), 8)
    held = Deconvolution(evidence, 1.0)
    found = held.moments(held.fit(held.weigh(evidence.weight)[None])).first()
    assert naive_moments(evidence.rho, evidence.weight).h > 0.15
    assert found.h < 0.03
    assert found.rho_plus == pytest.approx(0.3, abs=0.03)
    assert normal_moments(evidence, evidence.weight, 1.0).h < 0.03


def test_more_steps_never_make_the_data_less_likely() -> None:
    evidence = measured(two_groups(500, 0.3, 0.6, 0.5), 16)
    held = Deconvolution(evidence, 1.0)
    cells = held.weigh(np.ones(500))
    likelihood = [float(cells @ held.log_likelihood(held.fit(cells[None], steps)[0])) for steps in (1, 5, 25, 100, 400)]
    assert likelihood == sorted(likelihood)


def test_a_distribution_is_one() -> None:
    evidence = measured(two_groups(300, 0.3, 0.6, 0.5), 16)
    held = Deconvolution(evidence, 1.0)
    cells = np.stack([held.weigh(np.ones(300)), held.weigh(evidence.weight)])
    prior = held.fit(cells)
    assert prior.sum(axis=1) == pytest.approx([1, 1])
    assert (prior >= 0).all()
    assert held.fit(cells[1:])[0] == pytest.approx(prior[1], abs=1e-5)  # single precision


def test_weights_count_queries_that_often() -> None:
    evidence = measured(two_groups(200, 0.3, 0.6, 0.5), 16)
    twice = evidence.take(np.repeat(np.arange(200), np.where(np.arange(200) < 60, 2, 1)))
    weights = np.where(np.arange(200) < 60, 2.0, 1.0)
    one, other = Deconvolution(evidence, 1.0), Deconvolution(twice, 1.0)
    assert one.fit(one.weigh(weights)[None]) == pytest.approx(other.fit(other.weigh(np.ones(260))[None]))


def test_pools_of_many_sizes_are_told_apart_in_classes() -> None:
    rng = np.random.default_rng(1)
    sizes = rng.integers(8, 60, 3000)
    rho = two_groups(3000, 0.25, 0.7, 0.6)[rng.permutation(3000)]
    parts = {size: measured(rho[sizes == size], int(size), int(size)) for size in np.unique(sizes)}
    from edge_ttp.scaling.correlation import gather

    evidence = gather([(np.flatnonzero(sizes == size), part) for size, part in parts.items()], 3000)
    held = Deconvolution(evidence, 1.0)
    assert held.cells <= 6 * 240
    found = held.moments(held.fit(held.weigh(evidence.weight)[None])).first()
    assert found.h == pytest.approx(0.25, abs=0.02)
    assert found.rho_minus == pytest.approx(0.6, abs=0.03)


def test_the_posterior_knows_which_queries_are_hacked() -> None:
    true = two_groups(2000, 0.2, 0.7, 0.7)
    evidence = measured(true, 16)
    held = Deconvolution(evidence, 1.0)
    p_hacked, expected = held.posterior(held.fit(held.weigh(np.ones(2000))[None])[0])
    assert ((p_hacked > 0.5) == (true < 0)).mean() > 0.98
    assert p_hacked.mean() == pytest.approx(0.2, abs=0.02)
    assert np.abs(expected - true).mean() < np.abs(evidence.rho - true).mean()


def test_a_perfect_score_and_its_opposite_are_within_the_grid() -> None:
    utility = np.random.default_rng(2).random((100, 8))
    score = np.where(np.arange(100)[:, None] < 40, -utility, utility)
    evidence = correlate(utility, score)
    held = Deconvolution(evidence, 1.0)
    found = held.moments(held.fit(held.weigh(np.ones(100))[None])).first()
    assert found.h == pytest.approx(0.4, abs=0.001)
    assert found.rho_plus == pytest.approx(1, abs=0.01)


def test_stopping_early_leaves_a_bias_that_twicing_takes_out() -> None:
    evidence = measured(two_groups(8000, 0.3, 0.4, 0.3), 16)
    held = Deconvolution(evidence, 1.0)
    cells = held.weigh(evidence.weight)[None]
    prior = held.fit(cells, 25)
    plain, sharp = held.moments(prior).first(), held.sharpened(prior, cells).first()
    assert abs(sharp.h - 0.3) < abs(plain.h - 0.3)
    assert abs(sharp.rho_plus - 0.4) < abs(plain.rho_plus - 0.4)
    assert held.expected(prior, cells).sum() == pytest.approx(cells.sum())


def test_moments_of_an_empty_side_are_unknown() -> None:
    found = naive_moments(np.array([0.2, 0.4]), np.array([1.0, 3.0]))
    assert found.h == 0
    assert found.rho_plus == pytest.approx(0.35)
    assert np.isnan(found.rho_minus)
    assert found.net == pytest.approx(0.35)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_what_lies_far_from_every_allowed_correlation_goes_to_the_nearest() -> None:
    """Scores that are wrong everywhere, and only correlations above 0 allowed: once every likelihood was 0."""
    rng = np.random.default_rng(2)
    utility = rng.standard_normal((40, 64))
    evidence = correlate(utility, -utility)
    held = Deconvolution(evidence, 1.0)
    allowed = held.grid > 1e-9
    prior = held.fit(held.weigh(evidence.weight)[None], allowed=allowed)
    assert np.isfinite(prior).all()
    assert prior.sum() == pytest.approx(1)
    assert prior[0, ~allowed].sum() == 0
    assert prior[0, np.flatnonzero(allowed)[0]] > 0.99
