"""Small words put back between those of notes: which stand in which place, and how likely.

Notes leave out what says little: articles, prepositions, pronouns, points. Which of them stood between two words is
mostly plain from the words around. A small network, trained on many users' texts with these left out (`edge-ttp export
small-words`), says how likely each is there, raised or lowered by how often this user writes it. It takes milliseconds;
versions that are drawn know more of what is meant, and answer/merging.py listens to both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ttp.answer.merging import SIGNS, Expected, Place, apart, key_of
from edge_ttp.answer.outline import outline
from edge_ttp.answer.small_words import FILLERS, is_small
from edge_ttp.answer.word_lock import Locked, between, locked_words

Floats = npt.NDArray[np.float32]

AROUND = 3
"""Words before and behind a place that are looked at."""
ENDING = 3
"""Letters of a word's ending that stand for words which are not known."""
NOTHING, BEGIN, END, UNKNOWN = range(4)
"""Numbers of what is no word: beyond the line, its two ends, and a word that is not known."""
WORTH = 200
"""Places of the user's own texts that weigh as much as what all users do."""
MOST_GIVEN = 0.15
"""Share of small words from which a text counts as written out: nothing is put back into it."""
_TOLD = 0.02
"""Likelihood below which a word is not named."""
_LARGEST = 3.0
_TEXTS = 40


@dataclass(frozen=True)
class Gap:
    """What stands between two words of a text that its plain version keeps."""

    around: tuple[str, ...]
    """AROUND words before and as many behind, in small letters; empty beyond the line's ends, `^` and `$` at them."""
    pieces: tuple[str, ...]
    """Small words and signs, as `key_of` has them, in their order."""


@dataclass(frozen=True)
class Restorer:
    """The network of one language, as `edge-ttp export small-words` wrote it."""

    pieces: tuple[str, ...]
    """Small words and signs that it knows, S of them."""
    words: Mapping[str, int]
    """Number of each word that it knows, from 4."""
    endings: Mapping[str, int]
    word_vectors: Floats
    """(words + 4, E)."""
    ending_vectors: Floats
    """(endings + 4, D)."""
    hidden: tuple[Floats, Floats]
    """Weights (H, 2 AROUND (E + D)) and bias (H,)."""
    out: tuple[Floats, Floats]
    """Weights (S, H) and bias (S,)."""
    own: Floats
    """(S,) what the user's rates count."""
    usual: Floats
    """(S,) share of places in which each piece stands, over all users."""
    order: Floats
    """(S, S) how often the one stands before the other, where both do."""

    def places(self, words: Sequence[Locked], language: str, rates: Floats | None = None) -> list[Place]:
        """Before each of `words` and behind the last: the likelihood of each piece, 0 to 1.

        `rates`: of the user (`rates`). Next to a small word that was given nothing is expected.
        """
        found: list[Place] = [{} for _ in range(len(words) + 1)]
        starts = [0, *(at for at, word in enumerate(words) if at and word.begins_line), len(words)]
        for start, end in pairwise(starts):
            line = words[start:end]
            kept = [at for at, word in enumerate(line) if not is_small(word.said.lower(), language)]
            told = self.likely(list(_around([line[at].said.lower() for at in kept])), rates)
            for number in range(len(kept) + 1):
                left = kept[number - 1] if number else -1
                right = kept[number] if number < len(kept) else len(line)
                if right == left + 1:
                    self._tell(found[start + right], told[number], ends=right == len(line) and end < len(words))
        return found

    def _tell(self, place: Place, row: Floats, *, ends: bool) -> None:
        """Adds what is expected; of the end of a line that another follows the signs alone."""
        for at in np.flatnonzero(row >= _TOLD):
            piece = self.pieces[at]
            if not ends or piece in SIGNS:
                place[piece] = max(place.get(piece, 0.0), float(row[at]))

    def likely(self, around: Sequence[Sequence[str]], rates: Floats | None = None) -> Floats:
        """(P, S) likelihoods of each piece in P places with these words around."""
        if not around:
            return np.zeros((0, len(self.pieces)), dtype=np.float32)
        words = np.array([numbered(one, self.words) for one in around])
        endings = np.array([numbered([ending(word) for word in one], self.endings) for one in around])
        parts = [self.word_vectors[words], self.ending_vectors[endings]]
        joined = np.concatenate([one.reshape(len(around), -1) for one in parts], axis=1)
        hidden = np.maximum(joined @ self.hidden[0].T + self.hidden[1], 0)
        logits = hidden @ self.out[0].T + self.out[1]
        if rates is not None:
            logits = logits + self.own * rates
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)

    def rates(self, texts: Sequence[str], language: str) -> Floats:
        """(S,) how much more often the author of these texts writes each piece than others do, in nats."""
        number = {piece: at for at, piece in enumerate(self.pieces)}
        counts, total = np.zeros(len(self.pieces)), 0
        for text in texts[:_TEXTS]:
            for gap in gaps(text, language, number):
                total += 1
                counts[[number[piece] for piece in set(gap.pieces)]] += 1
        return against_usual(counts, total, self.usual)

    def ordered(self, pieces: Sequence[str], more: Collection[str]) -> tuple[str, ...]:
        """`pieces` in their order, with `more` put where they mostly stand."""
        number = {piece: at for at, piece in enumerate(self.pieces)}
        found = list(pieces)
        for piece in more:
            if piece not in number:
                continue
            mine = number[piece]

            def fit(at: int, mine: int = mine) -> float:
                behind = sum(self.order[number[one], mine] for one in found[:at] if one in number)
                before = sum(self.order[mine, number[one]] for one in found[at:] if one in number)
                return float(behind + before)

            found.insert(max(range(len(found) + 1), key=fit), piece)
        return tuple(found)


