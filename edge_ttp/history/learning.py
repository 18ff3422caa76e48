"""Rows of what is learned about a user: candidates drawn for past items, evidence, the posterior made of it.

Evidence hangs on what it came from (a calibrated item, a judgment) and goes with it. Every change of a user's evidence
raises the user's `evidence` count by triggers, in the same transaction; a posterior is valid while its count is equal.
So it can never disagree with the evidence, whatever was deleted or killed: it is made again from it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.history.items import OWN_WORDS, user_number
from edge_ttp.history.rows import FEEDBACK, ITEMS, feedback_from, item_from, to_milliseconds
from edge_ttp.schema import PROMPT_KIND, Candidate, Feedback, HistoryItem, utc_now

Floats = npt.NDArray[np.float64]
_STORED = np.dtype("<f4")
_EXACT = np.dtype("<f8")

_STRENGTH = {"edit": 2, "prefer": 1, "accept": 1, "reject": 1, "copied": 0, "regenerated": 0}
"""Of several judgments on one generation, the latest of the strongest counts."""


@dataclass(frozen=True)
class Layer:
    """The reward model's last layer over the candidates of one generation, as they were scored."""

    reward: str
    """Fingerprint of the reward model."""
    features: Floats
    """(N, D), centred within the pool."""
    noise: Floats
    """(N,) learned noise variances."""


@dataclass(frozen=True)
class StoredEvidence:
    """One pool and what the user's behaviour says of it. Numbers are kept in 32 bits."""

    kind: str
    layer: Layer
    moment: int
    """Milliseconds since 1970 when the user wrote or judged it; newer evidence weighs more."""
    utility: Floats | None = None
    """(N,) agreement with the user's own text; None for judgments without one."""
    candidate: int = 0
    """The candidate that was judged."""


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


@dataclass(frozen=True)
class StoredPosterior:
    """What a user's evidence was turned into."""

    reward: str
    version: int
    """The user's evidence count that it was made from."""
    evidence: int
    """Pools behind it."""
    trust: float
    mean: Floats
    """(D,)."""
    covariance: Floats
    """(D, D)."""
    record: str
    """The calibration record, as JSON."""


def put_layer(db: sqlite3.Connection, generation_id: str, layer: Layer) -> None:
    """Stores the last layer of a generation's candidates."""
    db.execute(
        "INSERT INTO layers (generation, reward, features, noise) VALUES (?, ?, ?, ?)",
        (generation_id, layer.reward, _bytes(layer.features), _bytes(layer.noise)),
    )


def layer(db: sqlite3.Connection, generation_id: str) -> Layer | None:
    """The last layer of a generation's candidates, None where it was not scored."""
    row = db.execute("SELECT reward, features, noise FROM layers WHERE generation = ?", (generation_id,)).fetchone()
    return None if row is None else _layer(*row)


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


def candidates_text(candidates: Sequence[Candidate]) -> str:
    """What is kept of the candidates, as JSON."""
    return json.dumps([[one.text, one.tokens, one.logprob] for one in candidates], ensure_ascii=False)


def candidates_from(text: str) -> tuple[Candidate, ...]:
    """The reverse of `candidates_text`. Raises ValueError or TypeError for anything else."""
    return tuple(
        Candidate(text=str(text), tokens=int(tokens), logprob=float(logprob))
        for text, tokens, logprob in json.loads(text)
    )


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
    count = len(evidence.layer.noise)
    utility = evidence.utility
    arrays = [evidence.layer.features, evidence.layer.noise, *([] if utility is None else [utility])]
    fitting = (
        evidence.layer.features.ndim == 2
        and all(len(one) == count and np.isfinite(one).all() for one in arrays)
        and 0 <= evidence.candidate < count
        and (evidence.layer.noise > 0).all()
    )
    if not fitting:
        raise InvalidInput("evidence with numbers that do not fit together", "check the reward model")
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
            _bytes(evidence.layer.features),
            _bytes(evidence.layer.noise),
            None if utility is None else _bytes(utility),
        ),
    )


def put_judgment(db: sqlite3.Connection, feedback: Feedback, evidence: StoredEvidence) -> None:
    """Stores the evidence of a judgment in the place of weaker ones of the same generation, unless one is stronger."""
    rows = db.execute(
        "SELECT e.id, e.kind FROM evidence e JOIN feedback f ON f.id = e.feedback WHERE f.generation = ?",
        (feedback.generation_id,),
    ).fetchall()
    if any(_STRENGTH[kind] > _STRENGTH[evidence.kind] for _, kind in rows):
        return
    db.executemany("DELETE FROM evidence WHERE id = ?", [(number,) for number, _ in rows])
    put_evidence(db, feedback.user_id, evidence, feedback=feedback.id)


