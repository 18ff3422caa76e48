"""Tables and estimates of the measured pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from edge_ttp.scaling import Estimate


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    lines = [" | ".join(header), " | ".join("---" for _ in header), *(" | ".join(row) for row in rows)]
    return [f"| {line} |" for line in lines]


def estimate(one: Estimate) -> str:
    """A value with its interval, or a dash."""
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})" if one.known else "-"


def signed(one: Estimate) -> str:
    """A difference with its interval, or a dash."""
    return f"{one.value:+.3f} ({one.low:+.3f} to {one.high:+.3f})" if isfinite(one.value) else "-"


def number(value: float) -> str:
    """Two places, or a dash for what was not measured."""
    return f"{value:.2f}" if isfinite(value) else "-"
