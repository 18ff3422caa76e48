"""One version made of many that hold the same words: between two of these stands what most versions have there.

Drawn versions under a lock (answer/word_lock.py) differ only in small words, signs and cases. A word that one version
adds is right half the time at best; one that most of them add mostly is. So voting place by place gives a better text
than choosing among whole ones (docs/measured/rewrite.md); speech recognition knows it as ROVER (Fiscus 1997).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edge_ttp.answer.word_lock import Locked

MOST = 0.5
"""A small word stands where more than this share of the versions has it."""
LEAST_VERSIONS = 3
"""Versions below which nothing is merged."""
_PIECE = re.compile(r"\n+|[^\W_]+(?:['’\-][^\W_]+)*|[^\w\s]+")
_FINAL = re.compile(r"[.!?…]+")
_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class _Taken:
    """A version taken apart: what stands before each locked word and behind the last, and how these are written."""

    between: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]


def merged(versions: Sequence[str], words: Sequence[Locked]) -> str | None:
    """What most of `versions`, all of which hold `words`, have in every place; None where too few hold them."""
    taken = [one for text in versions if (one := _apart(text, words)) is not None]
    if len(taken) < LEAST_VERSIONS or not words:
        return None
    places = [_most([one.between[at] for one in taken]) for at in range(len(words) + 1)]
    said = [_mostly(at, places[at], taken) for at in range(len(words))]
    pieces: list[tuple[str, bool]] = []
    for at, place in enumerate(places):
        pieces += [(piece, False) for piece in place]
        if at < len(said):
            pieces.append((said[at], True))
    return _written(pieces)


def _mostly(at: int, place: tuple[str, ...], taken: Sequence[_Taken]) -> str:
    """How most versions write locked word `at`, of those where a sentence begins there as it does now, if any."""
    begins = _ends_sentence(place)
    same = [one.words[at] for one in taken if _ends_sentence(one.between[at]) == begins]
    return Counter(same or [one.words[at] for one in taken]).most_common(1)[0][0]


def _ends_sentence(place: tuple[str, ...]) -> bool:
    return bool(place) and _FINAL.fullmatch(place[-1]) is not None


def _apart(text: str, words: Sequence[Locked]) -> _Taken | None:
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
    return _Taken(tuple(between), tuple(said))


def _most(places: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """What more than MOST of the places have, in the order of the one that comes nearest to that."""
    counts = Counter(key for place in places for key in {_key(piece) for piece in place})
    kept = {key for key, count in counts.items() if count > MOST * len(places)}
    best = max(places, key=lambda place: _nearness({_key(one) for one in place}, kept))
    cases = Counter(piece for place in places for piece in place)
    found, seen = [], set[str]()
    for piece in best:
        key = _key(piece)
        if key in kept and key not in seen:
            seen.add(key)
            found.append(max((one for one in cases if _key(one) == key), key=lambda one: cases[one]))
    return tuple(found)


def _nearness(there: set[str], kept: set[str]) -> int:
    return len(there & kept) - len(there - kept)


def _key(piece: str) -> str:
    """What counts as the same in a vote: a word in any case, a sign, a line end."""
    return "\n" if piece.startswith("\n") else piece.casefold().replace("’", "'")


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
