"""The curves as a PNG picture, drawn by matplotlib (extra: plot)."""

from __future__ import annotations

import importlib.util
from io import BytesIO

from edge_ttp.errors import ExtraMissing, InvalidInput
from edge_ttp.lab.diagnosis.judge import Diagnosis


def require_matplotlib() -> None:
    """Raises ExtraMissing where matplotlib is not installed, before any work is done."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ExtraMissing(
            "--plot needs the package matplotlib", "pip install 'edge-ttp[plot]', or use --html, which needs none"
        )


def picture(diagnosis: Diagnosis) -> bytes:
    """A PNG of the measured curve with its interval, both forms of the law, and the oracle.

    Raises InvalidInput where there is no curve.
    """
    if len(diagnosis.curve) < 2:
        raise InvalidInput("there is no curve to draw", "every query has one candidate, or all utilities are equal")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # type: ignore[import-not-found,unused-ignore]
    from matplotlib.figure import Figure  # type: ignore[import-not-found,unused-ignore]

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    n = [point.n for point in diagnosis.curve]
    axes.plot(n, [point.oracle for point in diagnosis.curve], color="#3d444d", label="best candidate")
    axes.plot(n, [point.measured for point in diagnosis.curve], color="#1f5fa8", label="selected")
    low, high = [point.low for point in diagnosis.curve], [point.high for point in diagnosis.curve]
    axes.fill_between(n, low, high, color="#1f5fa8", alpha=0.16, linewidth=0)
    axes.plot(n, [point.predicted for point in diagnosis.curve], "--", color="#c8640a", label="law")
    axes.plot(n, [point.plain for point in diagnosis.curve], ":", color="#8b929b", label="plain form")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("candidates n")
    axes.set_ylabel("gain over a random pick")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=150)
    return drawn.getvalue()
