"""Rows of what is learned about a user: candidates drawn for past items, evidence, the posterior made of it.

Evidence hangs on what it came from (a calibrated item, a judgment) and goes with it. Every change of a user's evidence
raises the user's `evidence` count by triggers, in the same transaction; a posterior is valid while its count is equal.
So it can never disagree with the evidence, whatever was deleted or killed: it is made again from it.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.history.items import OWN_WORDS, user_number
from edge_ttp.history.learned_rows import (
    Layer,
    StoredEvidence,
    StoredPosterior,
    bytes_of,
    candidates_text,
    check_evidence,
    drawn_from,
    evidence_from,
    exact_bytes_of,
    layer_from,
    posterior_from,
)
from edge_ttp.history.rows import FEEDBACK, ITEMS, feedback_from, item_from, to_milliseconds
from edge_ttp.history.sieve import UNREADABLE, Sieve
from edge_ttp.schema import PROMPT_KIND, Candidate, Feedback, HistoryItem, utc_now

_STRENGTH = {"edit": 2, "prefer": 1, "accept": 1, "reject": 1, "copied": 0, "regenerated": 0}
"""Of several judgments on one generation, the latest of the strongest counts."""


@dataclass(frozen=True)
class Calibrated:
    """A past item that the policy answered anew, with only earlier history in view."""

    number: int
    """Row number."""
    item: HistoryItem
    candidates: tuple[Candidate, ...]
    """Text, tokens and log-probability of each; nothing else of them is kept."""
    model: str


@dataclass(frozen=True)
class Sourced:
    """Evidence with the candidates that it is about."""

    evidence: StoredEvidence
    name: str
    """The generation's id, or `item N` for a past item that was answered anew."""
    texts: tuple[str, ...]


def put_layer(db: sqlite3.Connection, generation_id: str, layer: Layer) -> None:
    """Stores the last layer of a generation's candidates."""
    db.execute(
        "INSERT INTO layers (generation, reward, features, noise) VALUES (?, ?, ?, ?)",
        (generation_id, layer.reward, bytes_of(layer.features), bytes_of(layer.noise)),
    )


def layer(db: sqlite3.Connection, generation_id: str, sieve: Sieve) -> Layer | None:
    """The last layer of a generation's candidates, None where it was not scored or is damaged."""
    query = (
        "SELECT generation, reward, features, noise, "
        "(SELECT count(*) FROM candidates c WHERE c.generation = layers.generation) FROM layers WHERE generation = ?"
    )
    rows = db.execute(query, (generation_id,)).fetchall()
    return next(sieve.sift("layers", rows, lambda row: layer_from(*row[1:])), None)


def put_calibration(
    db: sqlite3.Connection, item: HistoryItem, model: str, candidates: Sequence[Candidate], evidence: StoredEvidence
) -> bool:
    """Stores what was drawn for an item and what it says. False where the item is gone or calibrated already."""
    row = db.execute(
        "INSERT INTO calibrations (user, item, created_at, model, candidates) "
        "SELECT user, id, ?, ?, ? FROM items WHERE id = ? ON CONFLICT DO NOTHING RETURNING id",
        (to_milliseconds(utc_now()), model, candidates_text(candidates), item.id),
    ).fetchone()
    if row is None:
        return False
    put_evidence(db, item.user_id, evidence, calibration=row[0])
    return True


def put_evidence(
    db: sqlite3.Connection,
    user_id: str,
    evidence: StoredEvidence,
    *,
    calibration: int | None = None,
    feedback: int | None = None,
) -> None:
    """Stores evidence, in the place of what came from the same calibration or judgment under another reward model.

    InvalidInput if its numbers do not fit together.
    """
    try:
        check_evidence(evidence)
    except ValueError as error:
        raise InvalidInput(f"evidence that cannot be stored: {error}", "check the reward model") from None
    db.execute(
        "INSERT OR REPLACE INTO evidence "
        "(user, calibration, feedback, reward, kind, moment, candidate, features, noise, utility) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            user_number(db, user_id),
            calibration,
            feedback,
            evidence.layer.reward,
            evidence.kind,
            evidence.moment,
            evidence.candidate,
            bytes_of(evidence.layer.features),
            bytes_of(evidence.layer.noise),
            None if evidence.utility is None else bytes_of(evidence.utility),
        ),
    )


