"""How much a bag of texts sounds like one user and not like others: a verifier on text without its content.

What a text is about must not decide. Words that few users share become their shape (case and length), numbers become
digits; what remains is casing, punctuation, emoji, function words, lengths, openings and closings. Bags of masked texts
are compared by character n-grams with the user's earlier texts and with those of impostors, on many random halves of
the n-grams (Koppel & Winter 2014, Determining if Two Documents Are Written by the Same Author): the score is the share
of comparisons that the user wins. One text says little, so bags of several are scored.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
View = Callable[[str, Collection[str]], str]
"""What is looked at of a text, given the words that are kept."""

SHARED = 0.3
"""Part of the users of a task that a word must be used by to be kept: function words, greetings, closings."""
WIDTH = 1 << 14
"""Hashed n-grams."""
GRAMS = (2, 3, 4)
HALVES = 30
"""Random halves of the n-grams."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_DIGITS = re.compile(r"\d+")
_PAUSE = re.compile(r"\w+(?:['’]\w+)*|[^\w]+")


def shared_words(texts: Mapping[str, Sequence[str]], share: float = SHARED) -> frozenset[str]:
    """Words, in lower case, that at least `share` of the users (and at least two) have used. `texts`: by user."""
    users = [{word.lower() for text in written for word in _WORD.findall(text)} for written in texts.values()]
    counts = Counter(word for words in users for word in words)
    least = max(2, share * len(users))
    return frozenset(word for word, count in counts.items() if count >= least)


def masked(text: str, kept: Collection[str]) -> str:
    """`text` with its content words as shapes: `x` and `X` for small and capital letters, at most six of them."""

    def shape(match: re.Match[str]) -> str:
        word = match[0]
        if word.lower() in kept:
            return word
        drawn = "".join("X" if letter.isupper() else "x" for letter in word)
        return drawn[:6]

    return _DIGITS.sub(lambda match: "9" * min(len(match[0]), 3), _WORD.sub(shape, text))


def surface(text: str, kept: Collection[str]) -> str:
    """Casing, punctuation, emoji, digits: every word is `x`, `Xx` or `XX`, so that its length and itself are gone."""
    cased = _WORD.sub(lambda match: _case(match[0]), text)
    return _DIGITS.sub("9", cased)


def function_words(text: str, kept: Collection[str]) -> str:
    """The words that many share, in small letters; the others are `_`; nothing else."""
    return " ".join(word if word in kept else "_" for word in _WORD.findall(text.lower()))


def rhythm(text: str, kept: Collection[str]) -> str:
    """Lengths alone: of words in letters (`1` to `9`), where a pause or an end comes, and how long the text is."""
    words = " ".join(_PAUSE.sub(_length, text).split())
    return f"{words} #{len(text).bit_length()}"


def _case(word: str) -> str:
    if word.isupper() and len(word) > 1:
        return "XX"
    return "Xx" if word[0].isupper() else "x"


def _length(match: re.Match[str]) -> str:
    text = match[0]
    if text[0].isalnum():
        return f"{min(len(text), 9)} "
    return "| " if set(text) & set(".!?\n") else ", " if text.strip() else ""


PARTS: Mapping[str, View] = {"surface": surface, "function words": function_words, "rhythm": rhythm}
"""What a voice is made of, each looked at alone."""


def content_counts(texts: Mapping[str, Sequence[str]]) -> dict[str, Floats]:
    """What each user's texts are about: hashed counts of the words that few users share, (WIDTH,)."""
    kept = shared_words(texts)
    found = {}
    for user, written in texts.items():
        counts = np.zeros(WIDTH)
        for text in written:
            for word in _WORD.findall(text.lower()):
                if word not in kept:
                    counts[zlib.crc32(word.encode("utf-8", "replace")) % WIDTH] += 1
        found[user] = np.log1p(counts)
    return found


def style_counts(texts: Mapping[str, Sequence[str]]) -> dict[str, Floats]:
    """How each user writes, content apart: weighted counts of character n-grams of the masked texts, (WIDTH,)."""
    verifier = Verifier(texts)
    return {user: verifier.profile(user) for user in texts}


class Verifier:
    """Scores bags of texts against users of one task. Everything is fixed by the texts and the seed."""

    def __init__(self, earlier: Mapping[str, Sequence[str]], *, view: View = masked, seed: int = 0) -> None:
        """`earlier`: what each user wrote before, hidden from nothing else that is compared here."""
        self._view = view
        self.kept = shared_words(earlier)
        self.users = sorted(earlier)
        profiles = np.stack([self._counts(earlier[user]) for user in self.users])
        present = (profiles > 0).mean(axis=0)
        self._weight = np.log((1 + len(self.users)) / (1 + present * len(self.users))) + 0.1
        self._profiles = self._vector(profiles)
        rng = np.random.default_rng(seed)
        self._halves = (rng.random((HALVES, WIDTH)) < 0.5).astype(np.float64)
        self._norms = np.sqrt(np.square(self._profiles) @ self._halves.T)

    def profile(self, user: str) -> Floats:
        """(WIDTH,) weighted n-grams of what `user` wrote before."""
        return np.asarray(self._profiles[self.users.index(user)])

    def score(self, bag: Sequence[str], user: str, impostors: Sequence[str]) -> float:
        """Share of halves and impostors, 0 to 1, for which the bag is more like `user` than like the impostor."""
        vector = self._vector(self._counts(bag))
        norm = np.sqrt(np.square(vector) @ self._halves.T)
        cosines = ((self._profiles * vector) @ self._halves.T) / np.maximum(self._norms * norm, 1e-12)
        place = self.users.index(user)
        others = [self.users.index(one) for one in impostors if one != user]
        return float(np.mean(cosines[place] > cosines[others]))

    def margins(self, bag: Sequence[str], users: Sequence[str]) -> Floats:
        """(users,) how like each of these users the bag is: cosines over all n-grams."""
        vector = self._vector(self._counts(bag))
        places = [self.users.index(user) for user in users]
        norms = np.linalg.norm(self._profiles[places], axis=1) * np.linalg.norm(vector)
        return np.asarray((self._profiles[places] @ vector) / np.maximum(norms, 1e-12))

    def _counts(self, texts: Sequence[str]) -> Floats:
        counts = np.zeros(WIDTH)
        for text in texts:
            line = f"^{self._view(text, self.kept)}$"
            for size in GRAMS:
                for start in range(len(line) - size + 1):
                    counts[zlib.crc32(line[start : start + size].encode("utf-8", "replace")) % WIDTH] += 1
        return counts

    def _vector(self, counts: Floats) -> Floats:
        total = np.maximum(counts.sum(axis=-1, keepdims=True), 1)
        return np.asarray(np.log1p(1000 * counts / total) * self._weight)
