"""A long text in parts that are said again one by one: whole paragraphs, or sentences where a paragraph is too long."""

from __future__ import annotations

import re

PART = 700
"""Characters of a text that are said again at once, where its paragraphs allow: in more a small policy is lost."""
LONGEST_PART = 1400
"""A paragraph beyond this is parted at the ends of sentences."""

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+")


def parts(text: str) -> list[tuple[str, str]]:
    """The text in parts of whole paragraphs, each with the space behind it. Together they are the text.

    Empty for a text of nothing but space.
    """
    pieces = [piece for piece in re.split(r"(\n\s*\n\s*)", text.strip()) if piece]
    found: list[tuple[str, str]] = []
    for paragraph, after in zip(pieces[::2], [*pieces[1::2], ""], strict=False):
        for piece, behind in _sentences(paragraph, after):
            if found and len(found[-1][0]) + len(piece) <= PART:
                before, between = found.pop()
                found.append((before + between + piece, behind))
            else:
                found.append((piece, behind))
    return found


def _sentences(paragraph: str, after: str) -> list[tuple[str, str]]:
    """The paragraph, or the parts that it has to be said in."""
    if len(paragraph) <= LONGEST_PART:
        return [(paragraph, after)]
    ends = [match.span() for match in _SENTENCE_END.finditer(paragraph)]
    found, start = [], 0
    for at, (end, following) in enumerate(ends):
        next_end = ends[at + 1][0] if at + 1 < len(ends) else len(paragraph)
        if next_end - start > PART and end > start:
            found.append((paragraph[start:end], paragraph[end:following]))
            start = following
    return [*found, (paragraph[start:], after)]
