"""Rows of past items and of the users who own them."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from edge_ttp.errors import NotFound
from edge_ttp.history.recall import MAX_WORDS, index_items, indexed_length
from edge_ttp.history.rows import ITEMS, checked_item, fingerprint, item_from, metadata_text, to_milliseconds
from edge_ttp.history.sieve import Sieve, only
from edge_ttp.history.terms import words
from edge_ttp.schema import PROMPT_KIND, HistoryItem, utc_now

BATCH = 500
"""Items inserted and indexed at a time."""

PAGE = 1_000
"""Items read at a time while iterating."""

OWN_WORDS = frozenset({"edit", "accept"})
"""Sources of items that came of judgments."""


@dataclass(frozen=True)
class Counts:
    """What became of many items: newly stored, or already there (same user, input and output)."""

    added: int
    duplicates: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.added + other.added, self.duplicates + other.duplicates)


def user_number(db: sqlite3.Connection, user_id: str) -> int:
    """The number of the user's row, made if there is none. The caller is in a write transaction."""
    row = db.execute("SELECT id FROM users WHERE name = ?", (user_id,)).fetchone()
    if row is None:
        insert = "INSERT INTO users (name, created_at) VALUES (?, ?) RETURNING id"
        row = db.execute(insert, (user_id, to_milliseconds(utc_now()))).fetchone()
    return int(row[0])


def insert_item(db: sqlite3.Connection, item: HistoryItem) -> int:
    """The row number of `item`, stored now or before."""
    number, is_new = _insert(db, user_number(db, item.user_id), checked_item(item), found := words_of(item))
    if is_new:
        index_items(db, user_number(db, item.user_id), {number: found})
    return number


def insert_items(db: sqlite3.Connection, items: Iterable[HistoryItem], of_import: int | None = None) -> Counts:
    """Stores all of them in the caller's transaction. Returns how many were new and how many were there already.

    of_import: number of the import that brings them.
    """
    added = duplicates = 0
    source = iter(items)
    numbers: dict[str, int] = {}
    while batch := list(islice(source, BATCH)):
        fresh: dict[int, dict[int, list[str]]] = {}
        for item in batch:
            checked_item(item)
            if item.user_id not in numbers:
                numbers[item.user_id] = user_number(db, item.user_id)
            user = numbers[item.user_id]
            number, is_new = _insert(db, user, item, found := words_of(item), of_import)
            if is_new:
                fresh.setdefault(user, {})[number] = found
                added += 1
            else:
                duplicates += 1
        for user, texts in fresh.items():
            index_items(db, user, texts)
    return Counts(added, duplicates)


def delete_items(db: sqlite3.Connection, numbers: Collection[int]) -> None:
    """Deletes the items with these row numbers, out of the index and its statistics as well, damaged ones too."""
    wanted = json.dumps(list(numbers))
    query = "SELECT user, input, output, words FROM items WHERE id IN (SELECT value FROM json_each(?))"
    uncounted: set[int] = set()
    for user, given, output, length in db.execute(query, (wanted,)).fetchall():
        found = words(given) + words(output) if isinstance(given, str) and isinstance(output, str) else []
        if length != indexed_length(found):
            uncounted.add(user)
            continue
        db.execute(
            "UPDATE terms SET items = items - 1 WHERE user = ? AND term IN (SELECT value FROM json_each(?))",
            (user, json.dumps(sorted(set(found)))),
        )
    db.execute("DELETE FROM terms WHERE items <= 0")
    db.execute("DELETE FROM items WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
    for user in uncounted:
        _count_anew(db, user)


def _count_anew(db: sqlite3.Connection, user: int) -> None:
    """Makes a user's statistics agree with their items, where a deleted one did not say its words."""
    counts: Counter[str] = Counter()
    for given, output in db.execute("SELECT input, output FROM items WHERE user = ?", (user,)):
        if isinstance(given, str) and isinstance(output, str):
            counts.update(set(words(given) + words(output)))
    db.execute("DELETE FROM terms WHERE user = ?", (user,))
    rows = ((user, term, count) for term, count in sorted(counts.items()))
    db.executemany("INSERT INTO terms (user, term, items) VALUES (?, ?, ?)", rows)
    query = "SELECT count(*), coalesce(sum(min(max(words, 0), ?)), 0), ? FROM items WHERE user = ?"
    counted = db.execute(query, (MAX_WORDS, user, user)).fetchone()
    db.execute("UPDATE users SET items = ?, words = ? WHERE id = ?", counted)


def words_of(item: HistoryItem) -> list[str]:
    """The index terms of the item: of its input, then of its output."""
    return words(item.input) + words(item.output)


def _insert(
    db: sqlite3.Connection, user: int, item: HistoryItem, terms: list[str], of_import: int | None = None
) -> tuple[int, bool]:
    key = fingerprint(item)
    row = db.execute("SELECT id, source FROM items WHERE user = ? AND fingerprint = ?", (user, key)).fetchone()
    if row is not None:
        if row[1] in OWN_WORDS and item.source not in OWN_WORDS:  # now the user wrote it; no judgment takes it back
            db.execute("UPDATE items SET source = ? WHERE id = ?", (item.source, row[0]))
        return int(row[0]), False
    row = db.execute(
        "INSERT INTO items (user, kind, created_at, source, words, fingerprint, input, output, metadata, import) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            user,
            item.kind,
            to_milliseconds(item.created_at),
            item.source,
            indexed_length(terms),
            key,
            item.input,
            item.output,
            metadata_text(item.metadata),
            of_import,
        ),
    ).fetchone()
    return int(row[0]), True


