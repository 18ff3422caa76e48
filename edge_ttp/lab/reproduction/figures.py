"""The figures of docs/measured/reproduction.md, as SVG files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_ttp.lab.diagnosis.charts import Dot, Legend, Line, lines_chart, scatter_chart, standalone
from edge_ttp.lab.reproduction.findings import Ceiling, Curve
from edge_ttp.lab.reproduction.law_test import LawTest
from edge_ttp.scaling import expected_maximum, harmonic

STYLES = ("rival", "measured", "law", "other", "oracle")
"""Classes of lines and dots, given out in order."""


def styles(names: Sequence[str]) -> dict[str, str]:
    """A class for each name; more names than classes share them."""
    return {name: STYLES[place % len(STYLES)] for place, name in enumerate(names)}


def ceiling_figure(ceilings: Sequence[Ceiling], policy: str) -> str:
    """The oracle's gain of one policy's tasks, each as a part of its own gain at n = 2, with both forms."""
    here = [one for one in ceilings if one.policy == policy]
    longest = max((one.n for one in here), key=len).astype(np.float64)
    of_task = styles([one.task for one in here])
    lines = [
        Line(one.task, of_task[one.task], list(one.n), list(one.gain / one.gain[1]))
        for one in here
    ]  # fmt: skip
    for label, form in (("exponential", harmonic(longest) - 1), ("Gaussian", expected_maximum(longest))):
        lines.append(Line(label, "form", list(longest), list(form / form[1])))
    chart = lines_chart(lines, title=f"Oracle gain of {policy}", x_label="candidates n", y_label="gain / gain at n = 2")
    return standalone(chart) if chart else ""


def curves_figure(curves: Sequence[Curve], policy: str) -> str:
    """Share of the oracle's gain by n for every variant, mean over a policy's tasks."""
    here = [one for one in curves if one.policy == policy]
    of_variant = styles([one.variant for one in here])
    lines = [Line(one.variant, of_variant[one.variant], list(one.sizes), list(one.share)) for one in here]
    chart = lines_chart(
        lines,
        title=f"Share by n of {policy}",
        x_label="candidates n",
        y_label="share of the oracle's gain",
        percent=True,
    )
    return standalone(chart) if chart else ""


def law_figure(test: LawTest, variants: Sequence[str]) -> str:
    """Every point's predicted share against the measured one, means over splits."""
    of_variant = styles(variants)
    dots = [
        Dot(
            case.predicted,
            case.measured,
            of_variant[case.variant],
            f"{case.task}, {case.policy}, {case.variant}, n = {case.n}: {case.predicted:.2f}, {case.measured:.2f}",
        )
        for case in test.cases
    ]
    chart = scatter_chart(
        dots,
        title="Predicted and measured shares",
        x_label="share predicted by the law from the other half of the users",
        y_label="measured share",
        legend=[Legend(name, style) for name, style in of_variant.items()],
    )
    return standalone(chart) if chart else ""
