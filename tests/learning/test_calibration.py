"""The calibration record: what cannot be is refused, own evidence wins over the population as it grows."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.learning.calibration import POPULATION, Calibration


def learned(queries: int = 10, rho: float = 0.8, rho_error: float = 0.1, **changes: float) -> Calibration:
    values = {"spread": 0.2, "slope": 0.5, "slope_error": 0.2, **changes}
    return Calibration.learned(rho=rho, rho_error=rho_error, queries=queries, **values)  # type: ignore[arg-type]


def test_a_user_without_evidence_is_one_of_the_population() -> None:
    assert learned(queries=0) == POPULATION
    assert POPULATION.queries == 0


def test_own_evidence_counts_more_the_surer_it_is() -> None:
    vague, sure = learned(rho_error=1.0), learned(rho_error=0.01)
    assert POPULATION.rho < vague.rho < sure.rho < 0.8
    assert sure.rho_sd < vague.rho_sd < POPULATION.rho_sd


def test_spread_and_slope_move_from_the_populations_to_the_users() -> None:
    one, many = learned(queries=1), learned(queries=100)
    assert POPULATION.spread < one.spread < many.spread < 0.2
    assert learned(slope_error=1e9).slope == pytest.approx(POPULATION.slope)
    assert learned(slope_error=0.0).slope == pytest.approx(0.5)


def test_a_correlation_below_zero_or_a_collapsed_score_is_worth_nothing() -> None:
    assert learned(rho=-0.9, rho_error=0.01).reach == 0
    assert Calibration(rho=0.9, rho_sd=0.1, spread=0.1, collapsed=True).reach == 0
    assert Calibration(rho=0.5, rho_sd=0.1, spread=0.1).reach == pytest.approx(0.05)


@pytest.mark.parametrize(
    "changes",
    [{"rho": 1.5}, {"rho": nan}, {"rho_sd": -1.0}, {"spread": inf}, {"slope": nan}, {"hacked": 2.0}, {"queries": -1}],
)
def test_a_record_that_cannot_be_is_refused(changes: dict[str, float]) -> None:
    values = {"rho": 0.3, "rho_sd": 0.1, "spread": 0.1, **changes}
    with pytest.raises(InvalidInput, match="calibration record"):
        Calibration(**values)  # type: ignore[arg-type]


@given(st.floats(-1, 1), st.floats(0, 10), st.floats(0, 1), st.floats(-5, 5), st.floats(0, 10), st.integers(0, 1000))
def test_any_evidence_gives_a_record(
    rho: float, error: float, spread: float, slope: float, slope_error: float, queries: int
) -> None:
    found = Calibration.learned(
        rho=rho, rho_error=error, spread=spread, slope=slope, slope_error=slope_error, queries=queries
    )
    assert -1 <= found.rho <= 1
    assert 0 <= found.reach < inf