def item(db: sqlite3.Connection, number: int, user_id: str | None = None) -> HistoryItem:
    """The item with this row number. NotFound if there is none, or if it is not this user's."""
    row = db.execute(f"{ITEMS} WHERE items.id = ? AND (?2 IS NULL OR users.name = ?2)", (number, user_id)).fetchone()
    if row is None:
        raise NotFound(f"there is no history item {number}", "see `edge-ttp history list`")
    return only("items", row, item_from)


def items_by_number(db: sqlite3.Connection, numbers: Collection[int], sieve: Sieve) -> dict[int, HistoryItem]:
    """The items with these row numbers; those that do not exist or are damaged are left out."""
    rows = db.execute(f"{ITEMS} WHERE items.id IN (SELECT value FROM json_each(?))", (json.dumps(list(numbers)),))  # noqa: S608
    return {int(item.id or 0): item for item in sieve.sift("items", rows, item_from)}


def select_items(
    db: sqlite3.Connection,
    user_id: str,
    *,
    kind: str | None,
    before: int | None,
    limit: int | None,
    newest_first: bool,
    prompts: bool = True,
    skip: int = 0,
    sieve: Sieve,
) -> list[HistoryItem]:
    """The user's items by time (equal times by row number), at most `limit`; with a limit, the newest or the oldest.

    skip: how many are passed over first.
    prompts: with what was typed to chatbots (PROMPT_KIND) where no kind is given.
    """
    direction = "DESC" if newest_first else "ASC"
    rows = db.execute(
        f"{ITEMS} WHERE users.name = ?1 AND (?2 IS NULL OR items.kind = ?2) AND (?3 IS NULL OR items.created_at < ?3) "
        "AND (?2 IS NOT NULL OR ?5 IS NULL OR items.kind <> ?5) "
        f"ORDER BY items.created_at {direction}, items.id {direction} LIMIT ?4 OFFSET ?6",
        (user_id, kind, before, -1 if limit is None else max(0, limit), None if prompts else PROMPT_KIND, skip),
    )
    return list(sieve.sift("items", rows, item_from))


def iterate_items(db: sqlite3.Connection, user_id: str | None, sieve: Sieve) -> Iterator[HistoryItem]:
    """All items of the user, or of all users if None, by row number: the order in which they were stored."""
    last = 0
    while True:
        rows = db.execute(
            f"{ITEMS} WHERE items.id > ?1 AND (?2 IS NULL OR users.name = ?2) ORDER BY items.id LIMIT ?3",
            (last, user_id, PAGE),
        ).fetchall()
        yield from sieve.sift("items", rows, item_from)
        if len(rows) < PAGE:
            return
        last = rows[-1][0]
