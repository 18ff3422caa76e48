"""Simulated pools with known c, h and rho: how close the estimates come, and how often their intervals hold the truth.

Truth is the generator's own population value, not what one sample of users happened to contain. Pools are Gaussian, or
skewed and bounded: utility = logistic(-2.5 + 1.2 Z), Z standard normal (skewness 1.9), so that rho is that of the
utility, not of Z. A query's spread is drawn from Uniform(.3, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from math import atanh, isfinite, nan, sqrt
from typing import Any, Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt

from edge_ttp.scaling import Estimate, Pools, Quantities, four_quantities

Floats = npt.NDArray[np.float64]
Shape = Literal["gaussian", "skewed"]

SHAPES: tuple[Shape, ...] = ("gaussian", "skewed")
SIZES = (8, 16, 32)
USERS, QUERIES = 100, 10
QUANTITIES = ("c", "h", "rho_plus", "rho_minus", "net")

_COLLAPSED_SPREAD = 0.02
_LOGIT_MEAN, _LOGIT_SD = -2.5, 1.2


@dataclass(frozen=True)
class Population:
    """A population of users and queries."""

    name: str
    c: float
    """Share of users whose score is 2% of the others' in spread, and unrelated to the utility."""
    h: float
    """Share of the other users' queries that belong to the sign-flipped group."""
    rho_plus: float
    """Correlation at the centre of the aligned group (with the latent normal)."""
    rho_minus: float
    """Its size at the centre of the sign-flipped group."""
    spread: float = 0.0
    """Standard deviation of atanh(rho) within each group."""
    clumped: float = 0.0
    """Intra-user correlation of belonging to the sign-flipped group, 0 to 1."""
    loud: float = 1.0
    """Spread of utilities in sign-flipped queries, relative to the others."""


SETTINGS = (
    Population("healthy", c=0.0, h=0.0, rho_plus=0.5, rho_minus=0.5),
    Population("collapse only", c=0.2, h=0.0, rho_plus=0.6, rho_minus=0.6),
    Population("sign-flipped group", c=0.1, h=0.2, rho_plus=0.8, rho_minus=0.8),
    Population("sign-flipped, clumped in users", c=0.1, h=0.2, rho_plus=0.6, rho_minus=0.6, clumped=0.3),
    Population("few flipped", c=0.0, h=0.05, rho_plus=0.7, rho_minus=0.7),
    Population("flipped queries spread more", c=0.15, h=0.25, rho_plus=0.5, rho_minus=0.6, loud=1.5),
    Population("groups with spread", c=0.1, h=0.2, rho_plus=0.5, rho_minus=0.5, spread=0.2),
    Population("weak and mixed", c=0.3, h=0.3, rho_plus=0.4, rho_minus=0.3),
    Population("one broad normal group", c=0.1, h=0.0, rho_plus=0.4, rho_minus=0.4, spread=0.4),
)


@dataclass(frozen=True)
class Truth:
    """Population values, weighted by the spread of utility."""

    c: float
    h: float
    rho_plus: float
    rho_minus: float
    net: float


def truth(setting: Population, shape: Shape) -> Truth:
    """The population values of a setting: a fine sum over each group's correlations, since h has a step at 0."""
    nodes = np.linspace(-8, 8, 64_001)
    weights = np.exp(-0.5 * nodes**2)
    weights = weights / weights.sum()
    slope = _slope(shape)
    aligned = np.tanh(atanh(setting.rho_plus) + setting.spread * nodes) * slope
    flipped = np.tanh(-atanh(setting.rho_minus) + setting.spread * nodes) * slope
    rho = np.concatenate([aligned, flipped])
    mass = np.concatenate([(1 - setting.h) * weights, setting.h * setting.loud * weights])
    mass /= mass.sum()
    below = rho < 0
    h = float(mass[below].sum())
    return Truth(
        c=_weighted_collapse(setting),
        h=h if h > 1e-9 else 0.0,
        rho_plus=float(mass[~below] @ rho[~below] / (1 - h)),
        rho_minus=float(-(mass[below] @ rho[below]) / h) if h > 1e-9 else nan,
        net=float(mass @ rho),
    )


def _weighted_collapse(setting: Population) -> float:
    """c by spread: collapsed users have no flipped queries, so that theirs are not loud."""
    alive = (1 - setting.c) * (1 - setting.h + setting.h * setting.loud)
    return setting.c / (setting.c + alive)


def simulate(
    setting: Population,
    shape: Shape,
    size: int,
    rng: np.random.Generator,
    *,
    users: int = USERS,
    queries: int = QUERIES,
) -> Pools:
    """Pools of `users` users with `queries` queries each and `size` candidates per query."""
    total = users * queries
    user = np.repeat(np.arange(users), queries)
    collapsed = (rng.random(users) < setting.c)[user]
    rate = np.full(users, setting.h)
    if setting.clumped > 0 and 0 < setting.h < 1:
        strength = 1 / setting.clumped - 1
        rate = rng.beta(setting.h * strength, (1 - setting.h) * strength, users)
    flipped = (rng.random(total) < rate[user]) & ~collapsed
    centre = np.where(flipped, -atanh(setting.rho_minus), atanh(setting.rho_plus))
    rho = np.where(collapsed, 0.0, np.tanh(centre + setting.spread * rng.standard_normal(total)))[:, None]
    latent = rng.standard_normal((total, size))
    score = rho * latent + np.sqrt(1 - rho**2) * rng.standard_normal((total, size))
    score *= np.where(collapsed, _COLLAPSED_SPREAD, 1.0)[:, None]
    scale = rng.uniform(0.3, 1.0, total) * np.where(flipped, setting.loud, 1.0)
    utility = latent if shape == "gaussian" else _logistic(latent)
    return Pools.from_matrices(utility * scale[:, None], score, user)


