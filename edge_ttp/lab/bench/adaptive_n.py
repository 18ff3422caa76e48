"""Adaptive N against fixed N on stored pools, at equal time: what deciding after each scored wave is worth.

Candidates come from the pool in random orders, and are scored with those drawn before them and no others: consensus and
the difference from the pool's mean would else tell of candidates that nobody has drawn yet. Times are those of the
measured profile for the candidates' own lengths; what every request pays alike (prompt, recall, recording) is left out
on both sides. The fixed rule draws the same N for every query, interpolated to the adaptive one's average time. The
oracle knows each query's own curve of expected utility over N, and chooses N for each query at the same average time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.budget import gain
from edge_ttp.budget.cost import Lengths, Speed
from edge_ttp.budget.device_profile import Profile
from edge_ttp.budget.planner import DISTRUSTED_CANDIDATES, PRICES, more, part_wave, price
from edge_ttp.lab.bench.scored_pools import REPORT, Rescoring, ScoredPool, read
from edge_ttp.learning.calibration import POPULATION, Calibration
from edge_ttp.scaling import best_of_n
from edge_ttp.schema import Budget

Floats = npt.NDArray[np.float64]

ORDERS = 24
"""Random orders of each pool."""
TIMED_ORDERS = 6
"""Orders that the fixed rule's times are averaged over."""
RESAMPLES = 1000
PROMPT = 400
"""Tokens in the cache while the stored candidates are taken to be drawn."""


@dataclass(frozen=True)
class TimePrice:
    """What time is reckoned at, and what it buys."""

    price: float
    """Utility units per second."""
    profile: Profile
    cores: int


@dataclass(frozen=True)
class RuleOutcome:
    """One rule on one query, means over the orders."""

    utility: float
    seconds: float
    n: float


class Timing:
    """Seconds of drawing candidates of known lengths, by the measured profile."""

    def __init__(self, profile: Profile, cores: int) -> None:
        self.speed: Speed = profile.speed(profile.threads(cores)[1])
        self.lengths: Lengths = profile.lengths
        self.profile = profile

    def wave_s(self, tokens: npt.NDArray[np.int64]) -> float:
        """Seconds to draw these candidates together and to score them."""
        steps = np.arange(1, int(tokens.max()) + 1)
        alive = (tokens[None, :] > steps[:, None]).sum(axis=1)
        rows = alive[alive > 0].astype(np.float64) ** (1 - self.lengths.sharing)
        cells = PROMPT + np.cumsum(rows)
        decode = self.speed.rows_s(np.maximum(rows, 1.0)) + self.speed.cell_s * rows * cells
        return float(decode.sum() + self.profile.score_s(len(tokens)))