def select_evidence(db: sqlite3.Connection, user_id: str, reward: str, limit: int) -> tuple[int, list[StoredEvidence]]:
    """(the user's evidence count, evidence under this reward model from the newest on, at most `limit`)."""
    row = db.execute("SELECT id, evidence FROM users WHERE name = ?", (user_id,)).fetchone()
    if row is None:
        return 0, []
    rows = db.execute(
        "SELECT kind, moment, candidate, reward, features, noise, utility FROM evidence "
        "WHERE user = ? AND reward = ? ORDER BY moment DESC, id DESC LIMIT ?",
        (row[0], reward, limit),
    )
    found = [
        StoredEvidence(kind, _layer(reward, features, noise), moment, None if utility is None else _array(utility), at)
        for kind, moment, at, reward, features, noise, utility in rows
    ]
    return int(row[1]), found


def sourced_evidence(db: sqlite3.Connection, user_id: str, reward: str, limit: int) -> list[Sourced]:
    """What `select_evidence` gives, in its order, each with its candidates' texts."""
    rows = db.execute(
        "SELECT e.kind, e.moment, e.candidate, e.features, e.noise, e.utility, c.item, c.candidates, f.generation "
        "FROM evidence e JOIN users ON users.id = e.user "
        "LEFT JOIN calibrations c ON c.id = e.calibration LEFT JOIN feedback f ON f.id = e.feedback "
        "WHERE users.name = ? AND e.reward = ? ORDER BY e.moment DESC, e.id DESC LIMIT ?",
        (user_id, reward, limit),
    )
    found = []
    for kind, moment, at, features, noise, utility, item, drawn, generation in rows:
        if drawn is not None:
            name, texts = f"item {item}", tuple(str(one[0]) for one in json.loads(drawn))
        else:
            query = "SELECT text FROM candidates WHERE generation = ? ORDER BY position"
            name, texts = str(generation), tuple(text for (text,) in db.execute(query, (generation,)))
        told = None if utility is None else _array(utility)
        found.append(Sourced(StoredEvidence(kind, _layer(reward, features, noise), moment, told, at), name, texts))
    return found


def uncalibrated(db: sqlite3.Connection, user_id: str, limit: int) -> list[HistoryItem]:
    """The user's newest items that were not calibrated yet and have an input, except judgments and prompts."""
    rows = db.execute(
        f"{ITEMS} WHERE users.name = ? AND items.input <> '' "  # noqa: S608
        "AND items.source NOT IN (SELECT value FROM json_each(?)) AND items.kind <> ? "
        "AND NOT EXISTS (SELECT 1 FROM calibrations c WHERE c.item = items.id) "
        "ORDER BY items.created_at DESC, items.id DESC LIMIT ?",
        (user_id, json.dumps(sorted(OWN_WORDS)), PROMPT_KIND, limit),
    )
    return [item_from(row) for row in rows]


def outdated(db: sqlite3.Connection, user_id: str, reward: str) -> tuple[list[Calibrated], list[Feedback]]:
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
    return [_calibrated(row) for row in calibrated], [feedback_from(row) for row in judged]


def iterate_calibrations(db: sqlite3.Connection, user_id: str | None) -> list[Calibrated]:
    """All calibrated items of the user, or of all users, in the order they were stored."""
    rows = db.execute(
        f"SELECT c.id, c.model, c.candidates, i.* FROM calibrations c JOIN ({ITEMS}) i ON i.id = c.item "  # noqa: S608
        "WHERE ?1 IS NULL OR i.name = ?1 ORDER BY c.id",
        (user_id,),
    )
    return [_calibrated(row) for row in rows]


def posterior(db: sqlite3.Connection, user_id: str, reward: str) -> StoredPosterior | None:
    """The user's posterior under this reward model, None where it is missing or older than the evidence."""
    row = db.execute(
        "SELECT p.version, p.evidence, p.trust, p.mean, p.covariance, p.record FROM posteriors p "
        "JOIN users ON users.id = p.user WHERE users.name = ? AND p.reward = ? AND p.version = users.evidence",
        (user_id, reward),
    ).fetchone()
    if row is None:
        return None
    version, evidence, trust, mean, covariance, record = row
    size = len(mean) // _EXACT.itemsize
    return StoredPosterior(
        reward, version, evidence, trust, _exact(mean), _exact(covariance).reshape(size, size), record
    )


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
                made.mean.astype(_EXACT).tobytes(),
                made.covariance.astype(_EXACT).tobytes(),
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


def _calibrated(row: tuple[object, ...]) -> Calibrated:
    number, model, text, *item = row
    return Calibrated(int(str(number)), item_from(tuple(item)), candidates_from(str(text)), str(model))


def _layer(reward: str, features: bytes, noise: bytes) -> Layer:
    spread = _array(noise)
    return Layer(reward, _array(features).reshape(len(spread), -1), spread)


def _bytes(values: npt.ArrayLike) -> bytes:
    return np.asarray(values, _STORED).tobytes()


def _array(blob: bytes) -> Floats:
    return np.frombuffer(blob, _STORED).astype(np.float64)


def _exact(blob: bytes) -> Floats:
    return np.frombuffer(blob, _EXACT).astype(np.float64)
