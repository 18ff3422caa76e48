"""From rows of logits to their few most probable tokens: the only passes over the whole vocabulary. Pure numpy."""

from __future__ import annotations

import math
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
_CONTIGUOUS_FROM = 128 * _BLOCKS  # from this vocabulary on, strided pieces miss the processor's caches
_EXP_SAFE = 60.0  # below this, exp stays within float32
_WORTH_A_THREAD = 1 << 20  # logits from which a second thread pays
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
class Change:
    """What bias and penalties do to one row: logits[tokens] become values."""

    tokens: Integers
    values: Doubles


class Scanner:
    """Finds shortlists. Keeps its buffers, and shares the rows between threads where `pool` is given."""

    def __init__(self, pool: Executor | None = None) -> None:
        self._pool = pool
        self._scratch: list[Floats] = []  # one per thread; fresh pages would cost more than the sum

    def scan(
        self,
        logits: Floats,
        keep: int,
        *,
        floor: float = -np.inf,
        changes: Sequence[Change] | None = None,
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
        parts = 2 if self._pool is not None and rows > 1 and logits.size >= _WORTH_A_THREAD else 1
        if len(self._scratch) < parts or len(self._scratch[0]) != vocabulary:
            self._scratch = [np.empty(vocabulary, dtype=np.float32) for _ in range(parts)]
        found: list[tuple[Integers, Doubles, Doubles]] = [(_NONE, _NOTHING, _NOTHING)] * rows
        log_normalizer = np.empty(rows)

        def work(part: int) -> None:
            for index in range(part, rows, parts):
                row = _Row(logits[index])
                log_normalizer[index] = row.log_normalizer(self._scratch[part])
                change = changes[index] if changes is not None else None
                if allowed is not None:
                    found[index] = _constrained(row, keep, change, allowed[index], negligible)
                elif change is not None:
                    found[index] = _changed(row, keep, change)
                else:
                    ids, values = row.best(keep, floor)
                    found[index] = (ids, values, values)

        if parts == 1:
            work(0)
        else:
            assert self._pool is not None
            other = self._pool.submit(work, 1)
            work(0)
            other.result()
        if rows == 1:
            ids, changed, plain = found[0]
            return Shortlist(ids[None], changed[None], plain[None], log_normalizer)
        width = max(len(ids) for ids, _, _ in found)
        tokens = np.zeros((rows, width), dtype=np.int64)
        values = np.full((rows, width), -np.inf)
        raw = values if changes is None else values.copy()
        for index, (ids, changed, plain) in enumerate(found):
            tokens[index, : len(ids)] = ids
            values[index, : len(ids)] = changed
            if raw is not values:
                raw[index, : len(ids)] = plain
        return Shortlist(tokens, values, raw, log_normalizer)


_NONE = np.zeros(0, dtype=np.int64)
_NOTHING = np.zeros(0)


class _Row:
    """One row of logits, cut into blocks whose maxima tell where the large logits are."""

    def __init__(self, logits: Floats) -> None:
        self.logits = logits
        vocabulary = len(logits)
        self._contiguous = vocabulary >= _CONTIGUOUS_FROM
        self._blocks = min(_BLOCKS // 2 if self._contiguous else _BLOCKS, vocabulary)
        self._size = vocabulary // self._blocks
        self._whole = self._size * self._blocks
        if self._contiguous:
            self._maxima = np.maximum.reduceat(logits[: self._whole], np.arange(0, self._whole, self._size))
        else:
            self._maxima = logits[: self._whole].reshape(self._size, self._blocks).max(axis=0)
        self.top = float(self._maxima.max())
        if self._whole < vocabulary:
            self.top = max(self.top, float(logits[self._whole :].max()))

    def log_normalizer(self, scratch: Floats) -> float:
        """log sum exp of the row."""
        shift = 0.0 if abs(self.top) < _EXP_SAFE else self.top  # the usual case saves a pass over the vocabulary
        row = self.logits if shift == 0.0 else np.subtract(self.logits, np.float32(shift), out=scratch)
        return shift + math.log(np.add.reduce(np.exp(row, out=scratch)))

    def best(self, keep: int, floor: float) -> tuple[Integers, Doubles]:
        """Ids and logits of the `keep` largest logits not more than -`floor` below the top, best first."""
        if keep == 1:
            ids = np.array([self.logits.argmax()])
            return ids, self.logits[ids].astype(np.float64)
        bound = self.top + floor
        if keep < self._blocks:
            # The keep-th largest of the blocks' maxima is a lower bound of the keep-th largest logit.
            bound = max(bound, float(np.partition(self._maxima, -keep)[-keep]))
        elif bound == -np.inf and keep < len(self.logits):
            bound = float(np.partition(self.logits, -keep)[-keep])
        ids = self._from(bound)
        values = self.logits[ids].astype(np.float64)
        order = np.lexsort((ids, -values))[:keep]
        return ids[order], values[order]

    def _from(self, bound: float) -> Integers:
        """Ids of all tokens from `bound` on."""
        # The bound is a 32-bit number or compared as a 64-bit one: numpy must not round it to 32 bits.
        at_least = np.float64(bound)
        hot = np.flatnonzero(self._maxima >= at_least) if self._contiguous else None
        if hot is None or 2 * len(hot) > self._blocks:
            return np.flatnonzero(self.logits >= at_least)
        part = self.logits[: self._whole].reshape(self._blocks, self._size)[hot]
        at = np.flatnonzero(part >= at_least)
        ids = hot[at // self._size] * self._size + at % self._size
        if self._whole == len(self.logits):
            return ids
        return np.concatenate([ids, np.flatnonzero(self.logits[self._whole :] >= at_least) + self._whole])


def _changed(row: _Row, keep: int, change: Change) -> tuple[Integers, Doubles, Doubles]:
    """Ids, changed logits and logits of the `keep` largest changed logits, best first."""
    # A token that was not changed can be among the best only if few unchanged ones are before it.
    ids, _ = row.best(min(keep + len(change.tokens), len(row.logits)), -np.inf)
    ids = np.union1d(ids, change.tokens)
    raw = row.logits[ids].astype(np.float64)
    values = raw.copy()
    values[np.searchsorted(ids, change.tokens)] = change.values
    order = np.lexsort((ids, -values))[:keep]
    order = order[values[order] > -np.inf]
    return ids[order], values[order], raw[order]


def _constrained(
    row: _Row, keep: int, change: Change | None, allowed: Allowed, negligible: float
) -> tuple[Integers, Doubles, Doubles]:
    """As `_changed`, of the tokens that a grammar allows. The grammar sees the whole vocabulary only if it must."""
    vocabulary = len(row.logits)
    kept = np.zeros(0, dtype=np.int64)
    ids, values, raw = kept, np.zeros(0), np.zeros(0)
    for width in (*_GRAMMAR_WIDTHS, vocabulary):
        if width < min(keep, vocabulary):
            continue
        if change is not None:
            ids, values, raw = _changed(row, min(width, vocabulary), change)
        else:
            ids, values = row.best(min(width, vocabulary), -np.inf)
            raw = values
        kept = np.flatnonzero(allowed(ids) & (values > -np.inf))
        if width >= vocabulary or len(kept) >= keep:
            break
        if len(kept) and values[-1] < values[kept[0]] + negligible:
            break  # the others could only be dropped again
    kept = kept[:keep]
    return ids[kept], values[kept], raw[kept]