def compare(
    pools: Sequence[ScoredPool],
    setting: TimePrice,
    *,
    calibration: Callable[[str], Calibration] = lambda user: POPULATION,
    seed: int = 0,
) -> dict[str, Any]:
    """Adaptive, fixed and oracle on these pools (of one policy), with central 90% intervals over users.

    `gain_over_best_fixed` is the mean difference in utility from fixed N at equal average time. `oracle_gain` is the
    oracle's, which knows the very candidates it is judged on, noise included; `oracle_gain_held_out` that of one which
    knows each query's curve from the other half of its pool. `share` is the ratio of the first two. `saved_part` is how
    much of the difference comes from queries that got less time than the fixed rule gives, reckoned at what the fixed
    rule's time buys at that point.
    """
    most = min(pool.size for pool in pools)
    timing = Timing(setting.profile, setting.cores)
    rng = np.random.default_rng(seed)
    fixed_u = np.zeros((len(pools), most))
    fixed_t = np.zeros((len(pools), most))
    adaptive: list[RuleOutcome] = []
    for place, pool in enumerate(pools):
        orders = [rng.permutation(pool.size)[:most] for _ in range(ORDERS)]
        fixed_u[place] = _fixed(pool, orders, most)
        fixed_t[place] = np.mean(
            [[timing.wave_s(pool.tokens[order[:n]]) for n in range(1, most + 1)] for order in orders[:TIMED_ORDERS]],
            axis=0,
        )
        record = calibration(pool.user)
        longest = int(pool.tokens.max())
        predicted = setting.profile.draw_s(most, prompt=PROMPT, longest=longest, free=setting.cores)
        runs = [_adaptive(pool, order, setting, timing=timing, predicted=predicted, record=record) for order in orders]
        adaptive.append(RuleOutcome(*np.mean(runs, axis=0).tolist()))
    utility = np.array([one.utility for one in adaptive])
    seconds = np.array([one.seconds for one in adaptive])
    users = sorted({pool.user for pool in pools})
    owner = np.array([users.index(pool.user) for pool in pools])
    everything = np.ones(len(pools))
    gain = _difference(utility, seconds, fixed_u, fixed_t, everything)
    oracle_u, oracle_t = _oracle(fixed_u, fixed_u, fixed_t, float(seconds.mean()))
    oracle = _difference(oracle_u, oracle_t, fixed_u, fixed_t, everything)
    halves = [np.arange(start, most, 2) for start in (0, 1)]
    half_u = [np.array([_fixed(pool, [half[order] for order in _orders(len(half), place)], len(half))
                        for place, pool in enumerate(pools)]) for half in halves]  # fmt: skip
    size = half_u[0].shape[1] if half_u[0].shape == half_u[1].shape else half_u[1].shape[1]
    seen, true = half_u[0][:, :size], half_u[1][:, :size]
    held_u, held_t = _oracle(seen, true, fixed_t[:, :size], float(seconds.mean()))
    held_out = _difference(held_u, held_t, true, fixed_t[:, :size], everything)
    weights = rng.multinomial(len(users), np.full(len(users), 1 / len(users)), size=RESAMPLES)[:, owner]
    draws = [_difference(utility, seconds, fixed_u, fixed_t, weight.astype(np.float64)) for weight in weights]
    low, high = np.quantile(draws, [0.05, 0.95])
    return {
        "policy": pools[0].policy,
        "queries": len(pools),
        "users": len(users),
        "mean_s": float(seconds.mean()),
        "mean_n": float(np.mean([one.n for one in adaptive])),
        "gain_over_best_fixed": gain,
        "low": float(low),
        "high": float(high),
        "oracle_gain": oracle,
        "oracle_gain_held_out": held_out,
        "share": gain / oracle if oracle > 0 else None,
        "saved_part": _saved_part(utility, seconds, fixed_u, fixed_t),
    }


def _adaptive(
    pool: ScoredPool,
    order: npt.NDArray[np.int64],
    setting: TimePrice,
    *,
    timing: Timing,
    predicted: Floats,
    record: Calibration,
) -> tuple[float, float, float]:
    """Utility of the chosen candidate, seconds and N of the planner on this order of the pool."""
    most = len(order)
    planned = int(np.argmax(gain.before_scores(record, most) - setting.price * predicted)) + 1
    if not record.trusted:
        planned = min(planned, DISTRUSTED_CANDIDATES)
    part = part_wave(planned)
    score_s = setting.profile.score_s
    drawn = gain.first_wave(planned, record=record, seconds=predicted, score_s=score_s, cost=setting.price)
    seconds = timing.wave_s(pool.tokens[order[:drawn]])
    while drawn < most:
        seen = order[:drawn]
        value = gain.after_wave(record, pool.scores(seen))
        again_s = float(score_s(drawn))
        improvement = value.improvement(most)
        further = more(predicted + again_s, improvement, setting.price, most=min(part, most - drawn), left_s=None)
        if further == 0:
            break
        seconds += timing.wave_s(pool.tokens[order[drawn : drawn + further]]) + again_s
        drawn += further
    seen = order[:drawn]
    return float(pool.utility[seen[int(np.argmax(pool.scores(seen)))]]), seconds, float(drawn)


def fixed_sizes(most: int) -> list[int]:
    """Sizes at which a score that depends on its company is asked anew; between them the curve is interpolated."""
    return sorted({n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192) if n < most} | {most})


