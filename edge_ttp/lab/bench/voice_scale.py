"""How much a user's answers sound like the user, on a scale where a stranger's own texts are 0.

A bag's margin is its likeness to the user's hidden texts above its mean likeness to impostors', users of the same task
whose texts are about as long. Margins are told in standard deviations of what real strangers' bags get, so that one
number can be read in every task: 0 is a stranger, and what the user's own held-back texts get is the most there is. The
user's history is cut in halves; an answer is scored against the half that was hidden when it was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_ttp.lab.bench.voice_learned import LearnedVerifier, shipped, style_numbers
from edge_ttp.lab.bench.voice_score import PARTS, Verifier

Floats = npt.NDArray[np.float64]
Halves = Mapping[str, tuple[Sequence[str], Sequence[str]]]
"""Both halves of what each user wrote before."""

IMPOSTORS = 10
"""Users that a bag is compared with beside its own."""
_LEAST_SPREAD = 0.02
VERIFIERS = ("n-grams", "learned", *PARTS)
"""Ways to look: two verifiers of different kinds, and the parts of a voice by the first of them."""


class Likens(Protocol):
    """A verifier."""

    users: list[str]

    def margins(self, bag: Sequence[str], users: Sequence[str]) -> Floats:
        """(users,) how like each of these users the bag is."""


class VoiceScale:
    """Scores bags of one task's users. Everything is fixed by the texts."""

    def __init__(self, halves: Halves, size: int, verifiers: Sequence[str] = VERIFIERS) -> None:
        """`halves` of at least three users; `size`: texts of a bag, of which real ones are made to set the scale."""
        self.users = sorted(halves)
        self.size = size
        lengths = {user: float(np.median([len(text) for half in halves[user] for text in half])) for user in self.users}
        self._impostors = {user: _alike_in_length(user, lengths) for user in self.users}
        self._hidden: dict[str, list[Likens]] = {name: [] for name in verifiers}
        for half in (0, 1):
            earlier = {user: list(halves[user][half]) for user in self.users}
            for name in verifiers:
                self._hidden[name].append(_verifier(name, earlier))
        self._seen: dict[tuple[str, int, tuple[str, ...]], Floats] = {}
        # Bags of the half that the verifier does not hold: the user's own, and strangers'.
        self._real = {user: [_bags(halves[user][1 - half], size) for half in (0, 1)] for user in self.users}
        self._scale = {name: self._strangers(name) for name in verifiers}
        real = [bag for user in self.users for half in (0, 1) for bag in self._real[user][half][:2]]
        numbers = np.stack([style_numbers(bag, shipped().words) for bag in real]) if real else np.zeros((1, 1))
        self._middle, self._spread = np.median(numbers, axis=0), numbers.std(axis=0) + _LEAST_SPREAD
        self._distances = np.array([self._distance(one) for one in numbers])

    def voice(self, bag: Sequence[str], user: str, hidden: int, verifier: str = "n-grams") -> float:
        """How much `bag` sounds like `user`, 0 for a stranger, against the half `hidden` of what they wrote."""
        mean, spread = self._scale[verifier]
        return (self._margin(bag, user, hidden, verifier) - mean) / spread

    def own(self, user: str, hidden: int, verifier: str = "n-grams") -> list[float]:
        """What the user's own texts of the other half get."""
        return [self.voice(bag, user, hidden, verifier) for bag in self._real[user][hidden]]

    def strangers(self, user: str, hidden: int, verifier: str = "n-grams") -> list[float]:
        """What impostors' own texts get where they are taken for the user's, the impostor itself left out."""
        mean, spread = self._scale[verifier]
        return [(one - mean) / spread for one in self._stranger_margins(user, hidden, verifier)]

    def human(self, bag: Sequence[str]) -> float:
        """Likeness to people's texts of this task in general: share of real bags that lie no less far out, 0 to 1.

        Far out: in style numbers (`edge_ttp.lab.bench.voice_learned`), from the middle of the real bags. A text that
        carries the user's habits to excess scores high in voice and low here.
        """
        return float(np.mean(self._distances >= self._distance(style_numbers(bag, shipped().words)) - 1e-9))

    def _margin(self, bag: Sequence[str], user: str, hidden: int, verifier: str, left_out: str | None = None) -> float:
        likeness = self._likeness(bag, hidden, verifier)
        impostors = [self.users.index(one) for one in self._impostors[user] if one != left_out]
        return float(likeness[self.users.index(user)] - likeness[impostors].mean())

    def _likeness(self, bag: Sequence[str], hidden: int, verifier: str) -> Floats:
        """(users,) how like each user the bag is."""
        key = (verifier, hidden, tuple(bag))
        if key not in self._seen:
            self._seen[key] = self._hidden[verifier][hidden].margins(bag, self.users)
        return self._seen[key]

    def _stranger_margins(self, user: str, hidden: int, verifier: str) -> list[float]:
        return [
            self._margin(bag, user, hidden, verifier, left_out=other)
            for other in self._impostors[user]
            for bag in self._real[other][hidden][:2]
        ]

    def _strangers(self, verifier: str) -> tuple[float, float]:
        found = [one for user in self.users for half in (0, 1) for one in self._stranger_margins(user, half, verifier)]
        spread = float(np.std(found, ddof=1)) if len(found) > 1 else 0.0
        return (float(np.mean(found)) if found else 0.0, spread if spread > 0 else 1.0)

    def _distance(self, numbers: Floats) -> float:
        return float(np.sqrt(np.mean(((numbers - self._middle) / self._spread) ** 2)))


def _verifier(name: str, earlier: Mapping[str, Sequence[str]]) -> Likens:
    if name == "learned":
        return LearnedVerifier(earlier)
    return Verifier(earlier, view=PARTS[name]) if name in PARTS else Verifier(earlier)


def _bags(texts: Sequence[str], size: int) -> list[list[str]]:
    return [list(texts[at : at + size]) for at in range(0, len(texts) - size + 1, size)][:6]


def _alike_in_length(user: str, lengths: Mapping[str, float]) -> list[str]:
    others = [one for one in lengths if one != user]
    return sorted(others, key=lambda one: (abs(np.log1p(lengths[one]) - np.log1p(lengths[user])), one))[:IMPOSTORS]


@dataclass(frozen=True)
class VoiceRow:
    """How well one verifier tells users of one task apart, by bags of one size."""

    task: str
    verifier: str
    bag: int
    users: int
    auc: float
    """Of own bags against strangers', each against the same user."""
    difference: float
    """Of the mean scores, in standard deviations of the strangers'."""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return dict(self.__dict__)


def separation(task: str, halves: Halves, bags: Sequence[int], verifiers: Sequence[str] = VERIFIERS) -> list[VoiceRow]:
    """Own texts of the one half against strangers', by the other half, both ways: a row a bag size and verifier.

    Users with fewer than the largest bag in a half are left out; none remain where there are fewer than three.
    """
    able = {user: pair for user, pair in halves.items() if min(map(len, pair)) >= max(bags)}
    if len(able) < 3:
        return []
    rows = []
    for size in bags:
        scale = VoiceScale(able, size, verifiers)
        for name in verifiers:
            own, strange = [], []
            for user in scale.users:
                for hidden in (0, 1):
                    own += scale.own(user, hidden, name)
                    strange += scale.strangers(user, hidden, name)
            wins = np.array(own)[:, None] - np.array(strange)[None, :]
            auc = float(np.mean(wins > 0) + 0.5 * np.mean(wins == 0))
            rows.append(VoiceRow(task, name, size, len(able), auc, float(np.mean(own) - np.mean(strange))))
    return rows
