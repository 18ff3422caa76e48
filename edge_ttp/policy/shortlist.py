"""From rows of logits to their few most probable tokens: the only passes over the whole vocabulary. Pure numpy."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Allowed = Callable[[Integers], npt.NDArray[np.bool_]]
"""Which of some tokens a grammar allows."""

_BLOCKS = 1024  # pieces a row is cut into to find a lower bound of its k-th largest logit
_LARGE = 128 * _BLOCKS  # from this vocabulary on, strided pieces miss the processor's caches
_GROUP = 1 << 18  # logits looked at together: as many rows as the caches hold for several passes
_LEAST_SUM = 1e-20  # of exponentials; below, 32 bits grow coarse
_WORTH_A_THREAD = 1 << 18  # logits from which a second thread may pay
_RETRY = 16  # calls after which the way that was slower is tried again
_NEWEST = 0.3  # weight of the newest call in a running average
_GRAMMAR_WIDTHS = (512, 8192)  # most probable tokens that a grammar is asked about before the whole vocabulary


@dataclass(frozen=True)
class Shortlist:
    """The most probable tokens of each row, best first by `values`; shorter rows are padded with -inf."""

    tokens: Integers
    """Ids (rows, k)."""
    values: Doubles
    """Logits after bias and penalties (rows, k)."""
    raw: Doubles
    """Logits of the model (rows, k)."""
    log_normalizer: Doubles
    """log sum exp of the model's logits over the whole vocabulary (rows,): turns a logit into a log-probability."""


@dataclass(frozen=True)
class LogitChange:
    """What bias and penalties do to one row: logits[tokens] become values."""

    tokens: Integers
    values: Doubles


