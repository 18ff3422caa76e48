"""What changed between two texts, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from edge_ttp.schema import Change

_PIECE = re.compile(r"\s+|[^\W_]+(?:['’\-.,:][^\W_]+)*|.", re.DOTALL)
LONGEST = 20_000
"""Pieces (words, spaces, marks) that are compared; a longer text counts as written anew."""


def changes(before: str, after: str) -> tuple[Change, ...]:
    """The pieces of `after` that stayed and what became of the others, in order.

    Together, what is `same` or `added` is `after`, and what is `same` or `removed` is `before`.
    """
    old, new = _PIECE.findall(before), _PIECE.findall(after)
    if len(old) + len(new) > LONGEST:
        return tuple(one for one in (Change(op="removed", text=before), Change(op="added", text=after)) if one.text)
    found = []
    for what, start, end, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            found.append(Change(op="same", text="".join(old[start:end])))
            continue
        if end > start:
            found.append(Change(op="removed", text="".join(old[start:end])))
        if last > first:
            found.append(Change(op="added", text="".join(new[first:last])))
    return tuple(found)
