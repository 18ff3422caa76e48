"""What was measured of one format, and the limits that it must keep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.formats.fidelity import Fidelity
from edge_ttp.policy.formats.speeds import COUNTS, FormatSpeed
from edge_ttp_export.export_gates import Gate, GateFailed
from edge_ttp_export.policy.benefit import Benefit

TPS_AT = 8
"""Candidates decoded together in the speed that --min-tps is about."""
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?B?)", re.IGNORECASE)


@dataclass(frozen=True)
class FormatLimits:
    """What the user demands of the result; None demands nothing."""

    max_kl: float | None = None
    """Mean KL divergence in nats."""
    max_size: int | None = None
    """Bytes."""
    min_tps: float | None = None
    """Tokens per second of TPS_AT candidates together."""


@dataclass(frozen=True)
class MeasuredFormat:
    """One format of the policy, as measured on this device."""

    format: str
    size_bytes: int
    loss: Fidelity | None
    """Against the reference; None for the reference itself."""
    speed: FormatSpeed | None
    """None where this device's memory does not hold it."""
    benefit: Benefit
    fallbacks: int = 0
    """Tensors whose shape the format cannot hold."""
    own: bool = False
    """The source's own weights are on this format's grid: its small loss says nothing."""

    @property
    def kl(self) -> float:
        """Mean KL divergence from the reference, in nats; 0 for the reference."""
        return self.loss.mean_kl if self.loss is not None else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON and manifests: no null, and keys that are text."""
        gates: dict[str, Any] = {
            "format": self.format,
            "size_bytes": self.size_bytes,
            "fallback_tensors": self.fallbacks,
            "source_was_quantized_so": self.own,
            "utility": self.benefit.as_dict(),
        }
        if self.loss is not None:
            gates["loss"] = self.loss.as_dict()
        if self.speed is not None:
            speed = asdict(self.speed)
            for key in ("decode_tps", "decode_ratio"):
                speed[key] = {str(n): value for n, value in speed[key].items()}
            gates["speed"] = speed
        return gates


def parse_size(text: str) -> int:
    """Bytes meant by `150MB`, `1.5GB` or a plain number of bytes. Raises InvalidInput."""
    match = _SIZE.fullmatch(text.strip())
    unit = match[2].upper() if match else None
    if match is None or unit is None or (unit if unit.endswith("B") or not unit else unit + "B") not in _UNITS:
        raise InvalidInput(f"{text!r} is not a size", "write 150MB or 1.5GB")
    return round(float(match[1]) * _UNITS[unit if unit.endswith("B") or not unit else unit + "B"])


def gates(measured: MeasuredFormat, limits: FormatLimits) -> list[Gate]:
    """The limits that were demanded, each with what was measured."""
    found = []
    if limits.max_kl is not None:
        found.append(Gate("mean KL divergence, nats", measured.kl, limits.max_kl))
    if limits.max_size is not None:
        found.append(Gate("size, bytes", float(measured.size_bytes), float(limits.max_size)))
    if limits.min_tps is not None:
        reached = measured.speed.decode_tps[TPS_AT] if measured.speed is not None else 0.0
        found.append(Gate(f"decode t/s at N = {TPS_AT}", reached, limits.min_tps, at_least=True))
    return found


def keeps(measured: MeasuredFormat, limits: FormatLimits) -> bool:
    """Whether it keeps all limits and fits into this device's memory."""
    return measured.speed is not None and all(gate.passed for gate in gates(measured, limits))


def refuse(measured: MeasuredFormat, limits: FormatLimits) -> None:
    """Raises GateFailed with every limit that is missed."""
    missed = [
        f"{gate.name}: {gate.value:.4g}, {'at least' if gate.at_least else 'at most'} {gate.limit:.4g} is demanded"
        for gate in gates(measured, limits)
        if not gate.passed
    ]
    if measured.speed is None:
        missed.append("this device's memory does not hold it")
    if missed:
        raise GateFailed(
            f"{measured.format} was not registered: {'; '.join(missed)}", "choose another --quant or other limits"
        )


HEADER = (
    "format", "MB", "perplexity", "mean KL", "99% KL", "top-1", "prompt t/s",
    *(f"decode t/s N={n}" for n in COUNTS), "utility", "vs reference",
)  # fmt: skip
"""Names of the columns of `table`."""


def table(rows: Sequence[MeasuredFormat], reference_perplexity: float | None = None) -> list[tuple[str, ...]]:
    """The measurements as lines of text, one per format."""
    return [_line(row, reference_perplexity) for row in rows]


def _line(row: MeasuredFormat, reference_perplexity: float | None) -> tuple[str, ...]:
    loss, speed, benefit = row.loss, row.speed, row.benefit
    perplexity = loss.perplexity if loss is not None else reference_perplexity
    speeds: Mapping[int, float] = speed.decode_tps if speed is not None else {}
    return (
        row.format + ("*" if row.own else ""),
        f"{row.size_bytes / 1e6:.0f}",
        f"{perplexity:.2f}" if perplexity is not None else "",
        f"{loss.mean_kl:.4f}" if loss is not None else "",
        f"{loss.p99_kl:.3f}" if loss is not None else "",
        f"{loss.top1_agreement:.1%}" if loss is not None else "",
        f"{speed.prompt_tps:.0f}" if speed is not None else "too large",
        *(f"{speeds[n]:.0f}" if n in speeds else "" for n in COUNTS),
        f"{benefit.chosen:.3f}",
        f"{benefit.difference:+.3f} ± {benefit.difference_error:.3f}" if loss is not None else "",
    )