def against_usual(counts: npt.NDArray[np.float64], total: int, usual: Floats) -> Floats:
    """(S,) log of a user's rates over those of all, drawn towards 0 as if WORTH places more were like everybody's."""
    own = (counts + WORTH * usual + 1e-6) / (total + WORTH)
    return np.asarray(np.clip(np.log(own / (usual + 1e-6)), -_LARGEST, _LARGEST), dtype=np.float32)


def expected_of(words: Sequence[Locked], language: str | None, texts: Sequence[str]) -> Expected | None:
    """What belongs between the words of notes by a user who wrote `texts`, the newest first.

    None where the text is written out, or nothing is known of its language.
    """
    network = restorer(language)
    if network is None or language is None or written_out(words, language):
        return None
    return Expected(network.places(words, language, network.rates(texts, language)), network.ordered)


def known_pieces(language: str) -> tuple[str, ...]:
    """The small words and signs of a language that can be put back."""
    fillers = {one for one in FILLERS.get(language, ()) if " " not in one}
    return (*sorted({key_of(one) for one in between(language) | fillers}), *SIGNS)


def written_out(words: Sequence[Locked], language: str) -> bool:
    """Whether a text of these words has its small words already."""
    small = sum(is_small(word.said.lower(), language) for word in words)
    return small > MOST_GIVEN * max(1, len(words))


def gaps(text: str, language: str, pieces: Collection[str]) -> Iterator[Gap]:
    """The places of a text that hold none but `pieces`, with the words around them."""
    words = locked_words(outline(text, "words"), language, own=frozenset(text.lower().split()))
    taken = apart(text, words)
    if taken is None:
        return
    starts = [0, *(at for at, word in enumerate(words) if at and word.begins_line), len(words)]
    for start, end in pairwise(starts):
        line = [word.said.lower() for word in words[start:end]]
        for number, around in enumerate(_around(line)):
            place = tuple(key_of(piece) for piece in taken.between[start + number])
            if number == 0 and "\n" in place:
                place = place[len(place) - place[::-1].index("\n") :]
            elif number == len(line) and "\n" in place:
                place = place[: place.index("\n")]
            if all(piece in pieces for piece in place):
                yield Gap(around, place)


def _around(line: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words around each place of a line, the ends included."""
    whole = ["", "", "^", *line, "$", "", ""]
    for at in range(len(line) + 1):
        yield tuple(whole[at : at + 2 * AROUND])


def numbered(around: Sequence[str], known: Mapping[str, int]) -> list[int]:
    """The numbers of words, or of endings."""
    fixed = {"": NOTHING, "^": BEGIN, "$": END}
    return [fixed[one] if one in fixed else known.get(one, UNKNOWN) for one in around]


def ending(word: str) -> str:
    """The ending of a word, or what stands for all numbers; the ends of lines as they are."""
    return "0" if any(letter.isdigit() for letter in word) else word[-ENDING:]


def weights_file(language: str) -> Path:
    """Where the network of a language lies, if there is one."""
    return Path(__file__).with_name(f"restoring_{language}.npz")


@lru_cache(maxsize=4)
def restorer(language: str | None) -> Restorer | None:
    """The network of a language; None where there is none."""
    if language is None or not weights_file(language).is_file():
        return None
    with np.load(weights_file(language), allow_pickle=False) as held:
        arrays = {name: held[name] for name in held.files}
    floats = {name: np.asarray(one, dtype=np.float32) for name, one in arrays.items() if one.dtype.kind == "f"}
    numbers = {
        name: {word: at + UNKNOWN + 1 for at, word in enumerate(str(arrays[name]).split("\n"))}
        for name in ("words", "endings")
    }
    return Restorer(
        pieces=tuple(str(arrays["pieces"]).split("\n")),
        words=numbers["words"],
        endings=numbers["endings"],
        word_vectors=floats["word_vectors"],
        ending_vectors=floats["ending_vectors"],
        hidden=(floats["hidden"], floats["hidden_bias"]),
        out=(floats["out"], floats["out_bias"]),
        own=floats["own"],
        usual=floats["usual"],
        order=floats["order"],
    )
