"""Charts as inline SVG, written by hand: lines on a scale of doublings, a map of points, bars.

Colours are CSS variables of the page, so that one chart serves light and dark. Every text that comes from data is
escaped here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import pairwise
from math import floor, isfinite, log2, log10

WIDTH, HEIGHT = 640, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 128, 14, 42
_LINE_HEIGHT = 16
"""Least distance of two labels at the ends of lines, in pixels."""


@dataclass(frozen=True)
class Line:
    """One line of a chart: `ys` at `xs`; nan breaks it."""

    label: str
    style: str
    """CSS class: `measured`, `law`, `oracle`, `rival`, `other`."""
    xs: Sequence[float]
    ys: Sequence[float]
    low: Sequence[float] = ()
    """Ends of a band around it, if there is one."""
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Dot:
    """One point of a map."""

    x: float
    y: float
    style: str
    """CSS class and shape: `works`, `undecided`, `misled`, `collapsed`, `unknown`, or a class of lines."""
    title: str
    """Shown when the pointer rests on it."""


@dataclass(frozen=True)
class Legend:
    """One entry of a legend."""

    label: str
    style: str


@dataclass(frozen=True)
class _Frame:
    """Where data land on the picture; x on a scale of logarithms if `logarithmic`."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    right: int
    logarithmic: bool = False

    def x(self, value: float) -> float:
        low, high = (log2(self.x_low), log2(self.x_high)) if self.logarithmic else (self.x_low, self.x_high)
        at = log2(value) if self.logarithmic else value
        return _LEFT + (at - low) / (high - low) * (WIDTH - _LEFT - self.right)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (HEIGHT - _TOP - _BOTTOM)


def lines_chart(lines: Sequence[Line], *, title: str, x_label: str, y_label: str, percent: bool = False) -> str:
    """Lines over n on a scale of doublings, each labelled at its end. Empty where no line has two points."""
    lines = [line for line in lines if sum(isfinite(y) for y in line.ys) >= 2]
    if not lines:
        return ""
    xs = [x for line in lines for x, y in zip(line.xs, line.ys, strict=True) if isfinite(y)]
    ys = [y for line in lines for y in (*line.ys, *line.low, *line.high) if isfinite(y)]
    low, high = min(0.0, *ys), max(0.0, *ys)
    if high - low <= 0:
        return ""
    right = _margin([line.label for line in lines])
    frame = _Frame(min(xs), max(xs), low - 0.02 * (high - low), high + 0.04 * (high - low), right, logarithmic=True)
    doublings = [float(2**k) for k in range(64) if frame.x_low <= 2**k <= frame.x_high]
    parts = [*_grid(frame, doublings, _ticks(low, high), x_label, y_label, percent=percent)]
    for line in lines:
        if line.low and line.high:
            parts.append(f'<path class="band {line.style}" d="{_band(frame, line)}"/>')
    for line in lines:
        parts.append(f'<path class="line {line.style}" d="{_path(frame, line)}"/>')
        if line.style == "measured":
            parts += [
                f'<circle class="mark {line.style}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3.2">'
                f"<title>n = {x:g}: {_number(y, percent)}</title></circle>"
                for x, y in zip(line.xs, line.ys, strict=True)
                if isfinite(y) and log2(x).is_integer()
            ]
    parts += _end_labels(frame, lines)
    return _svg(title, parts)


def map_chart(
    dots: Sequence[Dot], *, title: str, x_label: str, y_label: str, x_range: tuple[float, float], limit: float
) -> str:
    """Dots over a logarithmic x and y from -1 to 1, with a line at x = `limit` and one at y = 0."""
    frame = _Frame(x_range[0], x_range[1], -1.0, 1.0, 16, logarithmic=True)
    powers = [10.0**k for k in range(floor(log10(x_range[0])), 6) if x_range[0] <= 10.0**k <= x_range[1]]
    parts = [*_grid(frame, powers, [-1.0, -0.5, 0.0, 0.5, 1.0], x_label, y_label)]
    if x_range[0] < limit < x_range[1]:
        x = frame.x(limit)
        parts.append(f'<rect class="zone" x="{_LEFT}" y="{_TOP}" width="{x - _LEFT:.1f}" height="{_inner_height()}"/>')
        parts.append(f'<text class="tick" x="{_LEFT + 6}" y="{_TOP + 14}">hardly any spread</text>')
    parts.append(_segment("zero", (_LEFT, frame.y(0)), (WIDTH - 16, frame.y(0))))
    for dot in dots:
        x, y = frame.x(min(max(dot.x, x_range[0]), x_range[1])), frame.y(dot.y)
        parts.append(f'<g class="dot {dot.style}">{_shape(dot.style, x, y)}<title>{escape(dot.title)}</title></g>')
    return _svg(title, parts)


