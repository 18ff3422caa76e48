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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SHARED = 0.3
"""Part of the users of a task that a word must be used by to be kept: function words, greetings, closings."""
WIDTH = 1 << 14
"""Hashed n-grams."""
GRAMS = (2, 3, 4)
HALVES = 30
"""Random halves of the n-grams."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_DIGITS = re.compile(r"\d+")


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

    def __init__(self, earlier: Mapping[str, Sequence[str]], *, seed: int = 0) -> None:
        """`earlier`: what each user wrote before, hidden from nothing else that is compared here."""
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

    def _counts(self, texts: Sequence[str]) -> Floats:
        counts = np.zeros(WIDTH)
        for text in texts:
            line = f"^{masked(text, self.kept)}$"
            for size in GRAMS:
                for start in range(len(line) - size + 1):
                    counts[zlib.crc32(line[start : start + size].encode("utf-8", "replace")) % WIDTH] += 1
        return counts

    def _vector(self, counts: Floats) -> Floats:
        total = np.maximum(counts.sum(axis=-1, keepdims=True), 1)
        return np.asarray(np.log1p(1000 * counts / total) * self._weight)


@dataclass(frozen=True)
class VoiceRow:
    """How well bags of one size are told apart in one task."""

    task: str
    bag: int
    users: int
    auc: float
    """Of own bags against strangers', each against the same user."""
    difference: float
    """Of the mean scores, in standard deviations of the strangers'."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def separation(task: str, texts: Mapping[str, Sequence[str]], bags: Sequence[int], *, seed: int = 0) -> list[VoiceRow]:
    """Own held-back texts against strangers' of the task, scored by the user's earlier ones: a row a bag size.

    `texts`: by user, oldest first. The newer half of each user's texts is held back from the verifier.
    """
    able = {user: list(written) for user, written in texts.items() if len(written) >= 2 * max(bags)}
    if len(able) < 3:
        return []
    earlier = {user: written[: len(written) // 2] for user, written in able.items()}
    later = {user: written[len(written) // 2 :] for user, written in able.items()}
    verifier = Verifier(earlier, seed=seed)
    rng = np.random.default_rng(seed)
    rows = []
    for size in bags:
        own, strange = [], []
        for user in verifier.users:
            impostors = [one for one in verifier.users if one != user]
            mine = [later[user][at : at + size] for at in range(0, len(later[user]) - size + 1, size)][:6]
            own += [verifier.score(bag, user, impostors) for bag in mine]
            for stranger in rng.choice(impostors, size=min(6, len(impostors)), replace=False):
                bag = later[str(stranger)][:size]
                strange.append(verifier.score(bag, user, [one for one in impostors if one != stranger]))
        wins = np.array(own)[:, None] - np.array(strange)[None, :]
        auc = float(np.mean(wins > 0) + 0.5 * np.mean(wins == 0))
        spread = float(np.std(strange, ddof=1))
        gap = (float(np.mean(own)) - float(np.mean(strange))) / spread if spread > 0 else 0.0
        rows.append(VoiceRow(task, size, len(able), auc, gap))
    return rows
