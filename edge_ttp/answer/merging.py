"""One version made of many that hold the same words: between two of these stands what most versions have there.

Drawn versions under a lock (answer/word_lock.py) differ only in small words, signs and cases. A word that one version
adds is right half the time at best; one that most of them add mostly is. So voting place by place gives a better text
than choosing among whole ones (docs/measured/rewrite.md); speech recognition knows it as ROVER (Fiscus 1997). Where it
is known what is usual in such a place (answer/restoring.py), that votes as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from edge_ttp.answer.word_lock import Locked

Place = dict[str, float]
"""What is expected between two words: small words and signs (`key_of`), and how likely each is, 0 to 1."""

MOST = 0.5
"""A sign stands where more than this share of the versions has it; a small word too, where nothing is expected."""
LIKELY = 0.33
"""A small word stands from this likelihood on: one that is right as often makes the text more like what would have been
written (F1 gains by a word that is right more often than half its own value)."""
AS_VERSIONS = 12.0
"""Versions that what is expected counts as."""
LEAST_VERSIONS = 3
"""Versions below which nothing is merged by votes alone."""
MOST_ADDED = 4
"""Small words in one place."""
SIGNS = (",", ".", "?", "!")
_PIECE = re.compile(r"\n+|[^\W_]+(?:['’\-][^\W_]+)*|[^\w\s]+")
_FINAL = re.compile(r"[.!?…]+")
_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class Parted:
    """A version taken apart: what stands before each locked word and behind the last, and how these are written."""

    between: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Expected:
    """What is usual in each place, before each locked word and behind the last."""

    places: Sequence[Place]
    ordered: Callable[[Sequence[str], Collection[str]], tuple[str, ...]]
    """Pieces in their order, with more put where they mostly stand."""


def merged(versions: Sequence[str], words: Sequence[Locked], expected: Expected | None = None) -> str | None:
    """What most of `versions`, all of which hold `words`, and what is `expected` have in every place.

    None where nothing is expected and too few versions hold the words.
    """
    taken = [one for text in versions if (one := apart(text, words)) is not None]
    if not words or (expected is None and len(taken) < LEAST_VERSIONS):
        return None
    places = []
    for at in range(len(words) + 1):
        told = [one.between[at] for one in taken]
        places.append(_most(told) if expected is None else _likely(told, at, words, expected))
    said = [_mostly(at, places[at], taken, words[at]) for at in range(len(words))]
    pieces: list[tuple[str, bool]] = []
    for at, place in enumerate(places):
        pieces += [(piece, False) for piece in place]
        if at < len(said):
            pieces.append((said[at], True))
    return _written(pieces)


def apart(text: str, words: Sequence[Locked]) -> Parted | None:
    """The version taken apart; None where it does not hold the words."""
    at, between, said = 0, [], []
    for word in words:
        ways = "|".join(re.escape(one) for one in sorted(word.ways, key=len, reverse=True))
        found = re.compile(rf"(?<![^\W_])(?:{ways})(?![^\W_])").search(text, at)
        if found is None:
            return None
        between.append(tuple(_PIECE.findall(text[at : found.start()])))
        said.append(found[0])
        at = found.end()
    between.append(tuple(_PIECE.findall(text[at:])))
    return Parted(tuple(between), tuple(said))


def key_of(piece: str) -> str:
    """What counts as the same in a vote: a word in any case, a sign, a line end."""
    return "\n" if piece.startswith("\n") else piece.casefold().replace("’", "'")


def _mostly(at: int, place: tuple[str, ...], taken: Sequence[Parted], word: Locked) -> str:
    """How most versions write locked word `at`, of those where a sentence begins there as it does now, if any."""
    begins = _ends_sentence(place)
    same = [one.words[at] for one in taken if _ends_sentence(one.between[at]) == begins]
    ways = same or [one.words[at] for one in taken]
    if ways:
        return Counter(ways).most_common(1)[0][0]
    starts = not any(map(_WORD.match, place)) and (begins or at == 0 or word.begins_line)
    return word.said[:1].upper() + word.said[1:] if starts else word.said


def _ends_sentence(place: tuple[str, ...]) -> bool:
    return bool(place) and _FINAL.fullmatch(place[-1]) is not None


def _most(places: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """What more than MOST of the places have, in the order of the one that comes nearest to that."""
    counts = Counter(key for place in places for key in {key_of(piece) for piece in place})
    return _as_said(places, {key for key, count in counts.items() if count > MOST * len(places)})


def _likely(places: Sequence[tuple[str, ...]], at: int, words: Sequence[Locked], expected: Expected) -> tuple[str, ...]:
    """What is likely in place `at` by the versions and by what is expected."""
    counts = Counter(key for place in places for key in {key_of(piece) for piece in place})
    usual, total = expected.places[at], len(places) + AS_VERSIONS
    chances = {
        key: (counts[key] + AS_VERSIONS * usual.get(key, 0.0)) / total for key in dict.fromkeys((*counts, *usual))
    }
    ranked = sorted(chances, key=lambda key: -chances[key])
    small = [key for key in ranked if chances[key] > LIKELY and _WORD.match(key)][:MOST_ADDED]
    signs = [key for key in ranked if chances[key] > MOST and not _WORD.match(key) and key != "\n" and at][:1]
    breaks = (at < len(words) and words[at].begins_line) or counts["\n"] > MOST * len(places)
    said = _as_said(places, {*small, *signs, *(["\n"] if breaks else [])})
    keys = [key_of(piece) for piece in said]
    if not set(keys).issuperset((*small, *signs)) or breaks != ("\n" in keys):
        if breaks:  # signs end the line, words begin the next
            begun = [key for key in keys if key in small]
            keys = [*signs, "\n", *expected.ordered(begun, [key for key in small if key not in begun])]
        else:
            keys = list(expected.ordered(keys, [key for key in (*small, *signs) if key not in keys]))
    return _spelled(keys, said)


def _spelled(keys: Sequence[str], said: Sequence[str]) -> tuple[str, ...]:
    """Pieces by their keys, as versions write them; the first person in English has a capital."""
    written = {key_of(piece): piece for piece in said}
    return tuple(written.get(key, key[:1].upper() + key[1:] if key.split("'")[0] == "i" else key) for key in keys)


def _as_said(places: Sequence[tuple[str, ...]], kept: Collection[str]) -> tuple[str, ...]:
    """Those of the `kept` pieces that the place nearest to them has, in its order, as most places write them."""
    if not places:
        return ()
    best = max(places, key=lambda place: _nearness({key_of(one) for one in place}, kept))
    cases = Counter(piece for place in places for piece in place)
    found, seen = [], set[str]()
    for piece in best:
        key = key_of(piece)
        if key in kept and key not in seen:
            seen.add(key)
            found.append(max((one for one in cases if key_of(one) == key), key=lambda one: cases[one]))
    return tuple(found)


def _nearness(there: set[str], kept: Collection[str]) -> int:
    return len(there & set(kept)) - len(there - set(kept))


def _written(pieces: Sequence[tuple[str, bool]]) -> str:
    """The pieces with spaces; a small word has a capital where a sentence begins, and nowhere else."""
    text = ""
    for piece, locked in pieces:
        begins = not text or text.endswith("\n") or _FINAL.fullmatch(text[-1]) is not None
        apart = text and not text.endswith("\n") and (_WORD.match(piece) or locked or piece in "-–—")
        small = _WORD.match(piece) and not locked and not _first_person(piece) and not begins
        said = piece[:1].lower() + piece[1:] if small else piece
        text += f" {said}" if apart else said
    return text.strip()


def _first_person(piece: str) -> bool:
    return re.split("['’]", piece)[0] == "I"