def bars_chart(
    edges: Sequence[float], bars: Sequence[float], steps: Sequence[float], *, title: str, x_label: str, y_label: str
) -> str:
    """Bars between `edges`, and a second distribution over them as a stepped outline (may be empty)."""
    top = max([*bars, *steps], default=0.0)
    if top <= 0:
        return ""
    frame = _Frame(edges[0], edges[-1], 0.0, top * 1.06, 16)
    parts = [*_grid(frame, [-1.0, -0.5, 0.0, 0.5, 1.0], _ticks(0, top), x_label, y_label, percent=True)]
    for left, right, value in zip(edges[:-1], edges[1:], bars, strict=True):
        x, y = frame.x(left), frame.y(value)
        side = "wrong" if right <= 0 else "right"
        parts.append(
            f'<rect class="bar {side}" x="{x + 0.5:.1f}" y="{y:.1f}" width="{frame.x(right) - x - 1:.1f}" '
            f'height="{frame.y(0) - y:.1f}"><title>rho {left:.2f} to {right:.2f}: {value:.1%}</title></rect>'
        )
    if steps:
        points = [
            f"{frame.x(x):.1f},{frame.y(value):.1f}"
            for left, right, value in zip(edges[:-1], edges[1:], steps, strict=True)
            for x in (left, right)
        ]
        parts.append(f'<path class="line law" d="M{" L".join(points)}"/>')
    parts.append(_segment("zero", (frame.x(0), _TOP), (frame.x(0), HEIGHT - _BOTTOM)))
    return _svg(title, parts)


def scatter_chart(dots: Sequence[Dot], *, title: str, x_label: str, y_label: str, legend: Sequence[Legend]) -> str:
    """Dots over two scales of the same kind, with the diagonal on which both agree. Empty without dots."""
    if not dots:
        return ""
    values = [value for dot in dots for value in (dot.x, dot.y)]
    low, high = min(0.0, *values), max(0.0, *values)
    reach = (high - low) or 1.0
    low, high = low - 0.03 * reach, high + 0.03 * reach
    right = _margin([entry.label + "mark" for entry in legend])
    frame = _Frame(low, high, low, high, right)
    ticks = _ticks(low, high)
    parts = _grid(frame, [], ticks, x_label, y_label, percent=True)
    parts += [
        f'<text class="tick middle" x="{frame.x(x):.1f}" y="{HEIGHT - _BOTTOM + 18}">{_number(x, percent=True)}</text>'
        for x in ticks
    ]
    parts.append(_segment("zero", (frame.x(low), frame.y(low)), (frame.x(high), frame.y(high))))
    for dot in dots:
        mark = _shape(dot.style, frame.x(dot.x), frame.y(dot.y))
        parts.append(f'<g class="dot {dot.style}">{mark}<title>{escape(dot.title)}</title></g>')
    for place, entry in enumerate(legend):
        y = _TOP + 10 + place * _LINE_HEIGHT
        parts.append(f'<g class="dot {entry.style}">{_shape(entry.style, WIDTH - right + 12, y - 4)}</g>')
        parts.append(f'<text class="tick" x="{WIDTH - right + 22}" y="{y}">{escape(entry.label)}</text>')
    return _svg(title, parts)


def standalone(chart: str) -> str:
    """A chart as an SVG file of its own, with its colours, light and dark."""
    style = files("edge_ttp.lab.diagnosis").joinpath("chart.css").read_text(encoding="utf-8")
    opening, rest = chart.split(">", 1)
    return (
        f'{opening} xmlns="http://www.w3.org/2000/svg"><style>{style}</style>'
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>{rest}\n'
    )


def _margin(labels: Sequence[str]) -> int:
    """Room to the right for labels, in pixels."""
    return max(_RIGHT, min(240, 16 + round(7.6 * max(len(label) for label in labels))))


