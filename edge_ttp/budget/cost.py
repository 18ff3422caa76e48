"""What the parts of a request take on this device: models that are linear in their parameters, corrected by every call.

Seconds are sums of amounts times parameters: prompt chunks, prompt tokens and pairs of tokens for reading; decode steps
by their number of rows, and rows times cached tokens, for drawing. Rows interpolate between KNOTS because a batch of
two takes a kernel of another kind than one row: no straight line fits both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np
import numpy.typing as npt

from edge_ttp.budget.timed import CHUNK

Floats = npt.NDArray[np.float64]

KNOTS = (1, 2, 4, 8, 16, 32, 64)
"""Rows of a decode step at which its seconds are kept; between them, and beyond the last, they are interpolated."""

BINS = 16
"""Equal parts of the usual length in which candidates' lengths are counted."""

_SURPRISE = 0.25
"""Error in the logarithm (about 28%) from which the machine is taken to have changed, not the call."""
_FAST, _SLOW = 0.5, 0.35
"""Part of a surprising error, and of a usual one, that one call takes away."""
_WILDEST = 3.5
"""Largest factor that one call is believed to be off by: a paused machine must not throw the model off."""
_BATCHED = 0.5
"""Least seconds of a row in a step, in those of a prompt token."""
_RELAX = 0.1
"""Part of the way back to its measured speed that a number of threads goes with each call that does not use it."""
_LONGEST_GRID = 192
"""Steps that are summed over; longer candidates are summed in strides."""


@dataclass(frozen=True)
class Speed:
    """Seconds of the policy's computing with one number of threads. All above 0."""

    chunk_s: float
    """Fixed part of reading up to CHUNK prompt tokens."""
    token_s: float
    """Each prompt token."""
    pair_s: float
    """Each prompt token for each token before it."""
    step_s: tuple[float, ...]
    """(KNOTS,) a decode step of so many rows, without what the cache's length adds."""
    cell_s: float
    """Each row of a step for each token in the cache."""

    def prefill_s(self, prompt: int, cached: int = 0) -> float:
        """Seconds to read a prompt of so many tokens, of which the first `cached` are in the cache."""
        return float(np.dot(self._reading(), prefill_amounts(prompt, cached)))

    def rows_s(self, rows: Floats) -> Floats:
        """Seconds of a step by its rows (any shape, >= 1), the cache being empty.

        Never less than a part of what reading as many prompt tokens takes, which is the same work in larger batches: a
        machine that was busy while it was measured may show 64 rows to be as quick as one.
        """
        least = _BATCHED * self.token_s * np.maximum(np.asarray(rows, dtype=np.float64), 1.0)
        return np.asarray(np.maximum(_hats(rows) @ np.array(self.step_s), least), dtype=np.float64)

    def after_prefill(self, prompt: int, cached: int, seconds: float) -> Speed:
        """Corrected by one reading that took `seconds`."""
        chunk, token, pair = corrected(self._reading(), prefill_amounts(prompt, cached), seconds)
        return replace(self, chunk_s=chunk, token_s=token, pair_s=pair)

    def after_decode(self, rows: Sequence[int], cells: int, seconds: float) -> Speed:
        """Corrected by decoding that took `seconds`: the rows of each step, and the mean number of tokens cached."""
        counts = np.asarray(rows, dtype=np.float64)
        amounts = (*_hats(counts).sum(axis=0), float(counts.sum()) * cells)
        *steps, cell = corrected((*self.step_s, self.cell_s), amounts, seconds)
        return replace(self, step_s=tuple(steps), cell_s=cell)

    def towards(self, other: Speed, part: float = _RELAX) -> Speed:
        """This speed, gone `part` of the way (in logarithms) to another."""
        ours, theirs = np.array(self.parts()), np.array(other.parts())
        return Speed.of(np.exp((1 - part) * np.log(ours) + part * np.log(theirs)).tolist())

    def scaled(self, factor: float) -> Speed:
        """This speed with everything `factor` times as slow."""
        return Speed.of([factor * part for part in self.parts()])

    def parts(self) -> list[float]:
        """All parameters in the order of the fields."""
        return [self.chunk_s, self.token_s, self.pair_s, *self.step_s, self.cell_s]

    @classmethod
    def of(cls, parts: Sequence[float]) -> Speed:
        """The reverse of `parts`."""
        chunk, token, pair, *steps, cell = parts
        return cls(chunk, token, pair, tuple(steps), cell)

    def _reading(self) -> tuple[float, float, float]:
        return self.chunk_s, self.token_s, self.pair_s


