"""Which words does this input call for, and this user? Two more things that are known of a word, from the text itself.

A small graph reads the encoder's token states of the input, once a request, and gives for each word of the candidates
its affinity to input and user, whether or not the input has it, and the salience of the places where the input does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import ModelUnavailable
from edge_ttp.reward.encoder import TextEncoder, Vectors
from edge_ttp.reward.session import Session
from edge_ttp.reward.user_profile import UserProfile, recall_weights
from edge_ttp.reward.utility import spell

INPUTS = ("states", "mask", "user", "recalled", "words", "places")
OUTPUTS = ("salience",)
COLUMNS = ("affinity", "salience")
"""Columns of what it says of a word, in units of SCALE nats. `salience` is 0 for a word that the input lacks."""

SCALE = 4.0
MOST_PIECES = 4
"""Wordpieces of a word, and its places in the input, that are looked at."""

Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SalienceReading:
    """An input as the graph sees it."""

    states: Vectors
    """(T, width) the encoder's token states."""
    places: Mapping[str, Sequence[int]]
    """Where each word (a token of edge_ttp.reward.utility) begins, by token."""


class Salience:
    """The loaded graph. May be used from several threads."""

    def __init__(self, graph: bytes, encoder: TextEncoder, *, name: str, threads: int) -> None:
        """From the bytes of salience.onnx, made for `encoder`. Raises ModelUnavailable for a graph that is none."""
        self.encoder = encoder
        self._session = Session(graph, name=f"salience.onnx of {name}", inputs=INPUTS, outputs=OUTPUTS, threads=threads)
        self._name = name

    def read(self, text: str) -> SalienceReading:
        """The input, read once for all waves of candidates."""
        return SalienceReading(self.encoder.states(text), spelling(self.encoder, text)[1])

    def numbers(
        self,
        reading: SalienceReading,
        profile: UserProfile,
        source: Vectors,
        words: Sequence[str],
        texts: Sequence[str],
    ) -> Numbers:
        """(W, 2) COLUMNS of words (tokens of reward.utility) that `texts` use; `source` (width,): of the input."""
        numbers = self._session.run(self.feeds(reading, profile, source, words, texts))[0]
        if numbers.shape != (1, len(words), len(COLUMNS)) or not np.isfinite(numbers).all():
            raise ModelUnavailable(f"salience.onnx of {self._name} gave no usable numbers", "pull it again")
        return np.asarray(numbers[0], dtype=np.float32)

    def feeds(
        self,
        reading: SalienceReading,
        profile: UserProfile,
        source: Vectors,
        words: Sequence[str],
        texts: Sequence[str],
    ) -> dict[str, npt.NDArray[Any]]:
        """The graph's inputs for that."""
        # Of several spellings of one stem the shortest, so that the order of the candidates does not matter.
        spellings = sorted({(word.token, len(word.spelled), word.spelled) for text in texts for word in spell(text)})
        spelled = {token: text for token, _, text in reversed(spellings)}
        user, recalled = user_vectors(profile.outputs, profile.inputs, source)
        pieces, places = piece_rows(self.encoder, {word: spelled.get(word, word) for word in words}, reading.places)
        made = (reading.states, np.ones(len(reading.states), np.float32), user, recalled, pieces, places)
        return {name: np.asarray(value)[None] for name, value in zip(INPUTS, made, strict=True)}


def user_vectors(outputs: Vectors, inputs: Vectors, source: Vectors) -> tuple[Vectors, Vectors]:
    """(width,) mean vectors of what a user wrote, (H, width): plain, and by how close its inputs are to `source`.

    Zeros for a new user.
    """
    if not len(outputs):
        return np.zeros_like(source), np.zeros_like(source)
    return outputs.mean(axis=0), recall_weights(inputs, source) @ outputs


def spelling(encoder: TextEncoder, text: str) -> tuple[dict[str, str], dict[str, list[int]]]:
    """The text's different words with how each is first spelled, and the encoder's tokens that they begin at."""
    starts = encoder.starts(text)
    spelled: dict[str, str] = {}
    places: dict[str, list[int]] = {}
    for word in spell(text):
        spelled.setdefault(word.token, word.spelled)
        at = starts.get(word.start)
        if at is not None and len(places.setdefault(word.token, [])) < MOST_PIECES:
            places[word.token].append(at)
    return spelled, places


def piece_rows(
    encoder: TextEncoder, words: Mapping[str, str], known: Mapping[str, Sequence[int]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(W, MOST_PIECES) wordpieces, padded with 0, and places in the input, padded with -1."""
    pieces = np.zeros((len(words), MOST_PIECES), np.int64)
    places = np.full((len(words), MOST_PIECES), -1, np.int64)
    for row, (word, spelled) in enumerate(words.items()):
        found = encoder.pieces(spelled)[:MOST_PIECES]
        pieces[row, : len(found)] = found
        at = known.get(word, ())
        places[row, : len(at)] = at
    return pieces, places
