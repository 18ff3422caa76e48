"""Taking out what a user no longer wants kept: rows, index, what was learned from them, and their remains in the file.

Deleting is one transaction. Remains are then overwritten: FTS5 keeps deleted words in its segments until they are
merged, SQLite keeps old pages in the write-ahead log until it is truncated, and in free pages until a VACUUM. A note in
the file (`chores`) says that this is due; it is done at the next opening if the process died before.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edge_ttp.errors import NotFound
from edge_ttp.history.connection import Connections
from edge_ttp.history.driver import error_types
from edge_ttp.history.faults import HistoryBlocked, primary_code
from edge_ttp.history.imports import drop_empty
from edge_ttp.history.items import delete_items
from edge_ttp.history.kept import forget_kept
from edge_ttp.history.learned_rows import drawn_from
from edge_ttp.history.read_states import forget_states
from edge_ttp.history.sieve import UNREADABLE

CHORE = "overwrite"


@dataclass(frozen=True)
class Forgotten:
    """What was taken out."""

    items: int
    generations: int
    """With their candidates and judgments."""
    calibrations: int
    """Past texts whose drawn candidates went, with the evidence."""
    overwritten: bool
    """Whether the remains were overwritten at once. If not, another process had the file open or the disk is full: it
    is done at the next opening that can."""


Deletion = Callable[[sqlite3.Connection], tuple[int, int, int]]
"""Deletes in the caller's transaction; returns items, generations and calibrations that went."""


def forget(connections: Connections, user_id: str | None, deletion: Deletion) -> Forgotten:
    """Carries out `deletion` in one transaction, then overwrites what remains of it in the file."""
    with connections.writing() as db:
        counts = deletion(db)
        drop_empty(db)
        # What the trigger did not find, because a damaged item did not say how many words it has.
        db.execute(
            "DELETE FROM item_index WHERE rowid IN "
            "(SELECT id FROM item_index_docsize EXCEPT SELECT id * 4096 + words FROM items)"
        )
        forget_kept(connections.path, user_id)
        forget_states(connections.path, user_id)
        db.execute("INSERT OR IGNORE INTO chores (name) VALUES (?)", (CHORE,))
    return Forgotten(*counts, overwritten=overwrite(connections))


def everything(user_id: str) -> Deletion:
    """Deletes all that belongs to the user, their name included. NotFound for an unknown user."""

    def delete(db: sqlite3.Connection) -> tuple[int, int, int]:
        user = _number(db, user_id)
        counts = [
            db.execute(f"SELECT count(*) FROM {table} WHERE user = ?", (user,)).fetchone()[0]  # noqa: S608
            for table in ("items", "generations", "calibrations")
        ]
        db.execute("DELETE FROM users WHERE id = ?", (user,))
        return counts[0], counts[1], counts[2]

    return delete


def one_answer(user_id: str, generation_id: str) -> Deletion:
    """Deletes one generation with its candidates and what was said of it. NotFound if it is not this user's."""

    def delete(db: sqlite3.Connection) -> tuple[int, int, int]:
        user = _number(db, user_id)
        gone = db.execute("DELETE FROM generations WHERE id = ? AND user = ?", (generation_id, user)).rowcount
        if not gone:
            raise NotFound(f"there is no generation {generation_id!r}", "see `edge-ttp history generations`")
        return 0, gone, 0

    return delete


def one_item(user_id: str, item_id: int) -> Deletion:
    """Deletes one item and whatever holds its text. NotFound if it is not this user's."""

    def delete(db: sqlite3.Connection) -> tuple[int, int, int]:
        owned = "SELECT 1 FROM items JOIN users ON users.id = items.user WHERE items.id = ? AND users.name = ?"
        if not db.execute(owned, (item_id, user_id)).fetchone():
            raise NotFound(f"there is no history item {item_id}", "see `edge-ttp history list`")
        return _delete_items(db, _number(db, user_id), [item_id])

    return delete


def older(user_id: str, before: int) -> Deletion:
    """Deletes items and generations from before a moment (milliseconds), and whatever holds those items' texts."""

    def delete(db: sqlite3.Connection) -> tuple[int, int, int]:
        user = _number(db, user_id)
        rows = db.execute("SELECT id FROM items WHERE user = ? AND created_at < ?", (user, before)).fetchall()
        items, generations, calibrations = _delete_items(db, user, [row[0] for row in rows])
        gone = db.execute("DELETE FROM generations WHERE user = ? AND created_at < ?", (user, before)).rowcount
        return items, generations + gone, calibrations

    return delete


