"""A text made plain: what it says without how. Gives pairs (plain version, the text itself) for nothing.

Three depths: `flat` keeps every word, without case, punctuation, greeting, closing and fillers; `words` keeps content
words alone, coloured ones replaced by neutral ones; `sparse` drops some of those besides, and shuffles their order a
little. Facts (answer/facts.py) stand at every depth. The same seed gives the same pairs.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from edge_ttp.answer.facts import Fact, facts_in
from edge_ttp.answer.small_words import (
    CLOSINGS,
    FILLERS,
    FUNCTION,
    GREETINGS,
    NEUTRAL,
    is_small,
    language_of,
)

Depth = Literal["flat", "words", "sparse"]
DEPTHS: tuple[Depth, ...] = get_args(Depth)

DROPPED = 0.15
"""Share of content words that `sparse` drops."""
SWAPPED = 0.2
"""Share of neighbours that `sparse` exchanges."""
ALIKE = 0.6
"""Share of their content words in common (Jaccard) from which two texts count as the same one."""

_FULL = (
    (r"\bwon['’]t\b", "will not"), (r"\bcan['’]t\b", "cannot"), (r"n['’]t\b", " not"), (r"\b(I)['’]m\b", r"\1 am"),
    (r"['’]re\b", " are"), (r"['’]ve\b", " have"), (r"['’]ll\b", " will"),
)  # fmt: skip

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_WHOLE = ("link", "mail", "code", "number", "date")


@dataclass(frozen=True)
class Pair:
    """What a policy can be shown or trained on: the text made plain, and the text."""

    outline: str
    text: str
    depth: Depth


@dataclass(frozen=True)
class _Word:
    said: str
    locked: bool
    """A fact, or a part of one."""


def pairs(text: str, *, seed: int = 0, depths: Sequence[Depth] = DEPTHS) -> tuple[Pair, ...]:
    """One pair for each depth that leaves anything, without those that say the same."""
    found: dict[str, Pair] = {}
    for depth in depths:
        plain = outline(text, depth, seed=seed)
        if plain and plain != text.strip():
            found.setdefault(plain, Pair(plain, text.strip(), depth))
    return tuple(found.values())


def outline(text: str, depth: Depth = "words", *, seed: int = 0) -> str:
    """`text` made plain, its lines kept apart. Empty where nothing but greetings and fillers stood there."""
    language = language_of(text)
    draw = random.Random(f"{seed} {depth} {text}")
    body = CLOSINGS.sub("", GREETINGS.sub("", text.strip())).strip() or text.strip()
    lines = (_line(line, depth, language, draw) for line in body.splitlines())
    return "\n".join(line for line in lines if line)


def stiff(text: str) -> str:
    """`text` without a voice: full sentences, contractions written out, greetings and fillers gone."""
    for pattern, full in _FULL:
        text = re.sub(pattern, full, text)
    kept = set(outline(text, "flat").split())
    lines = []
    for line in text.splitlines():
        words = [word for word in line.split() if kept.intersection(re.findall(r"[^\W_]+", word.lower()))]
        if words:
            said = re.sub(r"[!?.…]*$", "", " ".join(words)).rstrip(" ,;:-")
            mark = "?" if line.rstrip().endswith("?") else "."
            lines.append(f"{said[:1].upper()}{said[1:]}{mark}" if said else "")
    return "\n".join(line for line in lines if line)


def content(text: str) -> frozenset[str]:
    """The words of `text` that say what it is about, in lower case."""
    language = language_of(text)
    return frozenset(one.said for one in _words(text) if one.locked or not is_small(one.said, language))


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two texts with these content words are near duplicates, or one a plain version of the other."""
    shared = len(one & other)
    return bool(shared) and shared >= ALIKE * len(one | other)


def _line(line: str, depth: Depth, language: str | None, draw: random.Random) -> str:
    words = list(_without_fillers(list(_words(line)), language))
    if depth == "flat":
        return " ".join(one.said for one in words)
    neutral = NEUTRAL.get(language or "", {})
    words = [one if one.locked else _Word(neutral.get(one.said, one.said), False) for one in words]
    kept = [one for one in words if one.locked or not is_small(one.said, language)]
    if depth == "sparse" and language in FUNCTION:  # of others it is not known what must stand
        least = min(len(kept), 3)
        some = [one for one in kept if one.locked or draw.random() >= DROPPED]
        kept = some if len(some) >= least else kept
        for at in range(len(kept) - 1):
            if not (kept[at].locked or kept[at + 1].locked) and draw.random() < SWAPPED:
                kept[at], kept[at + 1] = kept[at + 1], kept[at]
    return " ".join(one.said for one in kept)


def _words(text: str) -> Iterator[_Word]:
    """The words in lower case; links, code, numbers and the like whole, as they stand."""
    at = 0
    for start, end, fact in _spans(text):
        yield from (_Word(word.lower(), False) for word in _WORD.findall(text[at:start]))
        shown = text[start:end]
        yield _Word(shown if fact.kind in _WHOLE and fact.kind != "date" else shown.lower(), True)
        at = end
    yield from (_Word(word.lower(), False) for word in _WORD.findall(text[at:]))


def _spans(text: str) -> list[tuple[int, int, Fact]]:
    """The facts by their places, with those that touch (`€` and its number) as one."""
    found: list[tuple[int, int, Fact]] = []
    for fact in facts_in(text):
        if fact.start == fact.end:
            continue
        if found and fact.start <= found[-1][1]:
            start, end, first = found.pop()
            found.append((start, max(end, fact.end), fact if first.kind == "negation" else first))
        else:
            found.append((fact.start, fact.end, fact))
    return found


def _without_fillers(words: Sequence[_Word], language: str | None) -> Iterator[_Word]:
    fillers = FILLERS.get(language or "", frozenset())
    at = 0
    while at < len(words):
        if at + 1 < len(words) and f"{words[at].said} {words[at + 1].said}" in fillers:
            at += 2
        elif words[at].said in fillers and not words[at].locked:
            at += 1
        else:
            yield words[at]
            at += 1