def swatch(style: str) -> str:
    """The mark of a map's class, for a legend."""
    mark = _shape(style, 7, 7)
    return f'<svg class="swatch" viewBox="0 0 14 14" aria-hidden="true"><g class="dot {style}">{mark}</g></svg>'


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">'
        + "".join(parts)
        + "</svg>"
    )


def _inner_height() -> int:
    return HEIGHT - _TOP - _BOTTOM


def _segment(style: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    return f'<line class="{style}" x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"/>'


def _grid(
    frame: _Frame, xs: Sequence[float], ys: Sequence[float], x_label: str, y_label: str, *, percent: bool = False
) -> list[str]:
    right = WIDTH - frame.right
    parts = []
    for y in ys:
        parts.append(_segment("grid", (_LEFT, frame.y(y)), (right, frame.y(y))))
        parts.append(
            f'<text class="tick end" x="{_LEFT - 8}" y="{frame.y(y) + 4:.1f}">{_number(y, percent, ys)}</text>'
        )
    for x in xs:
        parts.append(f'<text class="tick middle" x="{frame.x(x):.1f}" y="{HEIGHT - _BOTTOM + 18}">{x:g}</text>')
    middle = (_LEFT + right) / 2
    parts.append(f'<text class="axis middle" x="{middle:.0f}" y="{HEIGHT - 6}">{escape(x_label)}</text>')
    parts.append(
        f'<text class="axis middle" transform="translate(13 {_TOP + _inner_height() / 2:.0f}) rotate(-90)">'
        f"{escape(y_label)}</text>"
    )
    return parts


def _ticks(low: float, high: float) -> list[float]:
    """Round values from low to high, 4 to 8 of them."""
    raw = (high - low) / 5
    power = 10.0 ** floor(log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = int(low / step) - 1
    values = [k * step for k in range(first, first + 20)]
    return [value for value in values if low - 1e-9 <= value <= high + 1e-9]


def _number(value: float, percent: bool, among: Sequence[float] = ()) -> str:
    if percent:
        return f"{value:.0%}"
    step = min((abs(b - a) for a, b in pairwise(among)), default=0.001)
    digits = max(0, min(6, -floor(log10(step)))) if step > 0 else 3
    return f"{value + 0.0:.{digits}f}"


def _path(frame: _Frame, line: Line) -> str:
    steps, pen = [], "M"
    for x, y in zip(line.xs, line.ys, strict=True):
        if not isfinite(y):
            pen = "M"
            continue
        steps.append(f"{pen}{frame.x(x):.1f},{frame.y(y):.1f}")
        pen = "L"
    return " ".join(steps)


def _band(frame: _Frame, line: Line) -> str:
    known = [
        (x, low, high)
        for x, low, high in zip(line.xs, line.low, line.high, strict=True)
        if isfinite(low) and isfinite(high)
    ]
    above = [f"{frame.x(x):.1f},{frame.y(high):.1f}" for x, _, high in known]
    below = [f"{frame.x(x):.1f},{frame.y(low):.1f}" for x, low, _ in reversed(known)]
    return f"M{' L'.join([*above, *below])} Z" if known else ""


def _end_labels(frame: _Frame, lines: Sequence[Line]) -> list[str]:
    """A label at the end of each line, pushed apart where they would overlap."""
    ends = []
    for line in lines:
        last = max(place for place, y in enumerate(line.ys) if isfinite(y))
        ends.append((frame.y(line.ys[last]), frame.x(line.xs[last]), line))
    ends.sort(key=lambda end: end[0])
    places: list[float] = []
    for y, _, _ in ends:
        places.append(max(y, _TOP + 6.0, places[-1] + _LINE_HEIGHT if places else 0.0))
    below = places[-1] - (HEIGHT - _BOTTOM)
    if below > 0:
        places = [place - below for place in places]
    return [
        f'<text class="label {line.style}" x="{x + 9:.1f}" y="{place + 4:.1f}">{escape(line.label)}</text>'
        for place, (_, x, line) in zip(places, ends, strict=True)
    ]


def _shape(style: str, x: float, y: float) -> str:
    """A shape of its own for each class, so that colour is not all that tells them apart."""
    if style in ("misled", "rival"):
        return f'<path d="M{x - 5:.1f},{y - 4:.1f} h10 l-5,8.5 z"/>'
    if style in ("collapsed", "law"):
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{3.2 if style == "unknown" else 4.2}"/>'
