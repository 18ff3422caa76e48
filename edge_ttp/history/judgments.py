"""Rows of judgments on generations, and the history items that come of them.

A person has one opinion of an answer: of `accept`, `reject`, `edit` and `prefer` a generation keeps the last one that
was said, and what the one before it had brought into the history goes out again. `copied` and `regenerated`, which the
app saw, stand beside it, once each.
"""

from __future__ import annotations

import sqlite3

from edge_ttp.errors import InvalidInput
from edge_ttp.history.generations import generation
from edge_ttp.history.items import OWN_WORDS, delete_items, insert_item
from edge_ttp.history.rows import FEEDBACK, checked_text, feedback_from, to_milliseconds
from edge_ttp.history.sieve import Sieve
from edge_ttp.history.user import valid_user
from edge_ttp.schema import Feedback, FeedbackKind, Generation, HistoryItem

SEEN: frozenset[FeedbackKind] = frozenset({"copied", "regenerated"})
"""Kinds that the app saw; the others were said by the user."""


def insert_feedback(db: sqlite3.Connection, feedback: Feedback) -> Feedback:
    """The judgment, stored in the place of the one that it replaces (`rivals`).

    An edited or accepted text is what the user stands behind: it becomes a history item too. NotFound if the user has
    no such generation; InvalidInput if it has no such candidate, or the text does not fit the kind.
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
    delete_feedback(db, rivals(db, feedback.generation_id, feedback.kind))
    number: int | None = None
    if feedback.kind in OWN_WORDS:
        text = judged.candidates[feedback.candidate].text if feedback.text is None else feedback.text
        if text.strip():  # an empty answer can be accepted, but teaches nothing
            number = insert_item(db, _endorsed(judged, feedback, text))
    return insert_feedback_row(db, feedback, number)


def _endorsed(judged: Generation, feedback: Feedback, text: str) -> HistoryItem:
    return HistoryItem(
        user_id=feedback.user_id,
        input=judged.prompt if judged.remember is None else judged.remember,
        output=text,
        kind=judged.kind or "text",
        created_at=feedback.created_at,
        source=feedback.kind,
        metadata={
            "generation_id": judged.generation_id,
            "candidate": feedback.candidate,
            **({} if judged.conversation is None else {"conversation": judged.conversation}),
        },
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


def select_feedback(db: sqlite3.Connection, user_id: str | None, sieve: Sieve) -> list[Feedback]:
    """All judgments of the user, or of all users if None, oldest first."""
    query = f"{FEEDBACK} WHERE ?1 IS NULL OR users.name = ?1 ORDER BY feedback.created_at, feedback.id"
    return list(sieve.sift("feedback", db.execute(query, (user_id,)), feedback_from))


def judgments(db: sqlite3.Connection, generation_id: str, sieve: Sieve) -> list[Feedback]:
    """The judgments on one generation, oldest first."""
    rows = db.execute(f"{FEEDBACK} WHERE feedback.generation = ? ORDER BY feedback.id", (generation_id,))
    return list(sieve.sift("feedback", rows, feedback_from))


def rivals(db: sqlite3.Connection, generation_id: str, kind: FeedbackKind) -> list[Feedback]:
    """The judgments on a generation that one of this `kind` takes the place of."""
    return [one for one in judgments(db, generation_id, Sieve()) if one.kind == kind or not {one.kind, kind} & SEEN]


def delete_feedback(db: sqlite3.Connection, given: list[Feedback]) -> None:
    """Takes judgments back: their evidence goes, and the history items that came of them and of nothing else."""
    for one in given:
        (number,) = db.execute("SELECT item FROM feedback WHERE id = ?", (one.id,)).fetchone()
        db.execute("DELETE FROM feedback WHERE id = ?", (one.id,))
        if number is None:
            continue
        source = db.execute("SELECT source FROM items WHERE id = ?", (number,)).fetchone()
        if (
            source is not None
            and source[0] in OWN_WORDS
            and not db.execute("SELECT 1 FROM feedback WHERE item = ?", (number,)).fetchone()
        ):
            delete_items(db, [number])