def _orders(size: int, seed: int) -> list[npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return [rng.permutation(size) for _ in range(ORDERS)]


def _fixed(pool: ScoredPool, orders: Sequence[npt.NDArray[np.int64]], most: int) -> Floats:
    """(most,) utility of the best-scored of the first n candidates, n = 1 .. most, mean over the orders.

    Exact for scores that ignore the other candidates; else every beginning of every order is scored by itself.
    """
    counts = np.arange(1, most + 1)
    if pool.anew is None:
        members = np.sort(orders[0]) if len(orders[0]) < pool.size else np.arange(pool.size)
        return best_of_n(pool.utility[members], pool.mean[members], counts)
    sizes = fixed_sizes(most)
    values = [float(np.mean(pool.utility[np.stack(orders)[:, :most]]))]  # of one candidate, any
    for n in sizes[1:]:
        picks = [order[int(np.argmax(pool.scores(order[:n])))] for order in orders]
        values.append(float(np.mean(pool.utility[picks])))
    return np.asarray(np.interp(counts, sizes, values), dtype=np.float64)


def _difference(utility: Floats, seconds: Floats, fixed_u: Floats, fixed_t: Floats, weight: Floats) -> float:
    """Weighted mean utility minus that of fixed N at the same weighted mean time."""
    total = weight.sum()
    curve_u, curve_t = weight @ fixed_u / total, weight @ fixed_t / total
    return float(weight @ utility / total - np.interp(weight @ seconds / total, curve_t, curve_u))


def _oracle(seen: Floats, true: Floats, fixed_t: Floats, mean_s: float) -> tuple[Floats, Floats]:
    """True utility and seconds of each query where N is chosen by what the oracle is `told`, (queries, n) each.

    The price of time is the lowest at which the average stays within `mean_s`.
    """
    rows = np.arange(len(seen))
    low, high = 0.0, 1e3
    for _ in range(80):
        middle = float(np.sqrt(max(low, 1e-9) * high))
        chosen = np.argmax(seen - middle * fixed_t, axis=1)
        low, high = (middle, high) if fixed_t[rows, chosen].mean() > mean_s else (low, middle)
    chosen = np.argmax(seen - high * fixed_t, axis=1)
    return true[rows, chosen], fixed_t[rows, chosen]


def _saved_part(utility: Floats, seconds: Floats, fixed_u: Floats, fixed_t: Floats) -> float | None:
    """Part of the advantage that comes from queries with less time than the fixed rule's.

    Both kinds are compared with the fixed rule at the same average time; what a query saves or takes more is reckoned
    at the fixed curve's slope there.
    """
    curve_u, curve_t = fixed_u.mean(axis=0), fixed_t.mean(axis=0)
    place = float(np.interp(seconds.mean(), curve_t, np.arange(len(curve_t))))
    left = min(int(place), len(curve_t) - 2)
    slope = (curve_u[left + 1] - curve_u[left]) / (curve_t[left + 1] - curve_t[left])
    part = place - left
    same_u = (1 - part) * fixed_u[:, left] + part * fixed_u[:, left + 1]
    same_t = (1 - part) * fixed_t[:, left] + part * fixed_t[:, left + 1]
    advantage = (utility - same_u) - slope * (seconds - same_t)
    less = seconds < same_t
    total = float(advantage.sum())
    return float(advantage[less].sum()) / total if total > 0 else None


def study(
    files: Sequence[str],
    profile: Profile,
    *,
    advance: Callable[[int], None],
    tenths: Sequence[int] = REPORT,
    rescoring: Rescoring | None = None,
) -> list[dict[str, Any]]:
    """`compare` for each policy in `files`, at the average times that each mode's price leads to.

    `rescoring` scores rows with texts anew; without it rows are taken as they are, with scores that ignore the other
    candidates. `tenths`: of which users.
    """
    pools = read(files, tenths=tenths) if rescoring is None else rescoring.read(files, tenths=tenths)
    rows: list[dict[str, Any]] = []
    for policy in sorted({pool.policy for pool in pools}):
        mine = [pool for pool in pools if pool.policy == policy]
        for mode in PRICES:
            setting = TimePrice(price(Budget(mode=mode)), profile, max(profile.speeds))
            rows.append({"mode": mode, **compare(mine, setting)})
            advance(len(rows))
    return rows
