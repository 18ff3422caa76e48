"""What the reward model knows of a user: vectors, tokens and habits of the most recent history items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_ttp.reward.encoder import TextEncoder, Vectors
from edge_ttp.reward.utility import Tokens, tokenize
from edge_ttp.schema import HistoryItem

HISTORY_ITEMS = 64
"""Most recent items that enter a profile."""

RECENT_ITEMS = 16
"""Most recent outputs that candidates are compared with word by word."""

RECALL_TEMPERATURE = 0.1
"""Cosine by which an item's weight in what is recalled falls to 1/e."""

Array = npt.NDArray[np.float32]


class VectorCache(Protocol):
    """Where vectors of history items are kept between calls. One item has one vector: output, then input."""

    def get(self, item_ids: Sequence[int], encoder: str) -> Mapping[int, Array]:
        """The stored vectors of these items that were made by the encoder with this fingerprint."""
        ...

    def put(self, encoder: str, vectors: Mapping[int, Array]) -> None:
        """Stores vectors made by the encoder with this fingerprint, by item id."""
        ...


class VectorMemory:
    """A VectorCache for the time of one run and one encoder: each item is encoded once."""

    def __init__(self) -> None:
        self._known: dict[int, Array] = {}

    def get(self, item_ids: Sequence[int], encoder: str) -> Mapping[int, Array]:
        """The vectors of these items that are known."""
        return {key: self._known[key] for key in item_ids if key in self._known}

    def put(self, encoder: str, vectors: Mapping[int, Array]) -> None:
        """Keeps vectors."""
        self._known.update(vectors)


@dataclass(frozen=True)
class Style:
    """Surface habits of a text, or the user's mean habits."""

    log_length: float
    """log(1 + tokens)."""
    capitals: float
    """Share of words that begin with a capital letter, 0 to 1."""
    full_stop: float
    """1 where the text ends with . ! or ?, else 0."""


@dataclass(frozen=True)
class UserProfile:
    """A user as the reward model sees them. Arrays are ordered newest item first."""

    encoder: str
    """Fingerprint of the encoder that made the vectors."""
    outputs: Vectors
    """(H, width) unit vectors of what the user wrote."""
    inputs: Vectors
    """(H, width) unit vectors of what they wrote it in answer to."""
    recent: tuple[Tokens, ...]
    """Tokens of the newest outputs, at most RECENT_ITEMS."""
    written: tuple[frozenset[str], ...]
    """(H,) the different tokens of each output."""
    answered: tuple[frozenset[str], ...]
    """(H,) the different tokens of each input."""
    habit: Style
    """Mean surface habits over the H outputs."""
    length_spread: float
    """Standard deviation of the outputs' log length, at least 0.2."""

    @property
    def items(self) -> int:
        """H, the number of history items in the profile. 0 for a new user."""
        return int(self.outputs.shape[0])

    def recall_weights(self, source: Vectors) -> Vectors:
        """(H,) weights summing to 1, larger where an item's input is close to the input with this vector."""
        return recall_weights(self.inputs, source)


def recall_weights(inputs: Vectors, source: Vectors) -> Vectors:
    """(H,) weights summing to 1 for items with these (H, width) input vectors, larger where close to `source`."""
    if not len(inputs):
        return np.zeros(0, dtype=np.float32)
    closeness = (inputs @ source) / RECALL_TEMPERATURE
    weights = np.exp(closeness - closeness.max())
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def style(text: str, tokens: Tokens) -> Style:
    """The surface habits of one text."""
    words = text[:4000].split()
    capitals = sum(1 for word in words if word[:1].isupper()) / len(words) if words else 0.0
    return Style(float(np.log1p(len(tokens))), capitals, float(text.rstrip().endswith((".", "!", "?"))))


def build_profile(
    encoder: TextEncoder, history: Sequence[HistoryItem], cache: VectorCache | None = None
) -> UserProfile:
    """The profile of the user who wrote `history` (items of one user, any order, possibly none).

    The HISTORY_ITEMS newest items by `created_at` are used; among equals the larger id, else the later in the sequence.
    Vectors come from `cache` where it has them and are put there where it does not; items without an id are encoded.
    """
    ranked = sorted(enumerate(history), key=lambda pair: (pair[1].created_at, pair[1].id or 0, pair[0]), reverse=True)
    items = [item for _, item in ranked[:HISTORY_ITEMS]]
    vectors = _vectors(encoder, items, cache)
    tokens = [tokenize(item.output) for item in items]
    styles = [style(item.output, words) for item, words in zip(items, tokens, strict=True)]
    habits = np.array([[one.log_length, one.capitals, one.full_stop] for one in styles], dtype=np.float64)
    mean = habits.mean(axis=0) if items else np.zeros(3)
    spread = float(habits[:, 0].std()) if items else 0.0
    return UserProfile(
        encoder=encoder.fingerprint,
        outputs=vectors[:, : encoder.width],
        inputs=vectors[:, encoder.width :],
        recent=tuple(tokens[:RECENT_ITEMS]),
        written=tuple(frozenset(words) for words in tokens),
        answered=tuple(frozenset(tokenize(item.input)) for item in items),
        habit=Style(*(float(value) for value in mean)),
        length_spread=max(spread, 0.2),
    )


def _vectors(encoder: TextEncoder, items: Sequence[HistoryItem], cache: VectorCache | None) -> Vectors:
    """(H, 2 width): output and input vectors of each item, from the cache or encoded now."""
    size = 2 * encoder.width
    known: Mapping[int, Array] = {}
    if cache is not None:
        known = cache.get([item.id for item in items if item.id is not None], encoder.fingerprint)
    result = np.zeros((len(items), size), dtype=np.float32)
    missing: list[int] = []
    for index, item in enumerate(items):
        stored = known.get(item.id) if item.id is not None else None
        if stored is not None and np.size(stored) == size and np.isfinite(stored).all():
            result[index] = np.asarray(stored, dtype=np.float32).reshape(size)
        else:
            missing.append(index)
    if missing:
        texts = [items[index].output for index in missing] + [items[index].input for index in missing]
        encoded = encoder.encode(texts)
        result[missing] = np.concatenate([encoded[: len(missing)], encoded[len(missing) :]], axis=1)
        if cache is not None:
            fresh = {items[index].id: result[index] for index in missing}
            cache.put(encoder.fingerprint, {key: value for key, value in fresh.items() if key is not None})
    return result