def _logistic(latent: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-(_LOGIT_MEAN + _LOGIT_SD * latent))), dtype=np.float64)


@cache
def _slope(shape: Shape) -> float:
    """Correlation of the utility with its latent normal: what a correlation with the latter is multiplied by."""
    if shape == "gaussian":
        return 1.0
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    utility = _logistic(nodes)
    mean = float(weights @ utility)
    return float(weights @ (utility * nodes)) / sqrt(float(weights @ (utility - mean) ** 2))


@dataclass(frozen=True)
class EstimatorError:
    """One quantity in one setting: how three estimators do over the runs. Bias is estimate minus truth."""

    setting: str
    shape: Shape
    n: int
    quantity: str
    truth: float
    bias: float
    sd: float
    """Standard deviation of the estimate over the runs."""
    coverage: float
    """Share of the runs whose 90% interval holds the truth."""
    width: float
    """Mean width of the interval."""
    unknown: int
    """Runs without an estimate."""
    naive_bias: float
    normal_bias: float
    runs: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def table(rows: Sequence[EstimatorError]) -> list[str]:
    """The rows as lines of text, under a header."""
    width = max(len(row.setting) for row in rows)
    names = ("truth", "bias", "sd", "cover", "width", "counted", "normal")
    lines = [f"{'setting':{width}} {'shape':8} {'n':>3} {'':9}" + "".join(f"{name:>8}" for name in names)]
    for row in rows:
        numbers = (row.truth, row.bias, row.sd, row.coverage, row.width, row.naive_bias, row.normal_bias)
        shown = "".join(f"{value:8.3f}" if isfinite(value) else f"{'-':>8}" for value in numbers)
        lines.append(f"{row.setting:{width}} {row.shape:8} {row.n:3} {row.quantity:9}{shown}")
    return lines


HELD = (0.86, 0.94)
"""Coverage that 90% intervals are meant to have."""


def summary(rows: Sequence[EstimatorError]) -> list[str]:
    """A line per n and quantity: largest bias, coverage, and how the simpler estimators do.

    Coverage is taken over truths that do not lie on the edge of what is possible (an h of 0 has its interval's end on
    the truth, and is covered nearly always).
    """
    header = ("n", "", "largest bias", "where", "cover", "least", "most", "in 86-94%", "counted", "normal")
    lines = ["{:>3} {:9} {:>12}  {:44} {:>6} {:>6} {:>6} {:>9} {:>8} {:>8}".format(*header)]
    for n in sorted({row.n for row in rows}):
        for name in QUANTITIES:
            here = [row for row in rows if (row.n, row.quantity) == (n, name) and isfinite(row.bias)]
            if not here:
                continue
            worst = max(here, key=lambda row: abs(row.bias))
            inside = [row.coverage for row in here if row.truth > 0]
            held = sum(HELD[0] <= one <= HELD[1] for one in inside)
            rivals = [
                f"{max(abs(value) for value in values):8.3f}" if all(map(isfinite, values)) else f"{'-':>8}"
                for values in _rivals(here)
            ]
            lines.append(
                f"{n:3} {name:9} {worst.bias:+12.3f}  {f'{worst.setting}, {worst.shape}':44} "
                f"{sum(inside) / len(inside):6.1%} {min(inside):6.1%} {max(inside):6.1%} "
                f"{f'{held} of {len(inside)}':>9} {rivals[0]} {rivals[1]}"
            )
    return lines


def _rivals(rows: Sequence[EstimatorError]) -> tuple[list[float], list[float]]:
    return [row.naive_bias for row in rows], [row.normal_bias for row in rows]


def study(
    *,
    runs: int,
    sizes: Sequence[int] = SIZES,
    shapes: Sequence[Shape] = SHAPES,
    settings: Sequence[Population] = SETTINGS,
    resamples: int = 200,
    seed: int = 0,
    advance: Callable[[float], None],
) -> list[EstimatorError]:
    """One row per setting, shape, pool size and quantity. Quantities that the truth leaves undefined have none."""
    rows: list[EstimatorError] = []
    done = 0
    for setting in settings:
        for shape in shapes:
            true = truth(setting, shape)
            for size in sizes:
                found = []
                for run in range(runs):
                    rng = np.random.default_rng([seed, crc32(setting.name.encode()), SHAPES.index(shape), size, run])
                    pools = simulate(setting, shape, size, rng)
                    found.append(
                        four_quantities(pools.evidence(), pools.user, pools.users, resamples=resamples, seed=run)
                    )
                    done += 1
                    advance(done)
                rows += [_row((setting.name, shape, size), name, getattr(true, name), found) for name in QUANTITIES]
    return [row for row in rows if row.truth == row.truth]


def _row(place: tuple[str, Shape, int], name: str, true: float, estimated: list[Quantities]) -> EstimatorError:
    estimates: list[Estimate] = [getattr(one, name) for one in estimated]
    known = [one for one in estimates if one.known]
    values = np.array([one.value for one in known])
    rivals = [[getattr(one.naive, name, nan), getattr(one.normal, name, nan)] for one in estimated]
    naive, normal = np.array(rivals).mean(axis=0) - true
    setting, shape, size = place
    return EstimatorError(
        setting=setting,
        shape=shape,
        n=size,
        quantity=name,
        truth=true,
        bias=float(values.mean() - true) if known else nan,
        sd=float(values.std()) if known else nan,
        coverage=float(np.mean([one.low <= true <= one.high for one in known])) if known else nan,
        width=float(np.mean([one.high - one.low for one in known])) if known else nan,
        unknown=len(estimated) - len(known),
        naive_bias=float(naive),
        normal_bias=float(normal),
        runs=len(estimated),
    )