def put_judgment(db: sqlite3.Connection, feedback: Feedback, evidence: StoredEvidence) -> None:
    """Stores the evidence of a judgment in the place of weaker ones of the same generation, unless one is stronger."""
    rows = db.execute(
        "SELECT e.id, e.kind FROM evidence e JOIN feedback f ON f.id = e.feedback WHERE f.generation = ?",
        (feedback.generation_id,),
    ).fetchall()
    if any(_STRENGTH.get(kind, 0) > _STRENGTH[evidence.kind] for _, kind in rows):
        return
    db.executemany("DELETE FROM evidence WHERE id = ?", [(number,) for number, _ in rows])
    put_evidence(db, feedback.user_id, evidence, feedback=feedback.id)


_EVIDENCE = (
    "SELECT e.id, e.kind, e.moment, e.candidate, e.reward, e.features, e.noise, e.utility, "
    "c.item, c.candidates, f.generation FROM evidence e JOIN users ON users.id = e.user "
    "LEFT JOIN calibrations c ON c.id = e.calibration LEFT JOIN feedback f ON f.id = e.feedback "
    "WHERE users.name = ? AND e.reward = ? ORDER BY e.moment DESC, e.id DESC LIMIT ?"
)


def select_evidence(
    db: sqlite3.Connection, user_id: str, reward: str, limit: int, sieve: Sieve
) -> tuple[int, list[StoredEvidence]]:
    """(the user's evidence count, evidence under this reward model from the newest on, at most `limit`)."""
    row = db.execute("SELECT evidence FROM users WHERE name = ?", (user_id,)).fetchone()
    if row is None:
        return 0, []
    rows = db.execute(_EVIDENCE, (user_id, reward, limit))
    found = sieve.sift("evidence", rows, lambda row: (row[0], evidence_from(row[1:8])))
    return row[0] if type(row[0]) is int else 0, [evidence for _, evidence in _of_one_width(found, sieve)]


def sourced_evidence(db: sqlite3.Connection, user_id: str, reward: str, limit: int, sieve: Sieve) -> list[Sourced]:
    """What `select_evidence` gives, in its order, each with its candidates' texts."""

    def sourced(row: tuple[Any, ...]) -> tuple[int, Sourced]:
        evidence = evidence_from(row[1:8])
        item, drawn, generation = row[8:]
        if drawn is not None:
            name, texts = f"item {item}", tuple(one.text for one in drawn_from(drawn))
        else:
            query = "SELECT text FROM candidates WHERE generation = ? ORDER BY position"
            name, texts = str(generation), tuple(str(text) for (text,) in db.execute(query, (generation,)))
        if len(texts) != len(evidence.layer.noise):
            raise ValueError("it is about other candidates than there are")
        return row[0], Sourced(evidence, name, texts)

    rows = db.execute(_EVIDENCE, (user_id, reward, limit)).fetchall()
    found = list(sieve.sift("evidence", rows, sourced))
    kept = {number for number, _ in _of_one_width(((number, one.evidence) for number, one in found), sieve)}
    return [one for number, one in found if number in kept]


def _of_one_width(numbered: Iterable[tuple[int, StoredEvidence]], sieve: Sieve) -> list[tuple[int, StoredEvidence]]:
    """The evidence whose features are as many as those of most others: one reward model makes only one number."""
    evidence = list(numbered)
    widths = Counter(one.layer.features.shape[1] for _, one in evidence)
    if len(widths) < 2:
        return evidence
    usual = widths.most_common(1)[0][0]
    for number, one in evidence:
        if one.layer.features.shape[1] != usual:
            sieve.leave_out("evidence", number, "it has other features than the rest")
    return [(number, one) for number, one in evidence if one.layer.features.shape[1] == usual]


