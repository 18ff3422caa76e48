"""How many candidates a record justifies: gains by the law's own numbers, and where the last doubling stops paying."""

from __future__ import annotations

import pytest

from edge_ttp.lab.diagnosis.evidence_worth import DOUBLING_PAYS, LEAST_QUERIES, SIZES, worth
from edge_ttp.learning.calibration import POPULATION, Calibration

MAXIMUM = {1: 0.0, 2: 0.5642, 4: 1.0294, 8: 1.4236, 16: 1.7660, 32: 2.0697, 64: 2.3437}
"""Expected maximum of n standard normals (Harter 1961)."""


def test_gains_are_reach_times_the_expected_maximum() -> None:
    value = worth(Calibration(rho=0.5, rho_sd=0.1, spread=0.08, queries=20))
    assert list(value.gain) == list(SIZES)
    for n, gain in value.gain.items():
        assert gain == pytest.approx(0.5 * 0.08 * MAXIMUM[n], abs=1e-5)


@pytest.mark.parametrize(
    ("reach", "n"),
    [
        (0.0141, 1),  # the first doubling adds .00796
        (0.0143, 2),
        (0.0172, 4),  # the second: .4652 of the reach
        (0.0204, 8),  # the third: .3942
        (0.0234, 16),  # .3424
        (0.0264, 32),  # .3037
        (0.0293, 64),  # .2740, and there it ends
        (0.5, 64),
    ],
)
def test_candidates_are_doubled_while_a_doubling_pays(reach: float, n: int) -> None:
    assert worth(Calibration(rho=0.5, rho_sd=0.1, spread=2 * reach, queries=20)).n == n
    assert DOUBLING_PAYS == 0.008


def test_a_score_that_cannot_be_trusted_justifies_one() -> None:
    doubtful = worth(Calibration(rho=0.02, rho_sd=0.05, spread=0.1, queries=90))
    assert (doubtful.n, doubtful.reason) == (1, "the score may point the wrong way (rho 0.02 ± 0.05)")
    flat = worth(Calibration(rho=0.5, rho_sd=0.05, spread=0.1, queries=90, collapsed=True))
    assert flat.n == 1
    assert "hardly differ" in flat.reason
    assert set(flat.gain.values()) == {0.0}


def test_few_queries_say_nothing_of_this_user() -> None:
    few = worth(Calibration(rho=0.4, rho_sd=0.1, spread=0.07, queries=LEAST_QUERIES - 1))
    enough = worth(Calibration(rho=0.4, rho_sd=0.1, spread=0.07, queries=LEAST_QUERIES))
    assert (few.known, enough.known) == (False, True)
    assert few.n == enough.n
    assert few.reason.startswith("by the population's record, 32 candidates are worth +0.058 over one; going on to 64")
    assert enough.reason.startswith("by 8 queries of this user, 32 candidates are worth +0.058 over one")
    assert not worth(POPULATION).known
