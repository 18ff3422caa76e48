"""What a rewriting is shown: the user's own texts with a plain version of each as what was given."""

from __future__ import annotations

import re

from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.answer.masks import masked
from edge_ttp.answer.outline import Depth, alike, content, outline
from edge_ttp.answer.prompt import EXAMPLE_INPUT_CHARS, Example

_RECALLED = 8
"""Items looked at for each example wanted: near duplicates of the text are no examples."""


def examples(rooms: Rooms, ask: Ask, text: str, count: int, *, depth: Depth, strict: bool) -> tuple[Example, ...]:
    """(plain version, own text) of what this user wrote, the most similar to `text` first; none that says the same."""
    sought = content(text)
    kind = ask.kind if ask.kind is not None and rooms.history.items(ask.user, kind=ask.kind, limit=1) else None
    recalled = rooms.history.recall(ask.user, text, _RECALLED * count, kind=kind) if count else []
    shown: list[Example] = []
    for one in recalled:
        passage = passage_of(one.item.output)
        if len(shown) == count:
            break
        if alike(content(one.item.output), sought) or alike(content(passage), sought):
            continue
        said = masked(passage).text if strict else passage
        plain = outline(said, depth)
        if plain and len(plain) <= EXAMPLE_INPUT_CHARS:
            shown.append((plain, said))
    return tuple(shown)


def passage_of(text: str) -> str:
    """The beginning of a text, whole lines or sentences, whose plain version a prompt holds in full."""
    text = text.strip()
    if len(text) <= EXAMPLE_INPUT_CHARS:
        return text
    cut = text[:EXAMPLE_INPUT_CHARS]
    ends = [match.end() for match in re.finditer(r"[.!?。！？](?=\s)|\n", cut)]
    return cut[: ends[-1]].strip() if ends else ""
