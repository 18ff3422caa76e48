"""A second verifier of voice, of another kind than the first: a learned encoder of how texts are written.

A bag of texts becomes some 250 numbers - rates of function words, punctuation, casing, lengths, openings, closings -
and a linear map, learned on other users' texts, turns them into a style vector in which one user's bags lie together
and different users' apart: linear discriminant analysis on within-task deviations (Fisher 1936; Rao 1948). The first
verifier (`edge_ttp.lab.bench.voice_score`) learns nothing and knows character sequences only. What is trained towards
the one is reported by the other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput

Floats = npt.NDArray[np.float64]
Corpus = Mapping[str, Mapping[str, Sequence[str]]]
"""Texts by task and user."""

WEIGHTS = Path(__file__).with_name("voice_learned.npz")
WORDS = 150
"""Function words: those that most users use."""
DIMENSIONS = 48
"""Of the style vector."""
BAG = 4
"""Texts of a bag that the map is learned from."""
SHRUNK = 0.2
"""Part of the within-user covariance that is its diagonal: some directions are seen too rarely."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE = re.compile(r"[.!?…]+\s+|\n+")
_MARKS = ".,!?;:'\"()-–—…/&*#@<>[]{}=+_~^%$`|\\’“”"
_PATTERNS = (
    r"\.\.\.|…", r"!!+", r"\?\?+", r"\?!|!\?", r"[:;]-?[)(DPp/]", r"[\U0001F300-\U0001FAFF☀-➿]", r"\n\n", r"\n",
    r"  +", r"\d", r"https?://", r"\b\w+['’](?:s|t|re|ve|ll|d|m)\b", r"\b[A-Z]{2,}\b", r"(?m)^\s*[-*•]", r"(?m)^\s*>",
    r"\([^)]*\)", r"(\w)\1\1", r" - ", r"--", r"\bI\b", r"\bi\b",
)  # fmt: skip
_COMPILED = tuple(re.compile(one) for one in _PATTERNS)
_ENDS = (".", "!", "?", "…", ")", '"', ":", ",")


def function_words_of(corpus: Corpus) -> tuple[str, ...]:
    """The WORDS words that most users of any task have used, in small letters."""
    counts: Counter[str] = Counter()
    for users in corpus.values():
        for texts in users.values():
            counts.update({word.lower() for text in texts for word in _WORD.findall(text)})
    return tuple(word for word, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:WORDS])


def style_numbers(texts: Sequence[str], words: Sequence[str]) -> Floats:
    """How a bag of texts is written, (F,): square roots of rates, and lengths; content words are not in it."""
    found = [word for text in texts for word in _WORD.findall(text)]
    total, characters = max(1, len(found)), max(1, sum(map(len, texts)))
    counts = Counter(word.lower() for word in found)
    rates = [counts[word] / total for word in words]
    joined = "\n\x00\n".join(texts)
    rates += [joined.count(mark) / total for mark in _MARKS]
    rates += [sum(len(pattern.findall(text)) for text in texts) / total for pattern in _COMPILED]
    cases = Counter(_case(word) for word in found)
    rates += [cases[name] / total for name in ("lower", "capital", "upper", "mixed")]
    lengths = Counter(min(len(word), 12) for word in found)
    rates += [lengths[size] / total for size in range(1, 13)]
    written = [text.strip() for text in texts if text.strip()]
    count = max(1, len(written))
    rates += [sum(text.endswith(mark) for text in written) / count for mark in _ENDS]
    rates += [sum(text[-1:].isalnum() for text in written) / count, sum(text[0].isupper() for text in written) / count]
    rates += [sum(text[0].islower() for text in written) / count, sum(text[0].isdigit() for text in written) / count]
    sentences = [part for text in written for part in _SENTENCE.split(text) if part.strip()]
    starts = [part.strip()[0] for part in sentences]
    rates += [sum(letter.isupper() for letter in starts) / max(1, len(starts))]
    rates += [len(set(counts)) / total, sum(character.isspace() for character in joined) / characters]
    sizes = np.log1p([len(_WORD.findall(text)) for text in written] or [0])
    per = np.log1p([len(_WORD.findall(part)) for part in sentences] or [0])
    shapes = [sizes.mean(), sizes.std(), per.mean(), per.std(), np.log1p(len(sentences) / count)]
    return np.concatenate([np.sqrt(rates), shapes])


def _case(word: str) -> str:
    if word.islower():
        return "lower"
    if word.isupper() and len(word) > 1:
        return "upper"
    return "capital" if (word[0].isupper() and word[1:].islower()) or len(word) == 1 else "mixed"


