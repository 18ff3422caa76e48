"""Tables and estimates of the measured pages."""

from __future__ import annotations

from edge_ttp.lab.reproduction.markdown import estimate, number, signed, table
from edge_ttp.scaling import UNKNOWN, Estimate


def test_a_table_has_a_line_for_its_header_its_rule_and_every_row() -> None:
    assert table(("a", "b"), [("1", "2"), ("3", "4")]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |", "| 3 | 4 |"]


def test_what_is_unknown_is_a_dash() -> None:
    one = Estimate(0.5, 0.25, 0.75)
    assert (estimate(one), signed(one), number(0.5)) == (
        "0.50 (0.25 to 0.75)", "+0.500 (+0.250 to +0.750)", "0.50",
    )  # fmt: skip
    assert (estimate(UNKNOWN), signed(UNKNOWN), number(float("nan"))) == ("-", "-", "-")
