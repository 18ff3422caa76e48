"""Numbers that describe one candidate beside its pool, its input and its user. The same code trains and runs.

A table (N, len(FEATURES)): plain values, not standardized. Centring and scaling within the pool is the graph's work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.reward.encoder import Vectors
from edge_ttp.reward.user_profile import UserProfile, style
from edge_ttp.reward.utility import Tokens, agreement, coverage

FEATURES = (
    "consensus",  # mean agreement (ROUGE) with the other candidates
    "consensus_cosine",  # mean cosine with the other candidates
    "input_cosine",  # cosine with the input
    "input_coverage",  # share of the candidate's tokens that the input has
    "user_cosine",  # mean cosine with what the user wrote
    "user_cosine_top",  # mean of the 4 largest of these cosines
    "user_cosine_recalled",  # mean of these cosines, weighted by how close the item's input is to this input
    "user_agreement",  # mean agreement (ROUGE) with the user's newest outputs
    "user_agreement_top",  # the largest of these agreements
    "length_gap",  # log length against the user's habit, in their standard deviations
    "length_gap_size",  # its absolute value
    "capitals_gap",  # distance from the user's share of capitalized words
    "full_stop_gap",  # distance from the user's share of outputs ending in . ! ?
    "log_length",  # log(1 + tokens)
    "logprob_per_token",  # mean log-probability of its tokens under the policy
    "repetition",  # share of tokens that occurred before in the candidate
)
"""Columns of the feature table."""

CONTEXT = (
    "log_candidates",  # log N / log 256
    "log_history",  # log(1 + H) / log 65
    "has_history",  # 1 or 0
    "log_input",  # log(1 + tokens of the input) / log 513
    "input_familiarity",  # largest cosine of the input with the inputs of the history
    "user_unity",  # mean cosine among the user's outputs (1: always the same)
    "user_log_length",  # the user's mean log length / log 513
)
"""Entries of the context vector, one value per query."""

TOP = 4
_POOL_COLUMNS = 2

Table = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Drawn:
    """One candidate as the scorer takes it: its text's tokens, and what the policy says of it."""

    text: str
    words: Tokens
    tokens: int
    logprob: float


def feature_table(
    profile: UserProfile, source: Vectors, source_words: Tokens, drawn: Sequence[Drawn], vectors: Vectors
) -> Table:
    """(N, F) features that do not depend on the rest of the pool; the first two columns, which do, are 0.

    `source` is the input's vector (width,), `source_words` its tokens, `vectors` (N, width) the candidates' vectors.
    """
    table = np.zeros((len(drawn), len(FEATURES)), dtype=np.float64)
    words = [one.words for one in drawn]
    lengths = np.array([len(tokens) for tokens in words], dtype=np.float64)
    table[:, 2] = vectors @ source
    table[:, 3] = coverage(words, source_words)
    styles = [style(one.text, one.words) for one in drawn]
    log_length = np.array([one.log_length for one in styles])
    if profile.items:
        cosines = vectors @ profile.outputs.T
        table[:, 4] = cosines.mean(axis=1)
        table[:, 5] = np.sort(cosines, axis=1)[:, -TOP:].mean(axis=1)
        table[:, 6] = cosines @ profile.recall_weights(source)
        agreements = agreement(words, profile.recent)
        table[:, 7] = agreements.mean(axis=1)
        table[:, 8] = agreements.max(axis=1)
        table[:, 9] = np.clip((log_length - profile.habit.log_length) / profile.length_spread, -5, 5)
        table[:, 10] = np.abs(table[:, 9])
        table[:, 11] = np.abs([one.capitals - profile.habit.capitals for one in styles])
        table[:, 12] = np.abs([one.full_stop - profile.habit.full_stop for one in styles])
    table[:, 13] = log_length
    table[:, 14] = [_per_token(one) for one in drawn]
    table[:, 15] = 1 - np.array([len(set(tokens)) for tokens in words]) / np.maximum(lengths, 1)
    table[lengths == 0, 15] = 0
    return table.astype(np.float32)


def with_pool(table: Table, similarity: npt.NDArray[np.float64], vectors: Vectors) -> Table:
    """`table` with its two pool columns filled in, from the pool's (N, N) agreements and (N, width) vectors.

    Pass the rows of a smaller pool to see these candidates in it.
    """
    filled = table.copy()
    count = len(table)
    if count > 1:
        filled[:, 0] = (similarity.sum(axis=1) - np.diag(similarity)) / (count - 1)
        cosines = vectors @ vectors.T
        filled[:, 1] = (cosines.sum(axis=1) - np.diag(cosines)) / (count - 1)
    return filled


def context_vector(profile: UserProfile, source: Vectors, source_words: Tokens, candidates: int) -> Table:
    """(C,) what the query as a whole looks like."""
    values = np.zeros(len(CONTEXT), dtype=np.float32)
    values[0] = math.log(candidates) / math.log(256)
    values[1] = math.log1p(profile.items) / math.log(65)
    values[3] = math.log1p(len(source_words)) / math.log(513)
    if profile.items:
        values[2] = 1
        values[4] = float((profile.inputs @ source).max())
        values[5] = _unity(profile.outputs)
        values[6] = profile.habit.log_length / math.log(513)
    return values


def _unity(outputs: Vectors) -> float:
    """Mean cosine between different outputs, from the length of their sum; 0 for a single one."""
    count = len(outputs)
    if count < 2:
        return 0.0
    total = float(np.square(outputs.sum(axis=0)).sum())
    return (total - count) / (count * (count - 1))


def _per_token(one: Drawn) -> float:
    mean = one.logprob / one.tokens if one.tokens > 0 else 0.0
    return min(0.0, max(-20.0, mean)) if math.isfinite(mean) else -20.0
