"""Draws one token per candidate from the logits of a batch: pure numpy, knows no model.

The filters are llama.cpp's, in its order: top-k, top-p, min-p (all at temperature 1), then the temperature.
Candidates of one row share the work on that row's logits; each draws with its own random stream, so what a
candidate says does not depend on which others run beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import ModelUnavailable

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_BLOCKS = 1024  # pieces a row is cut into to find a lower bound of its k-th largest logit
_DRAWS_AHEAD = 256  # random numbers made at once for every stream
_EXP_SAFE = 60.0  # below this, exp stays within float32


@dataclass(frozen=True)
class Filters:
    """Which tokens may be drawn. Ranges and off-values as in schema.Sampling."""

    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    temperature: float = 0.8


@dataclass(frozen=True)
class Draw:
    """Tokens drawn and their log-probabilities under the unmodified distribution, one per candidate."""

    tokens: Integers
    logprobs: npt.NDArray[np.float64]


class Sampler:
    """Random streams for a set of candidates and the filters they share.

    `seeds` holds one seed per candidate; the t-th draw of a candidate uses the t-th number of its own stream.
    """

    def __init__(self, filters: Filters, seeds: Sequence[int], max_draws: int) -> None:
        self._filters = filters
        self._streams = [np.random.default_rng(seed) for seed in seeds]
        self._uniform = np.empty((len(seeds), 0))
        self._max_draws = max_draws
        self._scratch = np.empty(0, dtype=np.float32)

    def draw(self, logits: Floats, row_of: Integers, candidates: Integers, step: int) -> Draw:
        """One token for each of `candidates` (indices into the seeds); row_of[i] is candidate i's row of `logits`.

        `logits` (rows, vocabulary) is only read. `step` counts the draws from 0.
        """
        tokens, shortlist = self._shortlist(logits)
        log_normalizer = self._log_normalizer(logits)
        if not np.isfinite(log_normalizer).all():
            raise ModelUnavailable("the model computed logits that are no numbers", "check it: edge-ttp models verify")
        if self._filters.temperature == 0:
            picked = np.zeros(len(row_of), dtype=np.int64)
        else:
            cumulative = np.cumsum(self._probabilities(shortlist, log_normalizer), axis=1)
            total = cumulative[row_of, -1]
            u = np.minimum(self._draws(step)[candidates] * total, np.nextafter(total, 0))
            picked = (cumulative[row_of] <= u[:, None]).sum(axis=1)
        chosen = shortlist[row_of, picked].astype(np.float64)
        return Draw(tokens=tokens[row_of, picked], logprobs=chosen - log_normalizer[row_of])

    def _draws(self, step: int) -> npt.NDArray[np.float64]:
        """The step-th number of every stream (candidates,)."""
        while step >= self._uniform.shape[1]:
            more = min(_DRAWS_AHEAD, self._max_draws - self._uniform.shape[1])
            self._uniform = np.hstack([self._uniform, np.stack([stream.random(more) for stream in self._streams])])
        return self._uniform[:, step]

    def _shortlist(self, logits: Floats) -> tuple[Integers, Floats]:
        """Token ids and logits (rows, k) of the k most probable tokens of each row, best first.

        Rows with fewer than k (min-p) are padded with -inf.
        """
        rows, vocabulary = logits.shape
        keep = min(self._filters.top_k or vocabulary, vocabulary)
        if self._filters.temperature == 0:
            keep = 1
        found = [self._row_candidates(row, keep) for row in logits]
        width = min(keep, max(len(ids) for ids in found))
        tokens = np.zeros((rows, width), dtype=np.int64)
        values = np.full((rows, width), -np.inf, dtype=np.float32)
        for index, ids in enumerate(found):
            row_values = logits[index, ids]
            # Equal logits are ordered by token id, so that a draw never depends on the sort.
            order = np.lexsort((ids, -row_values))[:keep]
            tokens[index, : len(order)] = ids[order]
            values[index, : len(order)] = row_values[order]
        return tokens, values

    def _row_candidates(self, row: Floats, keep: int) -> Integers:
        """Ids of a superset of the `keep` largest logits of one row, in a single pass over the vocabulary.

        The keep-th largest of the blocks' maxima is a lower bound of the keep-th largest logit.
        """
        vocabulary = len(row)
        if keep < vocabulary:
            size = max(1, vocabulary // (_BLOCKS * max(1, keep // _BLOCKS + 1)))
            blocks = vocabulary // size
            maxima = row[: blocks * size].reshape(size, blocks).max(axis=0)
            bound = np.partition(maxima, blocks - keep)[blocks - keep] if blocks >= keep else -np.inf
            return np.flatnonzero(row >= bound)
        if self._filters.min_p > 0 and not self._filters.top_k:
            return np.flatnonzero(row >= row.max() + np.log(self._filters.min_p))
        return np.arange(vocabulary)

    def _probabilities(self, shortlist: Floats, log_normalizer: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Probabilities (rows, k) after top-p, min-p and temperature; filtered tokens have 0.

        Top-p counts the probability among the k of top-k; without top-k, among the whole vocabulary.
        """
        filters = self._filters
        relative = shortlist.astype(np.float64) - shortlist[:, :1]
        plain = np.exp(relative)
        kept = np.isfinite(relative)
        if filters.top_p < 1:
            total = plain.sum(axis=1) if filters.top_k else np.exp(log_normalizer - shortlist[:, 0])
            share = plain / total[:, None]
            kept &= np.cumsum(share, axis=1) - share < filters.top_p
        if filters.min_p > 0:
            kept &= plain >= filters.min_p
        kept[:, 0] = True
        probability = np.where(kept, np.exp(relative / filters.temperature), 0.0)
        return np.asarray(probability / probability.sum(axis=1, keepdims=True))

    def _log_normalizer(self, logits: Floats) -> npt.NDArray[np.float64]:
        """log sum exp of every row (rows,): what turns a logit into a log-probability."""
        rows, vocabulary = logits.shape
        if len(self._scratch) != vocabulary:
            self._scratch = np.empty(vocabulary, dtype=np.float32)  # reused: fresh pages cost more than the sum
        result = np.empty(rows, dtype=np.float64)
        for index in range(rows):
            top = float(logits[index].max())
            shift = 0.0 if abs(top) < _EXP_SAFE else top  # the usual case saves a pass over the vocabulary
            row = logits[index] if shift == 0.0 else np.subtract(logits[index], np.float32(shift), out=self._scratch)
            np.exp(row, out=self._scratch)
            result[index] = shift + np.log(float(self._scratch.sum()))
        return result
