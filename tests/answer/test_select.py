"""The selection rules on pools whose answers can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.answer.select import DEFAULT_KAPPA, DEFAULT_T2, Pool, select
from edge_ttp.errors import InvalidInput

MEAN = np.array([0.50, 0.40, 0.45, 0.10])
EPISTEMIC = np.array([0.0400, 0.0001, 0.0025, 0.0])


def pool(complete: tuple[bool, ...] = (True,) * 4, **changes: np.ndarray | None) -> Pool:
    values: dict[str, np.ndarray | None] = {
        "mean": MEAN,
        "epistemic": EPISTEMIC,
        "similarity": np.array([[1, 0.2, 0.2, 0], [0.2, 1, 0.8, 0], [0.2, 0.8, 1, 0.3], [0, 0, 0.3, 1]]),
        **changes,
    }
    return Pool(
        logprob=np.array([-8.0, -3.0, -9.0, -2.0]),
        tokens=np.array([4, 1, 9, 4]),
        complete=np.array(complete),
        **values,  # type: ignore[arg-type]
    )


def test_mean_takes_the_highest_expected_utility() -> None:
    choice = select(pool(), "mean")
    assert choice.index == 0
    np.testing.assert_array_equal(choice.scores, MEAN)


def test_lcb_takes_deviations_of_the_means_own_error_off() -> None:
    choice = select(pool(), "lcb")
    assert DEFAULT_KAPPA == 1.0
    np.testing.assert_allclose(choice.scores, [0.30, 0.39, 0.40, 0.10])
    assert choice.index == 2
    np.testing.assert_allclose(select(pool(), "lcb", kappa=2.0).scores, [0.10, 0.38, 0.35, 0.10])
    assert select(pool(), "lcb", kappa=2.0).index == 1
    assert select(pool(), "lcb", kappa=0.0).index == 0


def test_a_variance_below_zero_counts_as_none() -> None:
    np.testing.assert_allclose(select(pool(epistemic=np.full(4, -1.0)), "lcb").scores, MEAN)


def test_shrink_draws_uncertain_means_to_the_pools() -> None:
    centre = MEAN.mean()
    assert centre == pytest.approx(0.3625)
    choice = select(pool(), "shrink", t2=0.0025)
    keeps = np.array([0.0025 / 0.0425, 0.0025 / 0.0026, 0.5, 1.0])
    np.testing.assert_allclose(choice.scores, centre + keeps * (MEAN - centre))
    assert choice.index == 2
    at_half = select(pool(epistemic=np.full(4, DEFAULT_T2)), "shrink").scores
    np.testing.assert_allclose(at_half, centre + (MEAN - centre) / 2)


def test_thompson_draws_once_from_each_candidates_distribution() -> None:
    choice = select(pool(), "thompson", rng=np.random.default_rng(7))
    expected = MEAN + np.sqrt(EPISTEMIC) * np.random.default_rng(7).standard_normal(4)
    np.testing.assert_allclose(choice.scores, expected)
    assert choice.index == int(expected.argmax())
    rng = np.random.default_rng(0)
    draws = np.array([select(pool(), "thompson", rng=rng).scores for _ in range(4000)])
    np.testing.assert_allclose(draws.mean(axis=0), MEAN, atol=0.02)
    np.testing.assert_allclose(draws.std(axis=0), np.sqrt(EPISTEMIC), atol=0.01)
    with pytest.raises(InvalidInput, match="seeded generator"):
        select(pool(), "thompson")


def test_consensus_logprob_and_first_need_no_reward_model() -> None:
    bare = {"mean": None, "epistemic": None}
    consensus = select(pool(**bare), "consensus")  # type: ignore[arg-type]
    np.testing.assert_allclose(consensus.scores, [0.4 / 3, 1.0 / 3, 1.3 / 3, 0.1])
    assert consensus.index == 2
    logprob = select(pool(**bare), "logprob")  # type: ignore[arg-type]
    np.testing.assert_allclose(logprob.scores, [-2.0, -3.0, -1.0, -0.5])
    assert logprob.index == 3
    assert select(pool(**bare), "first").index == 0  # type: ignore[arg-type]
    for rule in ("mean", "lcb", "shrink", "thompson"):
        with pytest.raises(InvalidInput, match="needs a reward model"):
            select(pool(**bare), rule)  # type: ignore[arg-type]


def test_cut_off_candidates_are_chosen_only_where_all_are() -> None:
    assert select(pool(complete=(False, True, True, True)), "mean").index == 2
    all_cut = select(pool(complete=(False,) * 4), "mean")
    assert all_cut.index == 0
    assert all_cut.reason.endswith("none was complete")


def test_of_equal_scores_the_first_wins_and_one_that_is_no_number_never() -> None:
    assert select(pool(mean=np.full(4, 0.3)), "mean").index == 0
    assert select(pool(mean=np.array([np.nan, 0.1, 0.2, 0.0])), "mean").index == 2
    with pytest.raises(InvalidInput, match="no finite score"):
        select(pool(mean=np.full(4, np.nan)), "mean")


@pytest.mark.parametrize(("ahead", "chosen"), [(0.04, 1), (0.06, 0)])
def test_one_that_runs_on_is_chosen_only_where_it_is_far_ahead_of_the_complete_ones(ahead: float, chosen: int) -> None:
    pool = Pool(
        logprob=np.zeros(3),
        tokens=np.ones(3, dtype=np.int64),
        complete=np.array([False, True, False]),
        running_on=np.array([True, False, False]),
        mean=np.array([0.3 + ahead, 0.3, 0.9]),
        epistemic=np.zeros(3),
    )
    assert select(pool, "mean").index == chosen  # the third was cut by a deadline
