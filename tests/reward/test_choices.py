"""The likelihood of judgments: values by hand, derivatives by differences, and the mode."""

from __future__ import annotations

from math import exp, log, pi, sqrt

import numpy as np
import pytest

from edge_ttp.reward.choices import GOOD, KINDS, Choices, Evidence, EvidenceKind, Floats, mode, scaled

SIZE = 3


def pool(kind: EvidenceKind, n: int = 4, candidate: int = 1, seed: int = 0) -> Evidence:
    features = np.random.default_rng(seed).normal(0, 1, (n, SIZE))
    labelled = kind in ("written", "edit")
    return Evidence(kind, features, np.full(n, 0.04), np.linspace(0, 1, n) if labelled else None, candidate)


def logits(one: Evidence) -> tuple[Floats, Floats]:
    return scaled(one), 0.1 * np.arange(len(one.noise))


EVIDENCE = [
    pool("written"),
    pool("accept", seed=1),
    pool("prefer", n=3, candidate=2, seed=2),
    pool("reject", seed=3),
    pool("prefer", n=5, candidate=0, seed=4),
    pool("copied", seed=5),
    pool("prefer", n=3, candidate=1, seed=6),
]
CHOICES = Choices.of(EVIDENCE, SIZE, logits)
AT = np.array([0.3, -0.2, 0.1])


def by_hand(one: Evidence, at: Floats) -> float:
    columns, base = logits(one)
    score = base + columns @ at
    if one.kind == "prefer":
        return float(score[one.candidate]) - log(sum(exp(each) for each in score))
    sign = 1 if one.kind in GOOD else -1
    return -log(1 + exp(-sign * float(score[one.candidate])))


def test_labelled_pools_are_no_choices() -> None:
    assert len(CHOICES) == len(EVIDENCE) - 1
    assert len(Choices.of([], SIZE, logits)) == 0
    assert set(KINDS) >= set(GOOD)


def test_likelihoods_are_logistic_and_softmax() -> None:
    expected = [0.0, *(by_hand(one, AT) for one in EVIDENCE[1:])]
    assert CHOICES.log_likelihoods(AT, len(EVIDENCE)) == pytest.approx(expected)
    assert CHOICES.log_likelihoods(np.tile(AT, (len(EVIDENCE), 1)), len(EVIDENCE)) == pytest.approx(expected)


def test_each_judgment_may_have_coefficients_of_its_own() -> None:
    own = np.random.default_rng(9).normal(0, 0.3, (len(EVIDENCE), SIZE))
    expected = [0.0, *(by_hand(one, at) for one, at in zip(EVIDENCE[1:], own[1:], strict=True))]
    assert CHOICES.log_likelihoods(own, len(EVIDENCE)) == pytest.approx(expected)


def test_noise_is_in_the_units_of_its_distribution() -> None:
    one = pool("accept")
    assert scaled(one) == pytest.approx(one.features / (0.2 * sqrt(3) / pi))
    best = pool("prefer")
    assert scaled(best) == pytest.approx(best.features / (0.2 * sqrt(6) / pi))


def test_derivatives_are_those_of_the_weighted_likelihood() -> None:
    weight = np.array([1.0, 0.5, 1.0, 2.0, 0.3, 0.3, 1.0])

    def value(at: Floats) -> float:
        return float(weight @ CHOICES.log_likelihoods(at, len(EVIDENCE)))

    gradient, curvature = CHOICES.derivatives(AT, weight)
    step = 1e-5 * np.eye(SIZE)
    assert gradient == pytest.approx([(value(AT + one) - value(AT - one)) / 2e-5 for one in step], rel=1e-6)
    slopes = [CHOICES.derivatives(AT + one, weight)[0] - CHOICES.derivatives(AT - one, weight)[0] for one in step]
    assert curvature == pytest.approx(-np.array(slopes) / 2e-5, rel=1e-6)
    assert np.linalg.eigvalsh(curvature)[0] > 0


def test_the_mode_is_where_the_slope_is_nothing_wherever_it_starts() -> None:
    weight, precision, moment = np.ones(len(EVIDENCE)), 2 * np.eye(SIZE), np.array([0.1, 0.0, -0.1])
    found, bend = mode(CHOICES, weight, precision, moment, np.zeros(SIZE))
    slope = CHOICES.derivatives(found, weight)[0] + moment - precision @ found
    assert slope == pytest.approx(np.zeros(SIZE), abs=1e-4)
    far, _ = mode(CHOICES, weight, precision, moment, np.full(SIZE, 50.0))
    assert far == pytest.approx(found, abs=1e-4)
    assert bend == pytest.approx(precision + CHOICES.derivatives(found, weight)[1], rel=1e-3)


def test_extreme_scores_overflow_nowhere() -> None:
    huge = np.full(SIZE, 1e6)
    with np.errstate(over="raise", invalid="raise"):
        likelihoods = CHOICES.log_likelihoods(huge, len(EVIDENCE))
        gradient, curvature = CHOICES.derivatives(huge, np.ones(len(EVIDENCE)))
    assert np.isfinite(likelihoods).all()
    assert np.isfinite(gradient).all()
    assert np.isfinite(curvature).all()
