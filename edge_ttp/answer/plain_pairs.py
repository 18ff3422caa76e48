"""Training for nothing: passages of pairs (plain version, own text) of one user, as rewriting shows them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_ttp.answer.outline import DEPTHS, Depth, Pair, alike, content, pairs
from edge_ttp.answer.prompt import EXAMPLE_INPUT_CHARS
from edge_ttp.schema import HistoryItem

SIZE = 4
"""Pairs of a passage: three examples and one to learn, as a request has it."""


@dataclass(frozen=True)
class PlainPassage:
    """Pairs of one user and kind, all at one depth; the last one is the task, the others come before it as examples."""

    user_id: str
    kind: str
    depth: Depth
    pairs: tuple[Pair, ...]


def passages(
    items: Sequence[HistoryItem], *, seed: int = 0, size: int = SIZE, depths: Sequence[Depth] = DEPTHS
) -> Iterator[PlainPassage]:
    """One passage for every text and depth that has `size` - 1 others of its user and kind to stand before it.

    No two texts of a passage are near duplicates, so that none gives another away. The same seed gives the same ones.
    """
    groups: dict[tuple[str, str], list[HistoryItem]] = {}
    for item in items:
        if item.output.strip():
            groups.setdefault((item.user_id, item.kind), []).append(item)
    for (user, kind), own in groups.items():
        words = [content(item.output) for item in own]
        for depth in depths:
            plain = [_pair(item.output, depth, seed) for item in own]
            for place, task in enumerate(plain):
                if task is None:
                    continue
                draw = random.Random(f"{seed} {depth} {task.text}")
                shown = _others(place, plain, words, draw, size - 1)
                if len(shown) == size - 1:
                    yield PlainPassage(user, kind, depth, (*shown, task))


def _pair(text: str, depth: Depth, seed: int) -> Pair | None:
    found = pairs(text, seed=seed, depths=(depth,))
    return found[0] if found and len(found[0].outline) <= EXAMPLE_INPUT_CHARS else None


def _others(
    place: int, plain: Sequence[Pair | None], words: Sequence[frozenset[str]], draw: random.Random, count: int
) -> list[Pair]:
    """`count` other pairs in a random order, fewer where there are no more, none like another."""
    chosen = [place]
    for other in draw.sample(range(len(plain)), len(plain)):
        if len(chosen) > count:
            break
        if plain[other] is not None and not any(other == one or alike(words[other], words[one]) for one in chosen):
            chosen.append(other)
    return [pair for one in chosen[1:] if (pair := plain[one]) is not None]
