"""Finding past items by their words, with the place where they stand."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from edge_ttp.history.recall import MAX_QUERY, index_term
from edge_ttp.history.rows import ITEMS, item_from
from edge_ttp.history.sieve import Sieve
from edge_ttp.history.terms import words, words_at
from edge_ttp.schema import HistoryItem

SNIPPET = 120
"""Characters of a snippet, the dots around it not counted."""


@dataclass(frozen=True)
class Found:
    """One item that holds all the words looked for, and the place in it where most of them stand."""

    item: HistoryItem
    field: str
    """`output` or `input`."""
    snippet: str
    """One line of that field around the first of the words."""
    highlights: tuple[tuple[int, int], ...]
    """(start, end) of the words in the snippet."""


def search(db: sqlite3.Connection, user_id: str, text: str, limit: int, sieve: Sieve) -> list[Found]:
    """The user's newest items whose input and output together hold every word of `text`, at most `limit`.

    The last word may be the beginning of a longer one. Without a word in `text` nothing is found.
    """
    asked = list(dict.fromkeys(words(text[:MAX_QUERY])))
    row = db.execute("SELECT id FROM users WHERE name = ?", (user_id,)).fetchone()
    if row is None or not asked or limit <= 0:
        return []
    # An index term holds no quote, so that quoting it makes any word of any text a safe FTS5 string.
    match = " AND ".join(f'"{index_term(row[0], word)}"' for word in asked) + "*"
    rows = db.execute(
        f"{ITEMS} WHERE items.id IN (SELECT rowid >> 12 FROM item_index WHERE item_index MATCH ?) "  # noqa: S608
        "ORDER BY items.created_at DESC, items.id DESC LIMIT ?",
        (match, limit),
    )
    return [_found(item, asked) for item in sieve.sift("items", rows, item_from)]


def _found(item: HistoryItem, asked: list[str]) -> Found:
    places = {field: _places(text, asked) for field, text in (("output", item.output), ("input", item.input))}
    field = max(places, key=lambda name: len({word for word, _, _ in places[name]}))
    snippet, highlights = _cut(item.output if field == "output" else item.input, places[field])
    return Found(item, field, snippet, highlights)


def _places(text: str, asked: list[str]) -> list[tuple[str, int, int]]:
    whole, last = set(asked), asked[-1]
    return [
        (last if word not in whole else word, start, end)
        for word, start, end in words_at(text)
        if word in whole or word.startswith(last)
    ]


def _cut(text: str, places: list[tuple[str, int, int]]) -> tuple[str, tuple[tuple[int, int], ...]]:
    first = places[0][1] if places else 0
    begin = 0 if first < SNIPPET // 2 else first - SNIPPET // 4
    end = min(len(text), begin + SNIPPET)
    # Every kind of line break and control character becomes one space, so that positions stay as they are.
    line = "".join(character if character.isprintable() else " " for character in text[begin:end])
    lead = "…" if begin else ""
    shift = len(lead) - begin
    inside = ((start + shift, stop + shift) for _, start, stop in places if begin <= start and stop <= end)
    return f"{lead}{line}{'…' if end < len(text) else ''}", tuple(inside)
