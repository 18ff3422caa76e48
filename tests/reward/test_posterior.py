"""The per-user posterior: closed form, choices, bounds, and when it is not used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_ttp.reward.choices import Choices
from edge_ttp.reward.posterior import (
    KINDS,
    MAX_EVIDENCE,
    MAX_JUDGMENTS,
    Evidence,
    EvidenceKind,
    Floats,
    Habit,
    Terms,
    UpdateSettings,
    Weights,
    fit_user,
    habit_of,
    recency,
)

SIZE = 6
STOCK = Weights(np.linspace(-0.1, 0.2, SIZE), 0.02 * np.eye(SIZE))


def pool(rng: np.random.Generator, weights: Floats, n: int = 8, kind: EvidenceKind = "written") -> Evidence:
    """A pool whose utilities follow `weights`."""
    features = rng.normal(0, 1, (n, SIZE))
    features -= features.mean(axis=0)
    utility = 0.3 + features @ weights + rng.normal(0, 0.05, n)
    noise = np.full(n, 0.05**2)
    if kind in ("written", "edit"):
        return Evidence(kind, features, noise, utility)
    best = int(utility.argmin() if kind in ("reject", "regenerated") else utility.argmax())
    return Evidence(kind, features, noise, None, best)


def fit(stock: Weights, evidence: list[Evidence], weight: Floats, settings: UpdateSettings) -> Weights:
    return Terms.of(stock, evidence, weight, settings).fit(weight)


def own_weights(seed: int = 1) -> Floats:
    return np.asarray(STOCK.mean + np.random.default_rng(seed).normal(0, 0.1, SIZE))


def test_without_evidence_it_is_the_stock_model() -> None:
    found = fit_user(STOCK, [])
    assert found.weights is STOCK
    assert (found.trust, found.evidence) == (0.0, 0)


def test_labelled_pools_give_the_closed_form_of_bishop() -> None:
    rng = np.random.default_rng(0)
    one, settings = pool(rng, own_weights()), UpdateSettings(effective_candidates=3.0, prior_scale=1.0)
    assert one.utility is not None
    found = fit(STOCK, [one], np.ones(1), settings)
    share = 3.0 / len(one.noise)
    precision = np.linalg.inv(STOCK.covariance) + share * (one.features.T / one.noise) @ one.features
    moment = np.linalg.solve(STOCK.covariance, STOCK.mean) + share * (one.features.T / one.noise) @ (
        one.utility - one.utility.mean()
    )
    np.testing.assert_allclose(found.mean, np.linalg.solve(precision, moment), atol=1e-6)
    np.testing.assert_allclose(found.covariance, np.linalg.inv(precision), atol=1e-6)


def test_an_offset_shared_by_the_pool_teaches_nothing() -> None:
    one = pool(np.random.default_rng(0), own_weights())
    assert one.utility is not None
    raised = replace(one, utility=one.utility + 0.4)
    same, other = (fit(STOCK, [each], np.ones(1), UpdateSettings()).mean for each in (one, raised))
    np.testing.assert_allclose(same, other, atol=1e-12)


def test_equal_evidence_gives_equal_bits() -> None:
    def made() -> list[Evidence]:
        rng = np.random.default_rng(3)
        return [pool(rng, own_weights(), kind=kind) for kind in KINDS for _ in range(3)]

    first, again = fit_user(STOCK, made()), fit_user(STOCK, made())
    assert first.weights.mean.tobytes() == again.weights.mean.tobytes()
    assert first.weights.covariance.tobytes() == again.weights.covariance.tobytes()


def test_more_evidence_comes_closer_to_the_user_and_is_surer() -> None:
    rng, target = np.random.default_rng(4), own_weights()
    pools = [pool(rng, target) for _ in range(40)]
    found = [fit_user(STOCK, pools[:count]) for count in (0, 5, 40)]
    distance = [float(np.linalg.norm(one.weights.mean - target)) for one in found]
    assert distance[0] > distance[1] > distance[2]
    variance = [float(np.trace(one.weights.covariance)) for one in found]
    assert variance[0] > variance[1] > variance[2]
    assert found[2].trust > 0.99


@pytest.mark.parametrize("kind", ["prefer", "accept", "copied", "reject", "regenerated"])
def test_the_gradient_and_curvature_of_a_judgment_are_its_derivatives(kind: EvidenceKind) -> None:
    rng = np.random.default_rng(5)
    some = [pool(rng, own_weights(), n=n, kind=kind) for n in (3, 8, 8)]
    weight, at, step = np.array([1.0, 0.5, 2.0]), own_weights(2) * 0.1, 1e-6
    choices = Choices.of(some, SIZE, lambda one: (one.features, one.features @ own_weights(3)))
    assert (choices.log_likelihoods(at, 3) < 0).all()
    gradient, curvature = choices.derivatives(at, weight)
    for axis in range(SIZE):
        move = np.zeros(SIZE)
        move[axis] = step
        up, down = (weight @ choices.log_likelihoods(at + sign * move, 3) for sign in (1, -1))
        assert gradient[axis] == pytest.approx((up - down) / (2 * step), rel=1e-4, abs=1e-6)
        high, low = (choices.derivatives(at + sign * move, weight)[0] for sign in (1, -1))
        np.testing.assert_allclose(-curvature[axis], (high - low) / (2 * step), rtol=1e-4, atol=1e-4)


def test_judgments_are_foretold_each_with_its_own_coefficients() -> None:
    rng = np.random.default_rng(17)
    some = [pool(rng, own_weights(), kind=kind) for kind in ("prefer", "accept", "written", "reject")]  # type: ignore[arg-type]
    choices = Choices.of(some, SIZE, lambda one: (one.features, np.zeros(len(one.noise))))
    each = np.stack([own_weights(seed) for seed in range(4)])
    found = choices.log_likelihoods(each, 4)
    assert found[2] == 0
    for at in (0, 1, 3):
        assert found[at] == pytest.approx(choices.log_likelihoods(each[at], 4)[at])


def test_a_habit_is_the_mode_of_its_posterior() -> None:
    rng = np.random.default_rng(15)
    good = [pool(rng, STOCK.mean, kind=kind) for kind in ("accept", "reject", "prefer") for _ in range(20)]  # type: ignore[arg-type]
    weight = np.ones(len(good))
    found = habit_of(STOCK, good, weight)
    assert found.grip > 0.3
    assert habit_of(STOCK, [pool(rng, STOCK.mean)], np.ones(1)) == Habit(0.0, 1.0)
    easy = habit_of(STOCK, [pool(rng, STOCK.mean, kind="accept") for _ in range(20)], np.ones(20))
    hard = habit_of(STOCK, [replace(one, kind="reject") for one in good[:20]], np.ones(20))
    assert easy.ease > 0 > hard.ease


def test_a_user_who_accepts_everything_teaches_little() -> None:
    rng = np.random.default_rng(16)
    some = [replace(pool(rng, own_weights(), kind="accept"), candidate=int(rng.integers(8))) for _ in range(30)]
    found = fit_user(STOCK, some)
    assert np.linalg.norm(found.weights.mean - STOCK.mean) < 0.2 * np.linalg.norm(STOCK.mean)


def test_a_preferred_candidate_rises_and_a_rejected_one_falls() -> None:
    rng = np.random.default_rng(6)
    for kind, sign in (("prefer", 1), ("accept", 1), ("copied", 1), ("reject", -1), ("regenerated", -1)):
        one = pool(rng, own_weights(), kind=kind)  # type: ignore[arg-type]
        stock = one.features @ STOCK.mean
        one = replace(one, candidate=int(stock.argmin() if sign > 0 else stock.argmax()))  # not what was expected
        found = fit(STOCK, [one], np.ones(1), UpdateSettings())
        assert sign * float(one.features[one.candidate] @ (found.mean - STOCK.mean)) > 0


def test_what_was_only_inferred_moves_less_than_what_was_said() -> None:
    one = pool(np.random.default_rng(7), own_weights(), kind="accept")
    one = replace(one, candidate=int((one.features @ STOCK.mean).argmin()))
    said, inferred = (
        fit(STOCK, [each], recency([each], UpdateSettings()), UpdateSettings()).mean - STOCK.mean
        for each in (one, replace(one, kind="copied"))
    )
    assert 0 < np.linalg.norm(inferred) < np.linalg.norm(said)


def test_contradictory_judgments_leave_the_stock_model() -> None:
    rng = np.random.default_rng(8)
    good = [pool(rng, own_weights(), kind="accept") for _ in range(20)]
    both = [each for one in good for each in (one, replace(one, kind="reject"))]
    found = fit_user(STOCK, both)
    assert np.linalg.norm(found.weights.mean - STOCK.mean) < 0.1 * np.linalg.norm(STOCK.mean)


def test_any_number_of_judgments_weighs_no_more_than_the_bound() -> None:
    rng = np.random.default_rng(9)
    flood = [pool(rng, own_weights(), kind="reject") for _ in range(MAX_EVIDENCE)]
    weight = recency(flood, UpdateSettings(half_life=1e9))
    assert weight.sum() == pytest.approx(MAX_JUDGMENTS)
    texts = [pool(rng, own_weights()) for _ in range(4)]
    assert recency([*texts, *flood], UpdateSettings(half_life=1e9))[:4] == pytest.approx(1.0)


def test_judgments_against_the_users_own_texts_are_outvoted() -> None:
    rng, target = np.random.default_rng(10), own_weights()
    texts = [pool(rng, target) for _ in range(20)]
    hostile = [replace(pool(rng, target, kind="prefer"), candidate=0) for _ in range(200)]
    hostile = [replace(one, candidate=int((one.features @ target).argmin())) for one in hostile]
    mixed = [one for pair in zip(hostile[:20], texts, strict=True) for one in pair] + hostile[20:]
    fresh = [pool(rng, target, n=16) for _ in range(200)]

    def chosen(weights: Floats) -> float:
        return float(np.mean([one.utility[(one.features @ weights).argmax()] for one in fresh]))  # type: ignore[index]

    attacked = fit_user(STOCK, mixed)
    assert chosen(attacked.weights.mean) >= chosen(STOCK.mean) - 0.005


def test_a_user_like_all_others_loses_nothing_by_noisy_labels() -> None:
    rng = np.random.default_rng(11)
    before = after = 0.0
    for _ in range(30):
        noisy = [pool(rng, STOCK.mean) for _ in range(8)]
        noisy = [replace(one, utility=one.utility + rng.normal(0, 0.05, 8)) for one in noisy]  # type: ignore[operator]
        found = fit_user(STOCK, noisy).weights.mean
        for _ in range(30):
            fresh = pool(rng, STOCK.mean)
            assert fresh.utility is not None
            before += float(fresh.utility[(fresh.features @ STOCK.mean).argmax()])
            after += float(fresh.utility[(fresh.features @ found).argmax()])
    assert after / 900 > before / 900 - 0.005


def test_labels_that_contradict_what_was_learned_lower_the_trust() -> None:
    rng, target = np.random.default_rng(18), own_weights()
    good = [pool(rng, target) for _ in range(20)]
    mixed = [replace(one, utility=rng.permutation(one.utility)) for one in good]  # type: ignore[arg-type]
    assert fit_user(STOCK, good).trust > fit_user(STOCK, mixed).trust


def test_newer_evidence_weighs_more_by_the_half_life() -> None:
    rng = np.random.default_rng(12)
    weight = recency([pool(rng, own_weights()) for _ in range(9)], UpdateSettings(half_life=4))
    assert weight[[0, 4, 8]].tolist() == [1.0, 0.5, 0.25]
    before, now = own_weights(1), own_weights(2)
    history = [pool(rng, now) for _ in range(20)] + [pool(rng, before) for _ in range(20)]
    found = fit(STOCK, history, recency(history, UpdateSettings(half_life=8)), UpdateSettings()).mean
    assert np.linalg.norm(found - now) < np.linalg.norm(found - before)


def test_only_the_newest_pools_are_used() -> None:
    rng = np.random.default_rng(13)
    one = pool(rng, own_weights(), n=2)
    found = fit_user(STOCK, [one] * (MAX_EVIDENCE + 5))
    assert found.evidence == MAX_EVIDENCE


def test_weights_for_a_pool_never_saw_it() -> None:
    rng = np.random.default_rng(14)
    pools = [pool(rng, own_weights()) for _ in range(10)]
    wild = [replace(pools[0], utility=pools[0].utility * 50), *pools[1:]]  # type: ignore[operator]
    settings = UpdateSettings(doubt=-1e6)  # always trusted
    usual, other = fit_user(STOCK, pools, settings), fit_user(STOCK, wild, settings)
    np.testing.assert_array_equal(usual.unseen[0], other.unseen[0])
    assert not np.allclose(usual.unseen[1], other.unseen[1])
