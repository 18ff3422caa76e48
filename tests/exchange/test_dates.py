"""Dates as people write them, alike in every format."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.dates import NoDate, checked_form, moment, moment_of, time_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2025-01-31", "2025-01-31T00:00:00"),
        ("2025-01-31T10:20", "2025-01-31T10:20:00"),
        ("2025-01-31 10:20:30 +0200", "2025-01-31T08:20:30"),
        ("2025-01-31T10:20:30Z", "2025-01-31T10:20:30"),
        ("2025-01-31 10:20 UTC", "2025-01-31T10:20:00"),
        ("2025/01/31", "2025-01-31T00:00:00"),
        ("31.01.2025", "2025-01-31T00:00:00"),
        ("31.1.2025, 10:20", "2025-01-31T10:20:00"),
        ("31.01.25", "2025-01-31T00:00:00"),
        ("31.01.25 10:20", "2025-01-31T10:20:00"),
        ("6 Jan 2025", "2025-01-06T00:00:00"),
        ("20250131", "2025-01-31T00:00:00"),
        (20250131, "2025-01-31T00:00:00"),
        ("2025", "2025-01-01T00:00:00"),
        (2025, "2025-01-01T00:00:00"),
        ("2025-03", "2025-03-01T00:00:00"),
        ("Mon, 06 Jan 2025 09:12:00 +0100", "2025-01-06T08:12:00"),
        ("6 Jan 2025 09:12:00", "2025-01-06T09:12:00"),
        (1736150000, "2025-01-06T07:53:20"),
        ("1736150000", "2025-01-06T07:53:20"),
        (1736150000.5, "2025-01-06T07:53:20.500000"),
        (1736150000123, "2025-01-06T07:53:20.123000"),
        ("1736150000123", "2025-01-06T07:53:20.123000"),
        (1736150000123456, "2025-01-06T07:53:20.123456"),
        (-1, "1969-12-31T23:59:59"),
    ],
)
def test_a_date_is_read(value: object, expected: str) -> None:
    found = moment(value)
    assert found is not None
    assert found[0].isoformat() == f"{expected}+00:00"


@pytest.mark.parametrize("value", [None, "", "  ", "\n"])
def test_an_empty_date_is_unknown(value: object) -> None:
    assert moment(value) is None
    assert time_of({"date": value}, NOW) == NOW
    assert time_of({"date": value, "created_at": "2025"}, NOW).year == 2025


@pytest.mark.parametrize(
    "value",
    ["yesterday", True, [], {}, "0000", "99999-01-01", "2025-13-01", "31.02.2025", float("nan"), float("inf"), 1e300,
     10**400, "²²²²", "x" * 1000, "1 Jan", "٢٠٢٥-٠١-٠١x", b"2025"],
)  # fmt: skip
def test_what_is_no_date_is_said(value: object) -> None:
    if isinstance(value, bytes | float | int) and not isinstance(value, bool):
        with pytest.raises((NoDate, TypeError)):
            moment(value)
        return
    with pytest.raises(NoDate):
        moment(value)


def test_a_form_comes_before_everything() -> None:
    assert moment("03/04/25 14:00", "%m/%d/%y %H:%M") == (datetime(2025, 3, 4, 14, tzinfo=UTC), False)
    assert moment("03/04/25", "%d/%m/%y") == (datetime(2025, 4, 3, tzinfo=UTC), True)
    assert moment("", "%d/%m/%y") is None
    with pytest.raises(NoDate, match="not of the form"):
        moment("2025-01-01", "%d/%m/%y")


def test_a_form_that_is_none_is_refused() -> None:
    assert checked_form("%d.%m.%Y") == "%d.%m.%Y"
    for wrong in ("", "%q", "dd.mm.yyyy", "%"):
        with pytest.raises(InvalidInput, match="no form of dates"):
            checked_form(wrong)


@pytest.mark.parametrize("wrong", ["²²²²", "", "soon"])
def test_an_option_says_what_is_wrong(wrong: str) -> None:
    with pytest.raises(InvalidInput, match="--before"):
        moment_of("--before", wrong)


@given(st.text(max_size=40) | st.floats() | st.integers())
def test_anything_is_a_date_or_none(value: object) -> None:
    with suppress(NoDate):
        moment(value)
