"""Storing items, generations and feedback as they once were: what an export holds, and what importers make."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.exchange.records import LearnedRecord, Record
from edge_ttp.history.generations import generation, insert_generation
from edge_ttp.history.items import BATCH, Counts, insert_items
from edge_ttp.history.judgments import insert_feedback_row
from edge_ttp.history.learned_records import restore_learned
from edge_ttp.history.rows import checked_item, fingerprint, metadata_text, to_milliseconds
from edge_ttp.schema import Feedback, Generation, HistoryItem


class RefusedRecord(InvalidInput):
    """One record of many cannot be stored."""

    def __init__(self, index: int, fact: str, cure: str) -> None:
        self.index = index
        super().__init__(fact, cure)


def restore(
    db: sqlite3.Connection, records: Iterable[Record], *, strict: bool, number: int | None = None
) -> tuple[Counts, list[tuple[int, str]], set[str]]:
    """Stores the records in the caller's transaction, each as it is: feedback makes no history item here.

    Returns how many were new and how many were there already, and (index, reason) of those that cannot be stored;
    under `strict` the first of these raises RefusedRecord instead. Feedback must come after its generation, and what
    is learned after what it came from. number: of the import that brings them; the last value returned are the users
    whom the records are about.
    """
    counts = Counts(0, 0)
    refused: list[tuple[int, str]] = []
    waiting: list[HistoryItem] = []
    users: set[str] = set()
    for index, record in enumerate(records):
        try:
            if not isinstance(record, HistoryItem | Generation | Feedback | LearnedRecord):
                raise InvalidInput(f"{type(record).__name__} is no record", "give items, generations, feedback")
            users.add(record.user if isinstance(record, Generation) else record.user_id)
            if isinstance(record, HistoryItem):
                metadata_text(checked_item(record).metadata)
                waiting.append(record)
            if len(waiting) == BATCH or not isinstance(record, HistoryItem):
                counts += insert_items(db, waiting, number)
                waiting = []
            if not isinstance(record, HistoryItem):
                counts += _restore_one(db, record, number)
        except (InvalidInput, NotFound) as error:
            if strict:
                raise RefusedRecord(index, error.fact, error.cure) from error
            refused.append((index, error.fact))
    return counts + insert_items(db, waiting, number), refused, users


def _restore_one(db: sqlite3.Connection, record: Generation | Feedback | LearnedRecord, number: int | None) -> Counts:
    if isinstance(record, LearnedRecord):
        return Counts(1, 0) if restore_learned(db, record) else Counts(0, 1)
    if isinstance(record, Generation):
        query = "SELECT 1 FROM generations g JOIN users ON users.id = g.user WHERE g.id = ? AND users.name = ?"
        if db.execute(query, (record.generation_id, record.user)).fetchone():
            return Counts(0, 1)
        insert_generation(db, record)
        db.execute("UPDATE generations SET import = ? WHERE id = ?", (number, record.generation_id))
        return Counts(1, 0)
    judged = generation(db, record.generation_id, record.user_id)
    if not 0 <= record.candidate < len(judged.candidates):
        raise InvalidInput(f"generation {judged.generation_id} has no candidate {record.candidate}")
    known = db.execute(
        "SELECT 1 FROM feedback WHERE generation = ? AND kind = ? AND candidate = ? AND text IS ? AND created_at = ?",
        (record.generation_id, record.kind, record.candidate, record.text, to_milliseconds(record.created_at)),
    ).fetchone()
    if known:
        return Counts(0, 1)
    insert_feedback_row(db, record, _made_of(db, record, judged))
    return Counts(1, 0)


def _made_of(db: sqlite3.Connection, record: Feedback, judged: Generation) -> int | None:
    """The history item that came of an edit or an accept, if it is there."""
    if record.kind not in ("edit", "accept"):
        return None
    text = judged.candidates[record.candidate].text if record.text is None else record.text
    given = judged.prompt if judged.remember is None else judged.remember
    key = fingerprint(HistoryItem(user_id=record.user_id, input=given, output=text))
    query = "SELECT i.id FROM items i JOIN users ON users.id = i.user WHERE i.fingerprint = ? AND users.name = ?"
    row = db.execute(query, (key, record.user_id)).fetchone()
    return None if row is None else int(row[0])