class Scanner:
    """Finds shortlists. Keeps its buffers, and shares the rows between threads where `pool` is given."""

    def __init__(self, pool: Executor | None = None) -> None:
        self._pool = pool
        self._pace = {False: 0.0, True: 0.0}  # seconds for a logit lately, alone and with the second thread
        self._calls = 0
        self._scratch: list[Floats] = []  # one per thread; fresh pages would cost more than the sum

    def scan(
        self,
        logits: Floats,
        keep: int,
        *,
        floor: float = -np.inf,
        changes: Sequence[LogitChange] | None = None,
        allowed: Sequence[Allowed] | None = None,
        negligible: float = -np.inf,
    ) -> Shortlist:
        """The `keep` tokens of each row of `logits` (rows, vocabulary) with the largest changed logits.

        `floor` also leaves out tokens this far below the row's best (not with changes or a grammar). `changes` and
        `allowed` hold one entry per row; tokens that are not allowed are left out before the best are taken, and those
        `negligible` below the best one allowed need not be found. Equal logits are ordered by token id, so that
        nothing depends on the sort.
        """
        rows, vocabulary = logits.shape
        large = self._pool is not None and rows > 1 and logits.size >= _WORTH_A_THREAD
        helped = large and self._wants_help()
        started = time.perf_counter()
        size = max(1, min(_GROUP // vocabulary, -(-rows // 2) if helped else rows))
        groups = [logits[start : start + size] for start in range(0, rows, size)]
        normalizers: list[Doubles] = [np.empty(0)] * len(groups)
        parts: list[_Best] = []
        plain = changes is None and allowed is None
        if plain:
            parts = [_NOTHING] * len(groups)

        def look_at(index: int, scratch: Floats) -> Floats:
            group = groups[index]
            if plain:  # first, while it brings the logits into the caches
                tokens, values = _Group(group).best(keep, floor)
                parts[index] = (tokens, values, values)
            if scratch.shape[0] < len(group) or scratch.shape[1] != vocabulary:
                scratch = np.empty(group.shape, dtype=np.float32)
            normalizers[index] = _log_sum_exp(group, scratch[: len(group)])
            return scratch

        shared = _SharedRows(len(groups), look_at, self._scratch)
        beside = self._pool.submit(shared.work) if self._pool is not None and helped else None
        if not plain:
            for row in range(rows):
                change = changes[row] if changes is not None else _UNCHANGED
                if allowed is not None:
                    parts.append(_constrained(logits[row], keep, change, allowed[row], negligible))
                else:
                    parts.append(_changed(logits[row], keep, change))
        shared.work()
        if beside is not None:
            beside.result()
        if large:
            pace, old = (time.perf_counter() - started) / logits.size, self._pace[helped]
            self._pace[helped] = old + _NEWEST * (pace - old) if old else pace
        return Shortlist(*_stack(parts), log_normalizer=np.concatenate(normalizers))

    def _wants_help(self) -> bool:
        """Whether the second thread was faster lately: on a busy machine waiting for it costs more than it does."""
        self._calls += 1
        faster = self._pace[True] < self._pace[False]
        return not faster if self._calls % _RETRY == 0 else faster


class _SharedRows:
    """Groups of rows looked at by as many threads as call `work`, each with a buffer of its own."""

    def __init__(self, count: int, look_at: Callable[[int, Floats], Floats], scratch: list[Floats]) -> None:
        """`look_at` takes a group's number and a buffer, and returns the buffer or a larger one."""
        self._left = deque(range(count))
        self._look_at, self._scratch = look_at, scratch

    def work(self) -> None:
        """Takes groups until none is left."""
        try:
            scratch = self._scratch.pop()  # reused: fresh pages would cost more than the sum
        except IndexError:
            scratch = np.empty((0, 0), dtype=np.float32)
        while True:
            try:
                index = self._left.popleft()
            except IndexError:
                break
            scratch = self._look_at(index, scratch)
        self._scratch.append(scratch)


def _log_sum_exp(logits: Floats, scratch: Floats) -> Doubles:
    """log sum exp of every row (rows,), in one pass where 32 bits hold the sum."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        total = _row_sums(np.exp(logits, out=scratch))
        fits = (total > _LEAST_SUM) & (total < np.inf)
        shift = np.zeros(len(logits), dtype=np.float32)
        for row in np.flatnonzero(~fits):
            shift[row] = logits[row].max()
            total[row] = np.exp(logits[row] - shift[row]).sum()
        return np.asarray(shift + np.log(total, dtype=np.float64))


def _row_sums(values: Floats) -> Floats:
    """Sum of every row (rows,): across pieces first, which is twice as fast as along the row and as exact."""
    rows, width = values.shape
    whole = width - width % _BLOCKS
    pieces = np.add.reduce(values[:, :whole].reshape(rows, -1, _BLOCKS), axis=1)
    return np.asarray(np.add.reduce(pieces, axis=1) + np.add.reduce(values[:, whole:], axis=1))


_Best = tuple[Integers, Doubles, Doubles]
"""Ids, changed logits and logits (rows, k) of the best tokens of some rows, best first."""
_NOTHING: _Best = (np.zeros((0, 0), dtype=np.int64), np.zeros((0, 0)), np.zeros((0, 0)))


def _stack(parts: Sequence[_Best]) -> _Best:
    """All rows in one table, padded to one width."""
    if len(parts) == 1:
        return parts[0]
    rows, width = sum(len(part[0]) for part in parts), max(part[0].shape[1] for part in parts)
    tokens = np.zeros((rows, width), dtype=np.int64)
    values = np.full((rows, width), -np.inf)
    same = all(changed is plain for _, changed, plain in parts)
    raw = values if same else values.copy()
    row = 0
    for ids, changed, plain in parts:
        count, columns = ids.shape
        tokens[row : row + count, :columns] = ids
        values[row : row + count, :columns] = changed
        if not same:
            raw[row : row + count, :columns] = plain
        row += count
    return tokens, values, raw


class _Group:
    """A few rows of logits, cut into blocks whose maxima tell where the large logits are.

    What comes out for a row does not depend on the other rows.
    """

    def __init__(self, logits: Floats) -> None:
        self._logits = logits
        rows, vocabulary = logits.shape
        self._contiguous = vocabulary >= _LARGE
        self._blocks = min(_BLOCKS // 2 if self._contiguous else _BLOCKS, vocabulary)
        self._size = vocabulary // self._blocks
        self._whole = self._size * self._blocks
        if self._contiguous:
            starts = np.arange(0, self._whole, self._size)
            self._maxima = np.maximum.reduceat(logits[:, : self._whole], starts, axis=1)
        else:
            self._maxima = logits[:, : self._whole].reshape(rows, self._size, self._blocks).max(axis=1)
        self._top = self._maxima.max(axis=1)
        if self._whole < vocabulary:
            self._top = np.maximum(self._top, logits[:, self._whole :].max(axis=1))

    def best(self, keep: int, floor: float) -> tuple[Integers, Doubles]:
        """Ids and logits (rows, k) of the `keep` largest logits not more than -`floor` below the top, best first."""
        rows, vocabulary = self._logits.shape
        if keep == 1:
            ids = self._logits.argmax(axis=1)[:, None]
            return ids, np.take_along_axis(self._logits, ids, axis=1).astype(np.float64)
        bound = self._top.astype(np.float64) + floor
        if keep < self._blocks:
            # The keep-th largest of the blocks' maxima is a lower bound of the keep-th largest logit.
            bound = np.maximum(bound, np.partition(self._maxima, -keep, axis=1)[:, -keep])
        elif keep < vocabulary:
            bound = np.maximum(bound, np.partition(self._logits, -keep, axis=1)[:, -keep])
        # In 32 bits, as the logits: comparing across widths would convert all of them. Rounded down, it stays a bound.
        at = self._from(np.nextafter(bound.astype(np.float32), np.float32(-np.inf)))
        row = at // vocabulary
        ids = at - row * vocabulary
        values = self._logits.reshape(-1)[at].astype(np.float64)
        order = np.lexsort((-values, row))  # stable: of equal logits the lower id comes first
        if rows == 1:
            order = order[:keep]
            return ids[order][None], values[order][None]
        counts = np.bincount(row, minlength=rows)
        place = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)
        kept = place < keep
        order, place = order[kept], place[kept]
        tokens = np.zeros((rows, min(keep, int(counts.max()))), dtype=np.int64)
        table = np.full(tokens.shape, -np.inf)
        row = row[order]
        tokens[row, place] = ids[order]
        table[row, place] = values[order]
        return tokens, table

    def _from(self, bound: Floats) -> Integers:
        """Places in the flattened rows of all logits from their row's `bound` on, rising."""
        rows, vocabulary = self._logits.shape
        if self._contiguous and rows == 1:
            hot = np.flatnonzero(self._maxima[0] >= bound)
            if 2 * len(hot) < self._blocks:
                part = self._logits[0, : self._whole].reshape(self._blocks, self._size)[hot]
                at = np.flatnonzero(part >= bound)
                at = np.asarray(hot[at // self._size] * self._size + at % self._size)
                if self._whole == vocabulary:
                    return at
                return np.concatenate([at, np.flatnonzero(self._logits[0, self._whole :] >= bound) + self._whole])
        return np.flatnonzero(self._logits >= bound[:, None])


_UNCHANGED = LogitChange(np.zeros(0, dtype=np.int64), np.zeros(0))


def _changed(logits: Floats, keep: int, change: LogitChange) -> _Best:
    """Ids, changed logits and logits (1, k) of the `keep` largest changed logits of one row, best first."""
    # A token that was not changed can be among the best only if few unchanged ones are before it.
    found, _ = _Group(logits[None]).best(min(keep + len(change.tokens), len(logits)), -np.inf)
    ids = np.union1d(found[0], change.tokens)
    raw = logits[ids].astype(np.float64)
    values = raw.copy()
    values[np.searchsorted(ids, change.tokens)] = change.values
    order = np.lexsort((ids, -values))[:keep]
    order = order[values[order] > -np.inf]
    return ids[None, order], values[None, order], raw[None, order]


def _constrained(logits: Floats, keep: int, change: LogitChange, allowed: Allowed, negligible: float) -> _Best:
    """As `_changed`, of the tokens that a grammar allows. The grammar sees the whole vocabulary only if it must."""
    vocabulary = len(logits)
    while_needed = [width for width in (*_GRAMMAR_WIDTHS, vocabulary) if min(keep, vocabulary) <= width]
    for width in while_needed:
        ids, values, raw = _changed(logits, min(width, vocabulary), change)
        kept = np.flatnonzero(allowed(ids[0]))
        if width >= vocabulary or len(kept) >= keep:
            break
        if len(kept) and values[0, -1] < values[0, kept[0]] + negligible:
            break  # the others could only be dropped again
    kept = kept[:keep]
    return ids[:, kept], values[:, kept], raw[:, kept]
