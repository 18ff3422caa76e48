"""The stable core of a user's examples: few items that stand for their kinds, lengths and habits, changed rarely.

They stand first in every prompt of the user, so that their part of the prompt is read once. Pure: items in, items out.

Chosen greedily by facility location (Nemhauser, Wolsey & Fisher 1978: at least 1 - 1/e of the best possible): every
item is represented by its most similar one in the core, and an item's gain is weighed against the length that has to
be read.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_ttp.history.terms import words
from edge_ttp.schema import HistoryItem

LOOKED_AT = 256
"""Newest items, as of the epoch, that a core is chosen from."""

_FIRST_EPOCH, _GROWTH = 4, 1.5
_WORDS, _HABITS = 256, 128  # places of hashed words and of hashed habits in a feature vector
_WORD_WEIGHT = 0.6  # of words beside habits, in the vectors' squared lengths
_MOST_CHARS = 1200  # an answer beyond this costs more reading than it shows
_LEAST_COST = 120.0  # characters that an example costs besides its own: the template around it
_INPUT_CHARS = 400  # as much of an input as a prompt shows

Floats = npt.NDArray[np.float64]


def epoch(count: int) -> int:
    """How many of a user's `count` items, the oldest, a core is chosen from: at least two thirds, in steps of a half.

    The core of a growing history then changes a dozen times until 500 items, and no request in between reads anew.
    """
    reached, following = 0, _FIRST_EPOCH
    while following <= count:
        reached, following = following, int(following * _GROWTH)
    return reached


def choose_core(items: Sequence[HistoryItem], size: int) -> tuple[HistoryItem, ...]:
    """At most `size` of the items (oldest first) to stand first in the user's prompts, oldest first.

    Only items with an output count, and long ones only where nothing shorter is left. The same items give the same
    core, whatever the machine.
    """
    fit = [item for item in items[-LOOKED_AT:] if item.output.strip()]
    short = [item for item in fit if len(item.output) <= _MOST_CHARS]
    fit = short if len(short) >= min(size, len(fit)) else fit
    if size < 1 or not fit:
        return ()
    vectors = np.stack([_features(item) for item in fit])
    likeness = np.maximum(vectors @ vectors.T, 0.0)
    cost = np.array([_LEAST_COST + min(len(one.input), _INPUT_CHARS) + len(one.output) for one in fit])
    covered = np.zeros(len(fit))
    chosen: list[int] = []
    while len(chosen) < min(size, len(fit)):
        gain = np.maximum(likeness - covered[:, None], 0.0).sum(axis=0) / np.sqrt(cost)
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        covered = np.maximum(covered, likeness[:, best])
    return tuple(fit[at] for at in sorted(chosen))


def _features(item: HistoryItem) -> Floats:
    """What an item is like (_WORDS + _HABITS,): its words and how it is written, each part scaled to its weight."""
    said = np.zeros(_WORDS)
    for word in words(item.output[:_MOST_CHARS]) + words(item.input[:_INPUT_CHARS]):
        said[zlib.crc32(word.encode()) % _WORDS] += 1.0
    said = np.log1p(said)
    habits = np.zeros(_HABITS)
    for habit, weight in _habits(item):
        habits[zlib.crc32(habit.encode("utf-8", "replace")) % _HABITS] += weight
    return np.concatenate([_scaled(said, _WORD_WEIGHT), _scaled(habits, 1.0 - _WORD_WEIGHT)])


def _habits(item: HistoryItem) -> list[tuple[str, float]]:
    """Signs of how a text is written, with their weights."""
    text = item.output.strip()
    size = np.log2(1 + len(text))  # two neighbouring sizes share their weight, so that no edge parts like from like
    lower = int(size)
    first, last = text.split()[0].casefold(), text.split()[-1].casefold()
    return [
        (f"kind {item.kind}", 2.0),
        (f"size {lower}", 2.0 * (1 - (size - lower))),
        (f"size {lower + 1}", 2.0 * (size - lower)),
        (f"begins {first}", 1.0),
        (f"ends {last}", 0.7),
        (f"last sign {text[-1] if not text[-1].isalnum() else 'a'}", 1.0),
        (f"lines {min(4, text.count(chr(10)))}", 1.0),
        (f"capital {text[0].isupper()}", 0.7),
        (f"asks {'?' in text}", 0.5),
        (f"shouts {'!' in text}", 0.5),
    ]


def _scaled(vector: Floats, weight: float) -> Floats:
    length = float(np.linalg.norm(vector))
    return vector if length == 0 else np.sqrt(weight) * vector / length
