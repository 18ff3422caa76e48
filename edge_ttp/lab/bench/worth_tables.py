"""From the recall grid to what the planner reckons with: the worth of examples, for short and for long texts.

Two sets of users are little for each table, so each is drawn towards what both together say, by as much as its own
error is large against the difference that the sets really have (empirical Bayes, as in Efron and Morris 1975); and a
table never falls: what is measured as falling by chance is evened out by weighted isotonic regression (pool adjacent
violators, Ayer et al. 1955). More examples that harm are then worth as much as fewer, which keeps them only where they
cost nothing. What the planner reckoned with at first stands in as a prior: a few dozen queries say too little of a
difference of .02 to be believed alone, and the more there are, the less of it is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_ttp.lab.bench.recall_grid import GridRow

Steps = list[tuple[int, float]]

PRIOR: Steps = [(0, 0.0), (1, 0.2), (2, 0.25), (4, 0.3), (8, 0.35)]
"""Worth by numbers of examples as the planner had it at first, for texts of any length."""
PRIOR_ERROR = 0.15
"""Its standard deviation: it is taken to be right within .3."""

_TEXTS = ("short", "long")
_NUMBER = "BM25 "


def of(table: Sequence[GridRow]) -> dict[str, Steps]:
    """By `short` and `long`: numbers of examples, from 0, and what so many are worth, rounded to .01 of the spread.

    Empty where a set has fewer than two users at some number that the other one has.
    """
    by = {(row.texts, int(row.prompt.removeprefix(_NUMBER))): row for row in table if _plain(row.prompt)}
    numbers = sorted({number for texts, number in by if texts == "all" and number})
    if not numbers or not all((texts, number) in by for texts in _TEXTS for number in numbers):
        return {}
    worth, error = (
        {texts: np.array([float(getattr(by[texts, number], name)) for number in numbers]) for texts in (*_TEXTS, "all")}
        for name in ("worth", "worth_error")
    )
    if not all(np.isfinite(error[texts]).all() for texts in _TEXTS):
        return {}
    apart = (worth["short"] - worth["long"]) ** 2 - error["short"] ** 2 - error["long"] ** 2
    real = max(0.0, float(apart.mean()) / 2)  # variance of what the sets differ by from both together
    found = {}
    for texts in _TEXTS:
        own = real / np.maximum(real + error[texts] ** 2, 1e-12)
        shrunk = worth["all"] + own * (worth[texts] - worth["all"])
        found[texts] = _steps(numbers, shrunk, own * error[texts] ** 2 + (1 - own) * error["all"] ** 2)
    return found


def _plain(prompt: str) -> bool:
    return prompt.startswith(_NUMBER) and prompt.removeprefix(_NUMBER).isdecimal()


def _steps(numbers: Sequence[int], worth: npt.NDArray[np.float64], variance: npt.NDArray[np.float64]) -> Steps:
    """The table of one set from what was measured, (numbers,), with its variances, and the prior."""
    counts, before = zip(*PRIOR, strict=True)
    prior = 1 / PRIOR_ERROR**2
    weight = 1 / np.maximum(variance, 1e-9)
    together = (prior * np.interp(numbers, counts, before) + weight * worth) / (prior + weight)
    rising = rise(together.tolist(), (prior + weight).tolist())
    return [(0, 0.0), *((number, round(max(0.0, value), 2)) for number, value in zip(numbers, rising, strict=True))]


def rise(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The never falling values that are nearest to these, by weighted squares."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            before, heavy, many = blocks.pop()
            whole = heavy + block[1]
            block = ((before * heavy + block[0] * block[1]) / whole, whole, many + block[2])
        blocks.append(block)
    return [value for value, _, many in blocks for _ in range(many)]