@dataclass(frozen=True)
class StyleMap:
    """A learned map from style numbers to style vectors."""

    words: tuple[str, ...]
    scale: Floats
    """(F,) standard deviation of each number within a task."""
    map: Floats
    """(F, DIMENSIONS)."""

    def vector(self, texts: Sequence[str], centre: Floats) -> Floats:
        """(DIMENSIONS,) the style of a bag, as it differs from `centre`, the numbers of the task's typical bag."""
        return np.asarray(((style_numbers(texts, self.words) - centre) / self.scale) @ self.map)

    def save(self, path: Path) -> None:
        """Writes the map to `path`."""
        held = BytesIO()
        np.savez_compressed(held, words=np.array(self.words), scale=self.scale, map=self.map.astype(np.float32))
        path.write_bytes(held.getvalue())

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> StyleMap:
        """The map at `path`: the shipped, frozen one. Raises InvalidInput where it cannot be read."""
        try:
            with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as held:
                words = tuple(str(word) for word in held["words"])
                return cls(words, held["scale"].astype(np.float64), held["map"].astype(np.float64))
        except (OSError, ValueError, KeyError) as error:
            raise InvalidInput(f"{path} is no style map: {error}", "install edge-ttp again") from error


@cache
def shipped() -> StyleMap:
    """The frozen map."""
    return StyleMap.load()


def fit(corpus: Corpus) -> StyleMap:
    """A map learned from these users' texts, in closed form: the same texts always give the same map.

    Users with fewer than 2 BAG texts are left out. Raises InvalidInput for fewer than DIMENSIONS users.
    """
    words = function_words_of(corpus)
    within, between, scales = [], [], []
    for users in corpus.values():
        bags = {user: _bags(texts, words) for user, texts in users.items() if len(texts) >= 2 * BAG}
        if len(bags) < 3:
            continue
        centre = np.mean([one.mean(axis=0) for one in bags.values()], axis=0)
        for one in bags.values():
            between.append(one.mean(axis=0) - centre)
            within.append((one - one.mean(axis=0)) * np.sqrt(len(one) / (len(one) - 1)))
            scales.append(one - centre)
    if len(between) < DIMENSIONS:
        raise InvalidInput(f"{len(between)} users are too few to learn a style map from", "give more texts")
    scale = np.concatenate(scales).std(axis=0) + 1e-3
    inside = np.concatenate(within) / scale
    outside = np.stack(between) / scale
    covariance = inside.T @ inside / len(inside)
    covariance = (1 - SHRUNK) * covariance + SHRUNK * np.diag(np.diag(covariance)) + 1e-3 * np.eye(len(scale))
    values, vectors = np.linalg.eigh(covariance)
    whiten = vectors / np.sqrt(values)
    _, strength, axes = np.linalg.svd(outside @ whiten, full_matrices=False)
    weight = strength[:DIMENSIONS] / np.sqrt(len(outside))
    kept = axes[:DIMENSIONS].T * (weight / np.sqrt(1 + weight**2))  # directions count as far as users differ in them
    return StyleMap(words, scale, whiten @ kept)


def _bags(texts: Sequence[str], words: Sequence[str]) -> Floats:
    parts = [texts[at : at + BAG] for at in range(0, len(texts) - BAG + 1, BAG)]
    return np.stack([style_numbers(part, words) for part in parts])


class LearnedVerifier:
    """Scores bags of texts against users of one task, as `edge_ttp.lab.bench.voice_score.Verifier` does."""

    def __init__(self, earlier: Mapping[str, Sequence[str]], style: StyleMap | None = None) -> None:
        """`earlier`: what each user wrote before."""
        self._style = style or shipped()
        self.users = sorted(earlier)
        numbers = np.stack([style_numbers(earlier[user], self._style.words) for user in self.users])
        self._centre = numbers.mean(axis=0)
        self._profiles = np.stack([self._style.vector(earlier[user], self._centre) for user in self.users])

    def margins(self, bag: Sequence[str], users: Sequence[str]) -> Floats:
        """(users,) how like each of these users the bag is: cosines of style vectors."""
        vector = self._style.vector(bag, self._centre)
        profiles = self._profiles[[self.users.index(user) for user in users]]
        norms = np.linalg.norm(profiles, axis=1) * np.linalg.norm(vector)
        return np.asarray((profiles @ vector) / np.maximum(norms, 1e-12))
