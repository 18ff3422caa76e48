"""Numbers that describe one candidate beside its pool, its input and its user. The same code trains and runs.

A table (N, len(FEATURES)): plain values, not standardized. Centring and scaling within the pool is the graph's work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from edge_ttp.reward.encoder import Vectors
from edge_ttp.reward.user_profile import Style, UserProfile, style
from edge_ttp.reward.utility import Tokens, agreement, coverage
from edge_ttp.schema import Candidate

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

Table = npt.NDArray[np.float32]
Columns = Mapping[str, npt.ArrayLike]


def feature_table(
    profile: UserProfile,
    source: Vectors,
    source_words: Tokens,
    candidates: Sequence[Candidate],
    *,
    words: Sequence[Tokens],
    vectors: Vectors,
) -> Table:
    """(N, F) features that do not depend on the rest of the pool; those that do are 0.

    `source` is the input's vector (width,), `source_words` its tokens; `words` are the candidates' tokens and `vectors`
    (N, width) their vectors.
    """
    lengths = np.array([len(tokens) for tokens in words], dtype=np.float64)
    styles = [style(one.text, tokens) for one, tokens in zip(candidates, words, strict=True)]
    different = np.array([len(set(tokens)) for tokens in words])
    columns: dict[str, npt.ArrayLike] = {
        "input_cosine": vectors @ source,
        "input_coverage": coverage(words, source_words),
        "log_length": [one.log_length for one in styles],
        "logprob_per_token": [_per_token(one) for one in candidates],
        "repetition": np.where(lengths > 0, 1 - different / np.maximum(lengths, 1), 0.0),
    }
    if profile.items:
        columns |= _beside_the_user(profile, source, styles, words, vectors)
    return by_name(FEATURES, columns, len(candidates))


def _beside_the_user(
    profile: UserProfile, source: Vectors, styles: Sequence[Style], words: Sequence[Tokens], vectors: Vectors
) -> dict[str, npt.ArrayLike]:
    """The columns that compare candidates with what the user wrote."""
    cosines = vectors @ profile.outputs.T
    agreements = agreement(words, profile.recent)
    log_length = np.array([one.log_length for one in styles])
    gap = np.clip((log_length - profile.habit.log_length) / profile.length_spread, -5, 5)
    return {
        "user_cosine": cosines.mean(axis=1),
        "user_cosine_top": np.sort(cosines, axis=1)[:, -TOP:].mean(axis=1),
        "user_cosine_recalled": cosines @ profile.recall_weights(source),
        "user_agreement": agreements.mean(axis=1),
        "user_agreement_top": agreements.max(axis=1),
        "length_gap": gap,
        "length_gap_size": np.abs(gap),
        "capitals_gap": np.abs([one.capitals - profile.habit.capitals for one in styles]),
        "full_stop_gap": np.abs([one.full_stop - profile.habit.full_stop for one in styles]),
    }


def by_name(names: Sequence[str], columns: Columns, rows: int) -> Table:
    """(rows, len(names)) the columns in the order of `names`, 0 where none is given. KeyError for a foreign one."""
    table = np.zeros((rows, len(names)), dtype=np.float64)
    places = {name: place for place, name in enumerate(names)}
    for name, values in columns.items():
        table[:, places[name]] = values
    return table.astype(np.float32)


def with_pool(table: Table, similarity: npt.NDArray[np.float64], vectors: Vectors) -> Table:
    """`table` with its pool columns filled in, from the pool's (N, N) agreements and (N, width) vectors.

    Pass the rows of a smaller pool to see these candidates in it.
    """
    filled = table.copy()
    count = len(table)
    if count > 1:
        filled[:, FEATURES.index("consensus")] = (similarity.sum(axis=1) - np.diag(similarity)) / (count - 1)
        cosines = vectors @ vectors.T
        filled[:, FEATURES.index("consensus_cosine")] = (cosines.sum(axis=1) - np.diag(cosines)) / (count - 1)
    return filled


def context_vector(profile: UserProfile, source: Vectors, source_words: Tokens, candidates: int) -> Table:
    """(C,) what the query as a whole looks like."""
    values: dict[str, npt.ArrayLike] = {
        "log_candidates": math.log(candidates) / math.log(256),
        "log_history": math.log1p(profile.items) / math.log(65),
        "log_input": math.log1p(len(source_words)) / math.log(513),
    }
    if profile.items:
        values |= {
            "has_history": 1,
            "input_familiarity": (profile.inputs @ source).max(),
            "user_unity": _unity(profile.outputs),
            "user_log_length": profile.habit.log_length / math.log(513),
        }
    return by_name(CONTEXT, values, 1).reshape(-1)


def _unity(outputs: Vectors) -> float:
    """Mean cosine between different outputs, from the length of their sum; 0 for a single one."""
    count = len(outputs)
    if count < 2:
        return 0.0
    total = float(np.square(outputs.sum(axis=0)).sum())
    return (total - count) / (count * (count - 1))


def _per_token(candidate: Candidate) -> float:
    mean = candidate.logprob / candidate.tokens if candidate.tokens > 0 else 0.0
    return min(0.0, max(-20.0, mean)) if math.isfinite(mean) else -20.0