def uncalibrated(db: sqlite3.Connection, user_id: str, limit: int, sieve: Sieve) -> list[HistoryItem]:
    """The user's newest items that were not calibrated yet and have an input, except judgments and prompts."""
    rows = db.execute(
        f"{ITEMS} WHERE users.name = ? AND items.input <> '' "  # noqa: S608
        "AND items.source NOT IN (SELECT value FROM json_each(?)) AND items.kind <> ? "
        "AND NOT EXISTS (SELECT 1 FROM calibrations c WHERE c.item = items.id) "
        "ORDER BY items.created_at DESC, items.id DESC LIMIT ?",
        (user_id, json.dumps(sorted(OWN_WORDS)), PROMPT_KIND, limit),
    )
    return list(sieve.sift("items", rows, item_from))


def outdated(
    db: sqlite3.Connection, user_id: str, reward: str, sieve: Sieve
) -> tuple[list[Calibrated], list[Feedback]]:
    """Calibrations and judgments without evidence under this reward model, newest first."""
    calibrated = db.execute(
        f"SELECT c.id, c.model, c.candidates, i.* FROM calibrations c JOIN ({ITEMS}) i ON i.id = c.item "  # noqa: S608
        "WHERE i.name = ? AND NOT EXISTS (SELECT 1 FROM evidence e WHERE e.calibration = c.id AND e.reward = ?) "
        "ORDER BY i.created_at DESC, c.id DESC",
        (user_id, reward),
    )
    judged = db.execute(
        f"{FEEDBACK} WHERE users.name = ?1 AND feedback.id = ("  # noqa: S608
        "  SELECT f.id FROM feedback f WHERE f.generation = feedback.generation ORDER BY "
        "  CASE f.kind WHEN 'edit' THEN 2 WHEN 'copied' THEN 0 WHEN 'regenerated' THEN 0 ELSE 1 END DESC, f.id DESC"
        "  LIMIT 1) AND NOT EXISTS (SELECT 1 FROM evidence e WHERE e.feedback = feedback.id AND e.reward = ?2) "
        "ORDER BY feedback.created_at DESC, feedback.id DESC",
        (user_id, reward),
    )
    return (
        list(sieve.sift("calibrations", calibrated, _calibrated)),
        list(sieve.sift("feedback", judged, feedback_from)),
    )


def posterior(db: sqlite3.Connection, user_id: str, reward: str) -> StoredPosterior | None:
    """The user's posterior under this reward model, None where it is missing or older than the evidence."""
    row = db.execute(
        "SELECT p.version, p.evidence, p.trust, p.mean, p.covariance, p.record FROM posteriors p "
        "JOIN users ON users.id = p.user WHERE users.name = ? AND p.reward = ? AND p.version = users.evidence",
        (user_id, reward),
    ).fetchone()
    if row is None:
        return None
    try:
        return posterior_from(reward, row)
    except UNREADABLE:
        return None  # it is made again from the evidence


def put_posterior(db: sqlite3.Connection, user_id: str, made: StoredPosterior) -> bool:
    """Stores the posterior, unless the evidence has changed since it was read: then False."""
    return bool(
        db.execute(
            "INSERT OR REPLACE INTO posteriors "
            "(user, reward, version, evidence, trust, mean, covariance, record, created_at) "
            "SELECT id, ?, ?, ?, ?, ?, ?, ?, ? FROM users WHERE name = ? AND evidence = ?",
            (
                made.reward,
                made.version,
                made.evidence,
                made.trust,
                exact_bytes_of(made.mean),
                exact_bytes_of(made.covariance),
                made.record,
                to_milliseconds(utc_now()),
                user_id,
                made.version,
            ),
        ).rowcount
    )


def renew(db: sqlite3.Connection, source: Calibrated | Feedback, evidence: StoredEvidence) -> None:
    """Stores the evidence of `source` under another reward model; nothing where the source is gone."""
    if isinstance(source, Calibrated):
        if db.execute("SELECT 1 FROM calibrations WHERE id = ?", (source.number,)).fetchone():
            put_evidence(db, source.item.user_id, evidence, calibration=source.number)
    elif db.execute("SELECT 1 FROM feedback WHERE id = ?", (source.id,)).fetchone():
        put_judgment(db, source, evidence)


def _calibrated(row: tuple[Any, ...]) -> Calibrated:
    number, model, drawn, *item = row
    return Calibrated(number, item_from(tuple(item)), drawn_from(drawn), str(model))
