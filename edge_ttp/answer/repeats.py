"""Recognizes an old answer given again to another question: "Thursday works" when Wednesday was asked about.

What ties an answer to its question are particulars: numbers, days, months, names. A candidate that says again what the
user once wrote is stale where it holds a particular that belongs to that earlier time and not to this request. Rules,
in several languages; pure text, no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from edge_ttp.answer.particulars import TOKEN, particulars

ALIKE = 0.85
"""Share of words in the same order, beyond which a candidate repeats an earlier text."""

LONGEST = 120
"""Words of a text that are compared: a longer one is hardly ever repeated as a whole."""


class Earlier:
    """What a user wrote before, looked through once for all candidates of a request."""

    def __init__(self, request: str, history: Sequence[tuple[str, str]]) -> None:
        """`history`: inputs and outputs of the user."""
        self._asked = particulars(request)
        self._habits = _habits(history)
        self._items = [
            (_folded(written), particulars(given), particulars(written))
            for given, written in history
            if particulars(given).keys() != self._asked.keys()  # otherwise the same was asked
        ]

    def stale(self, candidate: str) -> str | None:
        """What a candidate wrongly keeps of an earlier answer that it repeats, as it stands there; None where nothing.

        A repeated text without particulars ("Sounds good, thanks!") is the user's way to say it, and is left alone; so
        is one whose particulars the request has too, and one that the user gives whatever is asked (the same
        particular in answers to several inputs that lack it: a signature, an address).
        """
        mine = {
            key: shown
            for key, shown in particulars(candidate).items()
            if key not in self._asked and key not in self._habits
        }
        words = _folded(candidate) if mine else []
        kinds = {_kind(key) for key in self._asked}
        for written, then, old in self._items if words else ():
            # A particular belongs to that time where that input has it too, or where this one asks for another such.
            tied = [shown for key, shown in mine.items() if key in old and (key in then or _kind(key) in kinds)]
            if tied and _alike(words, written):
                return tied[0]
        return None


def _kind(key: str) -> str:
    return re.split(r"[\d ]", key, maxsplit=1)[0]


def _habits(history: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Particulars that stand in two answers or more to inputs that lack them: the user's own, whatever is asked."""
    seen: dict[str, int] = {}
    for given, written in history:
        for key in particulars(written).keys() - particulars(given).keys():
            seen[key] = seen.get(key, 0) + 1
    return frozenset(key for key, times in seen.items() if times > 1)


def _folded(text: str) -> list[str]:
    return [match[0].lower() for match in TOKEN.finditer(text[: 16 * LONGEST])][:LONGEST]


def _alike(one: Sequence[str], other: Sequence[str]) -> bool:
    if not other or not 0.5 <= len(one) / len(other) <= 2:
        return False
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE
