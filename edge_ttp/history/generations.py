"""Rows of generations with all their candidates, the judgments on them, and how long they are kept."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.history.items import insert_item, user_number
from edge_ttp.history.rows import (
    CANDIDATE_COLUMNS,
    FEEDBACK,
    GENERATION_COLUMNS,
    candidate_row,
    checked_text,
    feedback_from,
    generation_from,
    generation_row,
    to_milliseconds,
)
from edge_ttp.history.user import valid_user
from edge_ttp.schema import Feedback, Generation, HistoryItem, utc_now

_DAY = 86_400_000
_RETENTION = "retention_days"
_SELECT = f"SELECT users.name, {', '.join(f'g.{name}' for name in GENERATION_COLUMNS.split(', '))} " + (
    "FROM generations g JOIN users ON users.id = g.user"
)


def insert_generation(db: sqlite3.Connection, generation: Generation) -> None:
    """Stores the generation whole, and drops those that the user's retention no longer allows.

    InvalidInput if its id is taken, or if `chosen` and `n` do not fit its candidates.
    """
    count = len(generation.candidates)
    if not count or not 0 <= generation.chosen < count or generation.n < count:
        raise InvalidInput(
            f"generation {generation.generation_id} has {count} candidates for n={generation.n}, "
            f"chosen={generation.chosen}",
            "record a generation with its candidates and the index of one of them",
        )
    if db.execute("SELECT 1 FROM generations WHERE id = ?", (generation.generation_id,)).fetchone():
        raise InvalidInput(f"generation {generation.generation_id} is recorded already", "give each its own id")
    user = user_number(db, valid_user(generation.user))
    values = generation_row(generation, user)
    db.execute(
        f"INSERT INTO generations ({GENERATION_COLUMNS}, user) VALUES ({_marks(len(values))})",  # noqa: S608
        values,
    )
    rows = [candidate_row(each, generation.generation_id, at) for at, each in enumerate(generation.candidates)]
    db.executemany(
        f"INSERT INTO candidates ({CANDIDATE_COLUMNS}, generation, position) VALUES ({_marks(len(rows[0]))})",  # noqa: S608
        rows,
    )
    drop_expired(db, user)


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def generation(db: sqlite3.Connection, generation_id: str, user_id: str | None) -> Generation:
    """The generation with all its candidates. NotFound if there is none, or if it is not this user's."""
    row = db.execute(
        f"{_SELECT} WHERE g.id = ?1 AND (?2 IS NULL OR users.name = ?2)", (generation_id, user_id)
    ).fetchone()
    if row is None:
        raise NotFound(
            f"there is no generation {generation_id!r}", "see the generation_id that `edge-ttp generate` printed"
        )
    return _whole(db, row)


def _whole(db: sqlite3.Connection, row: tuple[Any, ...]) -> Generation:
    user, *values = row
    query = f"SELECT {CANDIDATE_COLUMNS} FROM candidates WHERE generation = ? ORDER BY position"  # noqa: S608
    return generation_from(tuple(values), user, db.execute(query, (values[0],)).fetchall())


def select_generations(db: sqlite3.Connection, user_id: str, limit: int | None) -> list[Generation]:
    """The user's newest generations, newest first."""
    query = f"{_SELECT} WHERE users.name = ? ORDER BY g.created_at DESC, g.rowid DESC LIMIT ?"
    rows = db.execute(query, (user_id, -1 if limit is None else max(0, limit))).fetchall()
    return [_whole(db, row) for row in rows]


def iterate_generations(db: sqlite3.Connection, user_id: str | None) -> Iterator[Generation]:
    """All generations of the user, or of all users if None, oldest first."""
    query = f"{_SELECT} WHERE ?1 IS NULL OR users.name = ?1 ORDER BY g.created_at, g.rowid"
    for row in db.execute(query, (user_id,)):
        yield _whole(db, row)


def insert_feedback(db: sqlite3.Connection, feedback: Feedback) -> Feedback:
    """The judgment, stored. An edited or accepted text is what the user stands behind: it becomes a history item too.

    NotFound if the user has no such generation; InvalidInput if it has no such candidate, or the text does not fit
    the kind.
    """
    judged = generation(db, feedback.generation_id, valid_user(feedback.user_id))
    if not 0 <= feedback.candidate < len(judged.candidates):
        raise InvalidInput(
            f"generation {judged.generation_id} has no candidate {feedback.candidate}",
            f"its candidates are 0 to {len(judged.candidates) - 1}",
        )
    if feedback.kind == "edit" and not (feedback.text or "").strip():
        raise InvalidInput("an edit needs the edited text", "give the text as it should have been")
    if feedback.kind != "edit" and feedback.text is not None:
        raise InvalidInput(f"{feedback.kind} takes no text", "use edit to give a better text")
    number: int | None = None
    if feedback.kind in ("edit", "accept"):
        text = judged.candidates[feedback.candidate].text if feedback.text is None else feedback.text
        if text.strip():  # an empty answer can be accepted, but teaches nothing
            number = insert_item(db, _endorsed(judged, feedback, text))
    return insert_feedback_row(db, feedback, number)


def _endorsed(judged: Generation, feedback: Feedback, text: str) -> HistoryItem:
    return HistoryItem(
        user_id=feedback.user_id,
        input=judged.prompt,
        output=text,
        kind=judged.kind or "text",
        created_at=feedback.created_at,
        source=feedback.kind,
        metadata={"generation_id": judged.generation_id, "candidate": feedback.candidate},
    )


def insert_feedback_row(db: sqlite3.Connection, feedback: Feedback, item_number: int | None) -> Feedback:
    """The judgment with its row number, stored as it is. item_number: the history item that came of it."""
    if feedback.text is not None:
        checked_text("the text", feedback.text)
    row = db.execute(
        "INSERT INTO feedback (generation, user, kind, candidate, text, created_at, item) "
        "VALUES (?, (SELECT id FROM users WHERE name = ?), ?, ?, ?, ?, ?) RETURNING id",
        (
            feedback.generation_id,
            feedback.user_id,
            feedback.kind,
            feedback.candidate,
            feedback.text,
            to_milliseconds(feedback.created_at),
            item_number,
        ),
    ).fetchone()
    return feedback_from(db.execute(f"{FEEDBACK} WHERE feedback.id = ?", row).fetchone())


def select_feedback(db: sqlite3.Connection, user_id: str | None) -> list[Feedback]:
    """All judgments of the user, or of all users if None, oldest first."""
    query = f"{FEEDBACK} WHERE ?1 IS NULL OR users.name = ?1 ORDER BY feedback.created_at, feedback.id"
    return [feedback_from(row) for row in db.execute(query, (user_id,))]


def retention(db: sqlite3.Connection, user_id: str) -> int | None:
    """Days the user's generations are kept; None without limit."""
    query = (
        "SELECT value FROM settings JOIN users ON users.id = settings.user WHERE users.name = ? AND settings.name = ?"
    )
    row = db.execute(query, (user_id, _RETENTION)).fetchone()
    return None if row is None else int(json.loads(row[0]))


def set_retention(db: sqlite3.Connection, user_id: str, days: int | None) -> int:
    """Sets the days (None: without limit) and returns how many generations that dropped."""
    user = user_number(db, user_id)
    if days is None:
        db.execute("DELETE FROM settings WHERE user = ? AND name = ?", (user, _RETENTION))
        return 0
    db.execute(
        "INSERT OR REPLACE INTO settings (user, name, value) VALUES (?, ?, ?)", (user, _RETENTION, json.dumps(days))
    )
    return drop_expired(db, user)


def drop_expired(db: sqlite3.Connection, user: int) -> int:
    """Deletes the user's generations past retention, with candidates and feedback. Returns how many. Items stay."""
    row = db.execute("SELECT value FROM settings WHERE user = ? AND name = ?", (user, _RETENTION)).fetchone()
    if row is None:
        return 0
    oldest = to_milliseconds(utc_now()) - int(json.loads(row[0])) * _DAY
    return db.execute("DELETE FROM generations WHERE user = ? AND created_at < ?", (user, oldest)).rowcount
