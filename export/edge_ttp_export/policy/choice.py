"""Which format to export: what is not beaten in both utility and speed, and a rule among those. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.formats.derive import MAX_KL, TIE
from edge_ttp_export.policy.benefit import Benefit
from edge_ttp_export.policy.format_gates import FormatLimits, MeasuredFormat, keeps

LEAST_QUERIES = 5
"""Queries from which a standard error says something: over two or three it is near 0 by chance."""


@dataclass(frozen=True)
class Chosen:
    """The format to export, and why."""

    format: str
    reason: str
    pareto: tuple[str, ...]
    """Formats that no other one beats in utility without being slower, the fastest first."""


def pareto(measured: Sequence[MeasuredFormat]) -> tuple[str, ...]:
    """The formats for which no other one is as fast and as useful, and better in one of the two; the fastest first."""
    usable = [one for one in measured if one.speed is not None]

    def beaten(format: MeasuredFormat) -> bool:
        return any(
            _speed(other) >= _speed(format)
            and other.benefit.chosen >= format.benefit.chosen
            and (_speed(other), other.benefit.chosen) != (_speed(format), format.benefit.chosen)
            for other in usable
        )

    return tuple(one.format for one in sorted(usable, key=_speed, reverse=True) if not beaten(one))


def choose(measured: Sequence[MeasuredFormat], limits: FormatLimits, reference: str) -> Chosen:
    """The format with the fastest usual request among those that lose nothing that could be measured.

    That is: all limits are kept, the mean KL divergence is at most the limit (MAX_KL unless one was given), and the
    utility is not lower than the reference's by more than two standard errors, where LEAST_QUERIES or more tell. Of
    formats equally fast within TIE, the smaller one. A format that the source's weights were in already is passed
    over: measured against itself it would always look free. Raises InvalidInput where none is left.
    """
    largest = limits.max_kl if limits.max_kl is not None else MAX_KL
    why: list[str] = []
    left = []
    for format in measured:
        if format.own:
            why.append(f"{format.format} (the source was {format.format} already, so its loss says nothing)")
        elif not keeps(format, limits):
            why.append(f"{format.format} (misses a limit)")
        elif format.kl > largest:
            why.append(f"{format.format} (KL {format.kl:.3f})")
        elif _loses(format.benefit):
            why.append(f"{format.format} (utility {format.benefit.difference:+.3f})")
        else:
            left.append(format)
    passed_over = f"; passed over: {', '.join(why)}" if why else ""
    if not left:
        raise InvalidInput(f"no format keeps the limits{passed_over}", "allow more loss or size, or name a format")
    fastest = max(_speed(one) for one in left)
    equally = [one for one in left if _speed(one) >= fastest * (1 - TIE)]
    best = min(equally, key=lambda one: (one.size_bytes, one.format))
    reason = (
        f"{best.format}: {_speed(best):.2f} times as fast as {reference} for a usual request, mean KL {best.kl:.4f}"
        f" nats (at most {largest:g}), utility {best.benefit.chosen:.3f}, {best.benefit.difference:+.3f}"
        f" against {reference}"
    )
    return Chosen(best.format, reason + passed_over, pareto(measured))


def _loses(benefit: Benefit) -> bool:
    """Whether the utility is lower than chance explains."""
    return benefit.queries >= LEAST_QUERIES and benefit.difference < -2 * benefit.difference_error


def _speed(format: MeasuredFormat) -> float:
    """Speed of a usual request, relative to the reference's."""
    return format.speed.request_ratio if format.speed is not None else 0.0