def imported(user_id: str | None, number: int) -> Deletion:
    """Deletes the items and generations that an import brought to this user (to all if None), and what holds their
    texts. NotFound if there are none.
    """

    def delete(db: sqlite3.Connection) -> tuple[int, int, int]:
        query = (
            "SELECT m.user FROM imports m JOIN users u ON u.id = m.user "
            "WHERE m.import = ?1 AND (?2 IS NULL OR u.name = ?2)"
        )
        users = [row[0] for row in db.execute(query, (number, user_id))]
        counts = [0, 0, 0]
        for user in users:
            rows = db.execute("SELECT id FROM items WHERE user = ? AND import = ?", (user, number)).fetchall()
            gone = db.execute("DELETE FROM generations WHERE user = ? AND import = ?", (user, number)).rowcount
            items, generations, calibrations = _delete_items(db, user, [row[0] for row in rows])
            counts = [counts[0] + items, counts[1] + generations + gone, counts[2] + calibrations]
        if not sum(counts):
            raise NotFound(f"there is no import {number} any more", "see `edge-ttp history imports`")
        return counts[0], counts[1], counts[2]

    return delete


def _number(db: sqlite3.Connection, user_id: str) -> int:
    row = db.execute("SELECT id FROM users WHERE name = ?", (user_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no user {user_id!r} in the history", "see `edge-ttp history stats --all-users`")
    return int(row[0])


def _delete_items(db: sqlite3.Connection, user: int, numbers: list[int]) -> tuple[int, int, int]:
    wanted = json.dumps(numbers)
    outputs = db.execute("SELECT output FROM items WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
    texts = [text for (text,) in outputs if isinstance(text, str) and text.strip()]
    # The answers that items came of hold their texts as well, and so may others that were drawn with them in view.
    generations = {
        row[0]
        for row in db.execute(
            "SELECT generation FROM feedback WHERE user = ? AND item IN (SELECT value FROM json_each(?))",
            (user, wanted),
        )
    }
    rows = db.execute(
        "SELECT g.id, c.text FROM generations g JOIN candidates c ON c.generation = g.id WHERE g.user = ?", (user,)
    )
    generations |= {name for name, text in rows if _holds(text, texts)}
    db.executemany("DELETE FROM generations WHERE id = ?", [(name,) for name in generations])
    gone = set(numbers)
    drawn = db.execute("SELECT id, item, candidates FROM calibrations WHERE user = ?", (user,)).fetchall()
    calibrations = [number for number, item, candidates in drawn if item in gone or _holds_any(candidates, texts)]
    db.executemany("DELETE FROM calibrations WHERE id = ?", [(number,) for number in calibrations])
    delete_items(db, numbers)
    db.execute("DELETE FROM posteriors WHERE user = ?", (user,))
    return len(numbers), len(generations), len(calibrations)


def _holds(text: object, forgotten: Iterable[str]) -> bool:
    """Whether `text` repeats a forgotten one. A damaged text may: it goes too."""
    return not isinstance(text, str) or any(one in text for one in forgotten)


def _holds_any(candidates: object, forgotten: Iterable[str]) -> bool:
    try:
        return any(_holds(one.text, forgotten) for one in drawn_from(candidates))
    except UNREADABLE:
        return True


def due(connections: Connections) -> bool:
    """Whether something was deleted whose remains were not overwritten yet."""
    with connections.reading() as db:
        return bool(db.execute("SELECT 1 FROM chores WHERE name = ?", (CHORE,)).fetchone())


def overwrite(connections: Connections) -> bool:
    """Overwrites the remains of what was deleted; False where another process keeps the file busy, or the disk is full.

    It is tried again at the next opening: what was deleted is gone for every reader already.
    """
    try:
        with connections.writing() as db:
            db.execute("INSERT INTO item_index (item_index) VALUES ('optimize')")
        with connections.alone() as db:
            if not (_truncate_log(db) and _vacuum(db) and _truncate_log(db)):
                return False
        with connections.writing() as db:
            db.execute("DELETE FROM chores WHERE name = ?", (CHORE,))
    except HistoryBlocked:
        return False
    return True


def _truncate_log(db: sqlite3.Connection) -> bool:
    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _vacuum(db: sqlite3.Connection) -> bool:
    try:
        db.execute("VACUUM")
    except error_types() as error:
        if primary_code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return False
    return True