def prefill_amounts(prompt: int, cached: int) -> tuple[float, float, float]:
    """Chunks, tokens and pairs of tokens that reading a prompt computes."""
    new = max(0, prompt - cached)
    return float(-(-new // CHUNK)), float(new), new * (prompt + cached) / 2


def corrected(parts: Sequence[float], amounts: Sequence[float], seconds: float) -> tuple[float, ...]:
    """`parts` after a call that computed `amounts` of them took `seconds`.

    A large error scales all parts alike: the machine changed. A usual one goes to the parts that made up the call, so
    that calls of different shapes tell the parts from one another (a normalized gradient step in relative units).
    """
    values, counts = np.asarray(parts, dtype=np.float64), np.asarray(amounts, dtype=np.float64)
    predicted = float(values @ counts)
    if not (predicted > 0 and seconds > 0):
        return tuple(parts)
    ratio = min(max(seconds / predicted, 1 / _WILDEST), _WILDEST)
    if abs(log(ratio)) > _SURPRISE:
        return tuple((values * ratio**_FAST).tolist())
    share = values * counts / predicted
    moved = 1 + share / float(share @ share) * (ratio**_SLOW - 1)
    return tuple((values * np.clip(moved, 0.5, 2.0)).tolist())


def _hats(rows: Floats) -> Floats:
    """Weights of the KNOTS, (..., KNOTS), whose weighted sum interpolates linearly; the last segment goes on."""
    knots = np.array(KNOTS, dtype=np.float64)
    counts = np.maximum(np.asarray(rows, dtype=np.float64), 1.0)
    left = np.clip(np.searchsorted(knots, counts, side="right") - 1, 0, len(knots) - 2)
    right_weight = (counts - knots[left]) / (knots[left + 1] - knots[left])
    weights = np.zeros((*counts.shape, len(knots)))
    np.put_along_axis(weights, left[..., None], (1 - right_weight)[..., None], axis=-1)
    np.put_along_axis(weights, (left + 1)[..., None], right_weight[..., None], axis=-1)
    return weights


@dataclass(frozen=True)
class Lengths:
    """How long this policy's candidates become, and how much they share.

    Lengths are relative to a usual one: the longest that the user's own texts call for, or the longest allowed where
    that is shorter. A limit far above it says nothing about how long answers become.
    """

    weights: tuple[float, ...] = tuple([0.6 / BINS] * BINS + [0.4])
    """Share of candidates in each of BINS equal parts, and of those that reach the usual length; sums to 1."""
    sharing: float = 0.08
    """Rows of a step are its candidates to the power 1 - sharing, since equal beginnings are computed once."""

    def alive(self, longest: int, usual: int | None = None) -> Floats:
        """(longest,): share of candidates that go on after 1, 2, ... `longest` tokens; the last is 0.

        Of those that reach the usual length (None: the longest), half are taken to end within another one.
        """
        scale = min(longest, usual or longest)
        done = np.concatenate([[0.0], np.cumsum(self.weights[:-1])])
        places = np.arange(1, longest + 1) / scale
        share = (1 - np.interp(places * BINS, np.arange(BINS + 1), done)) * 0.5 ** np.maximum(places - 1, 0.0)
        share[-1] = 0.0
        return np.asarray(np.clip(share, 0.0, 1.0), dtype=np.float64)

    def mean(self, longest: int) -> float:
        """Expected tokens of a candidate, at least 1."""
        return 1.0 + float(self.alive(longest)[:-1].sum())

    def after(self, tokens: Sequence[int], cut: Sequence[bool], usual: int, rows: int, n: int) -> Lengths:
        """With one call's candidates counted: their tokens, whether each was cut before its end, and the rows in all.

        `usual` is the length that theirs are relative to.

        One that was cut counts as the longer ones are distributed.
        """
        if not tokens:
            return self
        known = np.array(self.weights)
        seen = np.zeros(BINS + 1)
        for count, early in zip(tokens, cut, strict=True):
            place = BINS if count >= usual else min(BINS - 1, count * BINS // usual)
            if early:
                beyond = known[place:] + 1e-9
                seen[place:] += beyond / beyond.sum()
            else:
                seen[place] += 1
        weight = len(tokens) / (len(tokens) + 24)
        mixed = (1 - weight) * known + weight * seen / len(tokens)
        sharing = self.sharing
        drawn = sum(tokens) - len(tokens)  # the last token of each is not computed
        if n > 1 and 0 < rows <= drawn:
            sharing += 0.2 * (min(0.9, -log(rows / drawn) / log(n)) - sharing)
        return Lengths(tuple((mixed / mixed.sum()).tolist()), sharing)


def decode_s(
    speed: Speed,
    lengths: Lengths,
    counts: npt.NDArray[np.int64],
    prompt: int,
    longest: int,
    *,
    usual: int | None = None,
) -> Floats:
    """Expected seconds, (counts,), to draw so many candidates of at most `longest` tokens together.

    A step happens while any candidate goes on: 1 - (1 - alive)^n of the time, with n alive / that many rows.
    """
    stride = -(-longest // _LONGEST_GRID)
    alive = lengths.alive(longest, usual)[::stride]
    n = counts.astype(np.float64)[:, None]
    happens = 1 - (1 - alive) ** n
    rows = np.maximum(1.0, n * alive / np.maximum(happens, 1e-9)) ** (1 - lengths.sharing)
    cells = prompt + np.cumsum(rows * happens, axis=1) * stride
    return np.asarray((happens * (speed.rows_s(rows) + speed.cell_s * rows * cells)).sum(axis=1) * stride)


def fit(chunks: Sequence[tuple[int, int, float]], steps: Sequence[tuple[int, int, float]]) -> Speed:
    """The speed that explains what was timed best (budget.timed): least relative squares, every part above 0."""
    reading = np.array([prefill_amounts(context + tokens, context) for tokens, context, _ in chunks])
    chunk, token, pair = _positive(reading, np.array([seconds for *_, seconds in chunks]))
    rows = np.array([count for count, _, _ in steps], dtype=np.float64)
    cells = np.array([cached for _, cached, _ in steps], dtype=np.float64)
    seconds = np.array([seconds for *_, seconds in steps])
    base = int(cells.min())
    # What a cached token adds, from steps of equal rows with short and long caches; else as in reading a prompt.
    pairs = [
        (float(np.median(seconds[(rows == count) & (cells > base)])), count)
        for count in np.unique(rows)
        if (cells > base).any()
        and ((rows == count) & (cells > base)).any()
        and ((rows == count) & (cells == base)).any()
    ]
    slopes = [
        (far - float(np.median(seconds[(rows == count) & (cells == base)]))) / (count * (float(cells.max()) - base))
        for far, count in pairs
    ]
    cell = max(float(np.median(slopes)) if slopes else pair, 1e-12)
    bare = np.maximum(seconds - cell * rows * cells, 0.2 * seconds)
    measured = np.unique(rows)
    table = [float(np.median(bare[rows == count])) for count in measured]
    # A wider step never takes less than a narrower one, and beyond the measured widths the last slope goes on.
    table = np.maximum.accumulate(table).tolist()
    step = []
    for knot in KNOTS:
        if knot <= measured[-1] or len(measured) == 1:
            step.append(float(np.interp(knot, measured, table)))
        else:
            slope = (table[-1] - table[-2]) / float(measured[-1] - measured[-2])
            step.append(table[-1] + max(slope, 0.25 * table[-1] / float(measured[-1])) * float(knot - measured[-1]))
    return Speed(chunk, token, pair, tuple(step), cell)


def _positive(amounts: Floats, seconds: Floats) -> tuple[float, float, float]:
    """Least squares in relative errors with parts above 0: those that would fall below are set small one by one."""
    least = np.array([1e-6, 1e-7, 1e-11])
    rows, target = amounts / seconds[:, None], np.ones(len(seconds))
    free = [True, True, len(seconds) > 2]
    while True:
        keep = np.flatnonzero(free)
        if not len(keep):
            break
        found = np.linalg.lstsq(rows[:, keep], target, rcond=None)[0]
        if (found > least[keep]).all():
            least[keep] = found
            break
        free[int(keep[int(np.argmin(found))])] = False
    return float(least[0]), float(least[1]), float(least[2])
