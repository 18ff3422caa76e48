"""Agreement of texts: the mean of ROUGE-1 F1 and ROUGE-L F1 with stemming (Lin, 2004), for many pairs at once.

It labels candidates in training (against what the user really wrote) and measures how far candidates agree with each
other. On texts in the Latin script it equals the package rouge-score to rounding. Letters of other scripts, which
rouge-score throws away, count here: a word per token, and a character per token where words are not spaced.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ttp.reward.stemmer import stem

MAX_TOKENS = 512
"""Tokens of a text that are compared; the rest of a longer text is ignored, so that a comparison stays cheap."""

Tokens = tuple[str, ...]

# Thai, Lao, Tibetan, Burmese, Khmer, kana, bopomofo, Han: no space between words.
_UNSPACED = "\u0e01-\u0e5b\u0e81-\u0edf\u0f00-\u109f\u1780-\u17ff\u3041-\u312f\u31a0-\u31ff\u3400-\u9fff\uf900-\ufaff"
_UNSPACED += "\U00020000-\U0003ffff"
# Greek to the Indic scripts, Georgian to Ethiopic, Mongolian, Greek extended, Hangul.
_SPACED = "\u0370-\u0e00\u10a0-\u177f\u1800-\u1cff\u1f00-\u1fff\uac00-\ud7af"
# Vowel signs and points, which are parts of words but not letters to `re`.
_MARKS = "\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0980-\u0983"
_MARKS += "\u09bc-\u09cd\u0a3c-\u0a51\u0abc-\u0acd\u0b3c-\u0b57\u0bbe-\u0bcd\u0c3e-\u0c56\u0cbc-\u0cd6\u0d3b-\u0d4d"
_TOKEN = re.compile(rf"[a-z0-9]+|(?=[{_UNSPACED}])\w|(?:(?=[{_SPACED}])\w|[{_MARKS}])+")

_stem = lru_cache(maxsize=4096)(stem)


def tokenize(text: str) -> Tokens:
    """The stemmed tokens of `text`, at most MAX_TOKENS. Words of up to three letters are not stemmed."""
    return tuple(_stemmed(match[0]) for match in islice(_TOKEN.finditer(text.lower()), MAX_TOKENS))


class Spelled(NamedTuple):
    """A token as it stands in its text."""

    token: str
    spelled: str
    """Before stemming, in small letters."""
    start: int
    """Place of its first character in the text in small letters."""


def spell(text: str) -> list[Spelled]:
    """The tokens of `tokenize` in their order, with how they are spelled and where they stand."""
    matches = islice(_TOKEN.finditer(text.lower()), MAX_TOKENS)
    return [Spelled(_stemmed(match[0]), match[0], match.start()) for match in matches]


def _stemmed(word: str) -> str:
    return _stem(word) if len(word) > 3 and word.isascii() else word


def utility(candidate: str, reference: str) -> float:
    """Agreement of `candidate` with `reference`, 0 (no common token) to 1 (same tokens in the same order).

    The mean of ROUGE-1 F1 and ROUGE-L F1. 0 where either text has no token.
    """
    return float(agreement([tokenize(candidate)], [tokenize(reference)])[0, 0])


def agreement_matrix(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """(N, N) agreements of every text with every other, symmetric, 0 to 1; the diagonal is 1 (0 for an empty text)."""
    tokens = [tokenize(text) for text in texts]
    return agreement(tokens, tokens)


def agreement(candidates: Sequence[Tokens], references: Sequence[Tokens]) -> npt.NDArray[np.float64]:
    """(N, M) agreements of tokenized candidates with tokenized references, 0 to 1."""
    sizes = np.array([len(tokens) for tokens in candidates])[:, None] + [len(tokens) for tokens in references]
    common = _common_tokens(candidates, references) + _common_subsequences(candidates, references)
    return np.asarray(common / np.maximum(sizes, 1), dtype=np.float64)


def coverage(candidates: Sequence[Tokens], source: Tokens) -> npt.NDArray[np.float64]:
    """(N,) share of each candidate's tokens that occur in `source` (ROUGE-1 precision), 0 to 1; 0 for an empty one."""
    sizes = np.array([len(tokens) for tokens in candidates])
    return np.asarray(_common_tokens(candidates, [source])[:, 0] / np.maximum(sizes, 1), dtype=np.float64)


def _common_tokens(candidates: Sequence[Tokens], references: Sequence[Tokens]) -> npt.NDArray[np.int64]:
    """(N, M) sizes of the multiset intersections. The k-th occurrence of a token is one bit of a text's integer."""
    bits: dict[tuple[str, int], int] = {}

    def mask(tokens: Tokens) -> int:
        seen: dict[str, int] = {}
        total = 0
        for token in tokens:
            count = seen.get(token, 0)
            seen[token] = count + 1
            total |= 1 << bits.setdefault((token, count), len(bits))
        return total

    left, right = [mask(tokens) for tokens in candidates], [mask(tokens) for tokens in references]
    counts = [[(one & other).bit_count() for other in right] for one in left]
    return np.array(counts, dtype=np.int64).reshape(len(left), len(right))


def _common_subsequences(candidates: Sequence[Tokens], references: Sequence[Tokens]) -> npt.NDArray[np.int64]:
    """(N, M) lengths of the longest common subsequences.

    Bit-parallel (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"): a zero bit is one token of the
    subsequence. All candidates advance at once: each has a field of one big integer, closed by a guard bit that takes
    the carry of the addition.
    """
    width = max((len(tokens) for tokens in candidates), default=0) + 1
    lengths = np.zeros((len(candidates), len(references)), dtype=np.int64)
    matches: dict[str, int] = {}
    full = 0
    for index, tokens in enumerate(candidates):
        start = index * width
        full |= ((1 << len(tokens)) - 1) << start
        for position, token in enumerate(tokens):
            matches[token] = matches.get(token, 0) | 1 << (start + position)
    size = (len(candidates) * width + 7) // 8
    sizes = [len(tokens) for tokens in candidates]
    for column, tokens in enumerate(references):
        state = full
        for token in tokens:
            hit = state & matches.get(token, 0)
            if hit:
                state = ((state + hit) | (state ^ hit)) & full
        bits = np.unpackbits(np.frombuffer(state.to_bytes(size, "little"), np.uint8), bitorder="little")
        ones = bits[: len(candidates) * width].reshape(len(candidates), width).sum(axis=1, dtype=np.int64)
        lengths[:, column] = np.array(sizes, dtype=np.int64) - ones
    return lengths
