"""Which format is exported: limits first, then what was lost, then speed; the source's own format is never free."""

from __future__ import annotations

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.formats.fidelity import Fidelity
from edge_ttp.policy.formats.speeds import FormatSpeed
from edge_ttp_export.export_gates import GateFailed
from edge_ttp_export.policy.benefit import Benefit, Utilities, compare_utilities
from edge_ttp_export.policy.choice import choose, pareto
from edge_ttp_export.policy.format_gates import HEADER, FormatLimits, MeasuredFormat, gates, parse_size, refuse, table

pytestmark = pytest.mark.export

NONE = FormatLimits()


def measured(
    format: str,
    *,
    speed: float | None = 1.0,
    kl: float | None = 0.01,
    utility: float = 0.5,
    lost: float = 0.0,
    size: int = 100,
    own: bool = False,
) -> MeasuredFormat:
    loss = None if kl is None else Fidelity(100, kl, 0.001, 5 * kl, 0.9, 20.0, 19.0)
    found = None
    if speed is not None:
        found = FormatSpeed(100 * speed, {1: 10 * speed, 8: 50 * speed, 32: 90 * speed}, speed, {}, speed, 5, 5)
    benefit = Benefit(24, 8, utility, 0.4, 0.7, -lost, 0.01)
    return MeasuredFormat(format, size, loss, found, benefit, own=own)


FULL = measured("F16", kl=None, size=300)


def test_the_fastest_format_that_lost_nothing_is_chosen() -> None:
    rows = [FULL, measured("Q8_0", speed=1.4), measured("Q4_0", speed=2.0, kl=0.4)]
    found = choose(rows, NONE, "F16")
    assert found.format == "Q8_0"
    assert "1.40 times as fast as F16" in found.reason
    assert "passed over: Q4_0 (KL 0.400)" in found.reason


def test_of_equally_fast_formats_the_smaller_one() -> None:
    rows = [FULL, measured("Q8_0", speed=1.42, size=200), measured("Q6_K", speed=1.40, size=150)]
    assert choose(rows, NONE, "F16").format == "Q6_K"


def test_a_clear_loss_of_utility_counts_even_where_the_divergence_is_small() -> None:
    rows = [FULL, measured("Q8_0", speed=1.4), measured("Q5_K_M", speed=2.0, lost=0.05)]
    found = choose(rows, NONE, "F16")
    assert found.format == "Q8_0"
    assert "Q5_K_M (utility -0.050)" in found.reason


def test_the_format_the_source_was_in_is_not_free() -> None:
    rows = [FULL, measured("Q8_0", speed=1.4), measured("Q4_1", speed=2.0, kl=0.0001, own=True)]
    found = choose(rows, NONE, "F16")
    assert found.format == "Q8_0"
    assert "the source was Q4_1 already" in found.reason


def test_limits_come_first_and_may_leave_nothing() -> None:
    rows = [FULL, measured("Q8_0", speed=1.4, size=200), measured("Q6_K", speed=1.2, size=100)]
    assert choose(rows, FormatLimits(max_size=150), "F16").format == "Q6_K"
    assert choose(rows, FormatLimits(min_tps=65), "F16").format == "Q8_0"
    with pytest.raises(InvalidInput, match="no format keeps the limits") as caught:
        choose(rows, FormatLimits(max_size=50), "F16")
    assert "\n" not in str(caught.value)


def test_more_loss_is_taken_where_it_is_allowed() -> None:
    rows = [FULL, measured("Q4_0", speed=2.0, kl=0.4)]
    assert choose(rows, NONE, "F16").format == "F16"
    assert choose(rows, FormatLimits(max_kl=0.5), "F16").format == "Q4_0"


def test_what_does_not_fit_into_memory_is_not_chosen() -> None:
    assert choose([FULL, measured("Q8_0", speed=None)], NONE, "F16").format == "F16"


def test_the_pareto_set_is_what_nothing_beats_in_both() -> None:
    rows = [
        measured("F16", speed=1.0, utility=0.52),
        measured("Q8_0", speed=1.4, utility=0.53),
        measured("Q5_K_M", speed=1.3, utility=0.51),
        measured("Q4_0", speed=2.0, utility=0.45),
        measured("Q6_K", speed=None, utility=0.99),
    ]
    assert pareto(rows) == ("Q4_0", "Q8_0")


def test_gates_say_what_was_demanded_and_what_was_reached() -> None:
    row = measured("Q4_0", kl=0.2, size=10**8, speed=0.5)
    assert [gate.passed for gate in gates(row, FormatLimits(0.3, 2 * 10**8, 20))] == [True, True, True]
    refuse(row, FormatLimits(0.3, 2 * 10**8, 20))
    with pytest.raises(GateFailed) as caught:
        refuse(row, FormatLimits(0.1, 10**7, 100))
    for words in ("mean KL divergence, nats: 0.2", "size, bytes", "decode t/s at N = 8: 25, at least 100"):
        assert words in str(caught.value)
    with pytest.raises(GateFailed, match="memory does not hold"):
        refuse(measured("Q8_0", speed=None), NONE)
    assert gates(row, NONE) == []


def test_the_table_has_a_cell_for_every_column() -> None:
    lines = table([FULL, measured("Q4_1", own=True), measured("Q8_0", speed=None)], 19.0)
    assert {len(line) for line in lines} == {len(HEADER)}
    assert (lines[0][2], lines[1][0], lines[2][6]) == ("19.00", "Q4_1*", "too large")


@pytest.mark.parametrize(
    ("text", "size"), [("150MB", 150 * 10**6), ("1.5 gb", 1_500_000_000), ("2000", 2000), ("7k", 7000)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "big", "-5MB", "5TB", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a size"):
        parse_size(text)


def test_utilities_are_compared_query_by_query() -> None:
    ours, theirs = Utilities((0.5, 0.7), (0.4, 0.4), (0.9, 0.9)), Utilities((0.4, 0.6), (0.3, 0.3), (0.8, 0.8))
    found = compare_utilities(ours, theirs, 8)
    assert (found.chosen, found.best, found.queries) == (pytest.approx(0.6), pytest.approx(0.9), 2)
    assert (found.difference, found.difference_error) == (pytest.approx(0.1), pytest.approx(0.0, abs=1e-9))
