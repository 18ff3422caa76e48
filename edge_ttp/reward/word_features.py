"""Which words would this user have used? What is known of every word that a pool's candidates use.

A small network in the reward model's graph turns each row into the chance that the word is in what the user would have
written. A candidate's expected agreement with that unseen text then is arithmetic: the sum of its words' chances. The
rows hold no word, only counts, so they mean the same in every language and for every subject.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.reward.encoder import Vectors
from edge_ttp.reward.features import Table, by_name
from edge_ttp.reward.user_profile import UserProfile
from edge_ttp.reward.utility import Tokens

WORD_FEATURES = (
    "in_input",  # 1 where the input has the word
    "input_count",  # log(1 + how often)
    "input_place",  # 1 at the input's first word, towards 0 at its last; 0 where it is not there
    "input_lead",  # 1 where it is among the input's first words
    "written_rate",  # share of the user's outputs that have it
    "written_log_rate",  # its smoothed logarithm / 5
    "recalled_rate",  # the same share, each output weighted by how close its input is to this input
    "answered_rate",  # share of the inputs in the user's history that have it
    "answered_log_rate",  # its smoothed logarithm / 5
    "copied_rate",  # of the items whose input has it: share whose output has it too, smoothed
    "digits",  # 1 for a number
    "letters",  # length of the word / 12, at most 1
    "affinity",  # to the input and the user (edge_ttp.reward.salience)
    "salience",  # of its places in the input; 0 where it is not there
    "log_input",  # log(1 + tokens of the input) / 5
    "log_history",  # log(1 + H) / 4
    "pool_rate",  # share of the other candidates that have it, for a candidate that does
    "pool_log_rate",  # log((candidates that have it - 0.5) / N) / 4
    "log_candidates",  # log N / 5
    "pool_length",  # log(1 + mean tokens of the candidates) / 4
    "user_length",  # log(1 + the user's usual tokens) / 4; without a history the pool's
)
"""Columns of a word's row. Those from `pool_rate` on depend on the pool."""

LEAD = 12

_at = WORD_FEATURES.index


@dataclass(frozen=True)
class PoolWords:
    """The W different words of a pool's candidates. W is at least 1: a row that no candidate has stands for no word."""

    table: Table
    """(W, K) rows of WORD_FEATURES, those that depend on the pool 0."""
    membership: Table
    """(N, W) 1 where the candidate has the word."""
    lengths: npt.NDArray[np.float64]
    """(N,) tokens of each candidate, repeated ones included."""

    def within(self, rows: Sequence[int]) -> tuple[Table, Table]:
        """(V, K) rows with all columns and (n, V) membership, were these candidates the whole pool.

        Words that none of them has are left out.
        """
        membership = self.membership[list(rows)]
        count = membership.sum(axis=0)
        used = np.flatnonzero(count)
        if len(used) == 0:
            used = np.array([0])
        count, membership = np.maximum(count[used], 1), membership[:, used]
        table = self.table[used].copy()
        size = len(membership)
        pool_length = math.log1p(float(self.lengths[list(rows)].mean())) / 4
        table[:, _at("pool_rate")] = (count - 1) / max(size - 1, 1)
        table[:, _at("pool_log_rate")] = np.log((count - 0.5) / size) / 4
        table[:, _at("log_candidates")] = math.log(size) / 5
        table[:, _at("pool_length")] = pool_length
        if not (table[:, _at("user_length")] > 0).any():
            table[:, _at("user_length")] = pool_length
        return table, membership


def pool_words(
    profile: UserProfile,
    source: Vectors,
    source_words: Tokens,
    candidates: Sequence[Tokens],
    salience: Callable[[Sequence[str]], Table],
) -> PoolWords:
    """What is known of the words of these candidates, each given by its tokens.

    `salience` gives the (W, 2) columns of edge_ttp.reward.salience for a list of words.
    """
    places: dict[str, int] = {}
    for tokens in candidates:
        for word in tokens:
            places.setdefault(word, len(places))
    names = list(places) or [""]
    membership = np.zeros((len(candidates), len(names)), np.float32)
    for row, tokens in enumerate(candidates):
        membership[row, [places[word] for word in tokens]] = 1
    affinity, prominence = salience(names).T
    columns: dict[str, npt.ArrayLike] = {
        **_in_source(names, source_words),
        **_in_history(names, profile, source),
        "digits": [word.isdigit() for word in names],
        "letters": [min(len(word), 12) / 12 for word in names],
        "affinity": affinity,
        "salience": prominence,
        "log_input": math.log1p(len(source_words)) / 5,
        "log_history": math.log1p(profile.items) / 4,
        "user_length": profile.habit.log_length / 4 if profile.items else 0.0,
    }
    table = by_name(WORD_FEATURES, columns, len(names))
    return PoolWords(table, membership, np.array([len(tokens) for tokens in candidates], dtype=np.float64))


def _in_source(names: Sequence[str], source: Tokens) -> dict[str, npt.ArrayLike]:
    """The columns that say where the input has each word."""
    counts = Counter(source)
    first: dict[str, int] = {}
    for place, word in enumerate(source):
        first.setdefault(word, place)
    places = [first.get(word) for word in names]
    return {
        "in_input": [place is not None for place in places],
        "input_count": [math.log1p(counts[word]) for word in names],
        "input_place": [0.0 if place is None else 1 - place / len(source) for place in places],
        "input_lead": [place is not None and place < LEAD for place in places],
    }


def _in_history(names: Sequence[str], profile: UserProfile, source: Vectors) -> dict[str, npt.ArrayLike]:
    """The columns that say how often the user writes each word, and is asked with it."""
    wanted = {word: row for row, word in enumerate(names)}
    weights = profile.recall_weights(source)
    written, recalled, answered, both = np.zeros((4, len(names)))
    for place, (outputs, inputs) in enumerate(zip(profile.written, profile.answered, strict=True)):
        rows = [wanted[word] for word in outputs if word in wanted]
        written[rows] += 1
        recalled[rows] += weights[place]
        answered[[wanted[word] for word in inputs if word in wanted]] += 1
        both[[wanted[word] for word in outputs & inputs if word in wanted]] += 1
    items = profile.items
    return {
        "written_rate": written / (items + 1),
        "written_log_rate": np.log((written + 0.5) / (items + 5)) / 5,
        "recalled_rate": recalled,
        "answered_rate": answered / (items + 1),
        "answered_log_rate": np.log((answered + 0.5) / (items + 5)) / 5,
        "copied_rate": (both + 0.3) / (answered + 2),
    }
