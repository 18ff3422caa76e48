"""Draws one token per candidate from the logits of a batch: pure numpy, knows no model.

The filters are llama.cpp's, in its order: bias, penalties, top-k, typical, top-p, min-p (all at temperature 1), then
the temperature. Candidates of one row share the work on that row's logits; each draws with its own random stream, so
what a candidate says does not depend on which others run beside it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.policy.shortlist import Allowed, Doubles, Floats, Integers, LogitChange, Scanner, Shortlist
from edge_ttp.schema import Sampling

_BELOW_ONE = 1 - 2.0**-50  # times any total, it rounds to less than the total
_DRAWS_AHEAD = 256  # random numbers made at once for every stream


@dataclass(frozen=True)
class Draw:
    """Tokens drawn and their log-probabilities under the unmodified distribution, one per candidate."""

    tokens: Integers
    logprobs: Doubles


class Sampler:
    """Random streams for a set of candidates and the filters they share.

    `logit_bias`: (token, what is added to its logit); -inf bans.

    `seeds` holds one seed per candidate; the t-th draw of a candidate uses the t-th number of its own stream. `pool`
    lends a second thread for large vocabularies.
    """

    def __init__(
        self,
        sampling: Sampling,
        seeds: Sequence[int],
        max_draws: int,
        *,
        logit_bias: Sequence[tuple[int, float]] = (),
        pool: Executor | None = None,
    ) -> None:
        self._sampling = sampling
        self._bias = dict(logit_bias)
        self._streams = [np.random.default_rng(seed) for seed in seeds]
        self._uniform = np.empty((len(seeds), 0))
        self._max_draws = max_draws
        self._scanner = Scanner(pool)
        cycle = sampling.temperatures or (sampling.temperature,)
        self._temperature = np.array([cycle[index % len(cycle)] for index in range(len(seeds))])

    def draw(
        self,
        logits: Floats,
        row_of: Integers,
        candidates: Integers,
        step: int,
        *,
        drawn: Sequence[Sequence[int]] | None = None,
        allowed: Sequence[Allowed] | None = None,
    ) -> Draw:
        """One token for each of `candidates` (indices into the seeds); row_of[i] is candidate i's row of `logits`.

        `logits` (rows, vocabulary) is only read. `step` counts the draws from 0. `drawn` holds the tokens that each
        row's candidates drew before (for penalties), `allowed` each row's grammar. Raises InvalidInput where a
        grammar or a bias leaves no token, ModelUnavailable where logits are no numbers.
        """
        shortlist, whole = self._scan(logits, drawn, allowed)
        if not math.isfinite(shortlist.log_normalizer.sum()):
            raise ModelUnavailable("the model computed logits that are no numbers", "check it: edge-ttp models verify")
        if shortlist.values.shape[1] == 0 or shortlist.values[:, 0].min() == -np.inf:
            raise InvalidInput("grammar and bias leave no token that can follow", "allow more")
        if self._sampling.greedy:
            picked = np.zeros(len(row_of), dtype=np.int64)
        else:
            picked = self._pick(shortlist, whole, row_of, candidates, step)
        chosen = shortlist.raw[row_of, picked]
        return Draw(tokens=shortlist.tokens[row_of, picked], logprobs=chosen - shortlist.log_normalizer[row_of])

    def _scan(
        self, logits: Floats, drawn: Sequence[Sequence[int]] | None, allowed: Sequence[Allowed] | None
    ) -> tuple[Shortlist, bool]:
        """The tokens that may be drawn, and whether top-p may count among them alone."""
        sampling = self._sampling
        vocabulary = logits.shape[1]
        keep = 1 if sampling.greedy else min(sampling.top_k or vocabulary, vocabulary)
        changes = None
        if self._bias or (sampling.penalizes and drawn is not None):
            changes = [self._change(row, drawn[index] if drawn else ()) for index, row in enumerate(logits)]
        dropped = math.log(sampling.min_p) if sampling.min_p > 0 and sampling.typical_p == 1 else -math.inf
        # Without top-k, tokens that min-p will drop need not be sorted; typical has to see them.
        early = sampling.top_k == 0 and dropped > -math.inf and changes is None and allowed is None
        shortlist = self._scanner.scan(
            logits,
            keep,
            floor=dropped if early else -math.inf,
            changes=changes,
            allowed=allowed,
            negligible=dropped,
        )
        return shortlist, not early

    def _change(self, row: Floats, drawn: Sequence[int]) -> LogitChange:
        """What bias and penalties make of the logits of `row`; the formulas are llama.cpp's."""
        sampling = self._sampling
        bias = self._bias
        counts = Counter(drawn[-sampling.penalty_window :] if sampling.penalty_window else drawn)
        tokens = sorted({*bias, *(counts if sampling.penalizes else ())})
        if tokens and tokens[-1] >= len(row):
            raise InvalidInput(f"the model has no token {tokens[-1]}", f"its ids end at {len(row) - 1}")
        ids = np.array(tokens, dtype=np.int64)
        values = row[ids].astype(np.float64) + [bias.get(token, 0.0) for token in tokens]
        count = np.array([counts[token] for token in tokens]) if sampling.penalizes else np.zeros(len(tokens))
        scaled = np.where(values > 0, values / sampling.repetition_penalty, values * sampling.repetition_penalty)
        values = np.where(count > 0, scaled, values)
        values = values - count * sampling.frequency_penalty - (count > 0) * sampling.presence_penalty
        return LogitChange(ids, values)

    def _pick(self, shortlist: Shortlist, whole: bool, row_of: Integers, candidates: Integers, step: int) -> Integers:
        """Index into the shortlist for each candidate, by the inverse of the cumulative distribution."""
        relative = shortlist.values - shortlist.values[:, :1]
        kept = self._filter(shortlist, relative, whole)
        if self._sampling.temperatures:
            temperature = self._temperature[candidates]
            relative, kept = relative[row_of], kept[row_of]
            weights = np.exp(relative / np.where(temperature > 0, temperature, 1.0)[:, None]) * kept
            cumulative = np.cumsum(weights, axis=1)
        else:
            weights = np.exp(relative * (1 / self._sampling.temperature)) * kept
            cumulative = np.cumsum(weights, axis=1)[row_of]
        u = self._draws(step)[candidates] * cumulative[:, -1]
        picked = (cumulative <= u[:, None]).sum(axis=1)
        return np.where(temperature > 0, picked, 0) if self._sampling.temperatures else picked

    def _filter(self, shortlist: Shortlist, relative: Doubles, whole: bool) -> npt.NDArray[np.bool_]:
        """Which tokens (rows, k) typical, top-p and min-p keep; `relative` are logits from each row's best down.

        Each filter counts probability among what the one before it left; where that is not all in the shortlist
        (`whole` False), top-p counts the whole vocabulary.
        """
        sampling = self._sampling
        plain = np.exp(relative)
        kept: npt.NDArray[np.bool_]
        if sampling.typical_p < 1:
            plain = plain * _typical(plain, relative, sampling.typical_p)
            kept = np.logical_and(plain > 0, plain >= sampling.min_p * plain.max(axis=1, keepdims=True))
        else:
            kept = plain >= sampling.min_p if sampling.min_p > 0 else plain > 0
        if sampling.top_p < 1:
            through = np.cumsum(plain, axis=1)
            total = through[:, -1:]
            if not whole:
                total = np.maximum(total, np.exp(shortlist.log_normalizer - shortlist.raw[:, 0])[:, None])
            kept = kept & (through - plain < sampling.top_p * total)
        return kept

    def _draws(self, step: int) -> Doubles:
        """The step-th number of every stream (candidates,)."""
        while step >= self._uniform.shape[1]:
            more = min(_DRAWS_AHEAD, self._max_draws - self._uniform.shape[1])
            new = np.stack([stream.random(more) for stream in self._streams])
            self._uniform = np.hstack([self._uniform, np.minimum(new, _BELOW_ONE)])
        return self._uniform[:, step]


def _typical(plain: Doubles, relative: Doubles, typical_p: float) -> npt.NDArray[np.bool_]:
    """Which tokens (rows, k) have the surprise nearest to the entropy, until their probability exceeds typical_p."""
    probability = plain / plain.sum(axis=1, keepdims=True)
    surprise = np.log(plain.sum(axis=1, keepdims=True)) - relative
    entropy = np.sum(probability * np.where(plain > 0, surprise, 0.0), axis=1, keepdims=True)
    order = np.argsort(np.abs(surprise - entropy), axis=1, kind="stable")
    ordered = np.take_along_axis(probability, order, axis=1)
    kept = np.zeros(plain.shape, dtype=bool)
    np.put_along_axis(kept, order, np.cumsum(ordered, axis=1) - ordered <= typical_p, axis=1)
    return kept & (plain > 0)
