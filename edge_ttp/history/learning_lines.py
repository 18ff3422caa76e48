"""What is learned about a user as JSON lines, so that an export holds everything and an import restores it exactly.

The numbers of the reward model's last layer have 32 bits and stand in the lines as such. Posteriors are not exported:
they are made again from the evidence, bit for bit the same.
"""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.history.items import user_number
from edge_ttp.history.learning import (
    Drawn,
    Layer,
    StoredEvidence,
    candidates_text,
    put_evidence,
    put_layer,
)
from edge_ttp.history.user import valid_user

SORTS = frozenset(("layer", "calibration", "evidence", "setting"))
"""Values of `record` in these lines."""

MAX_BLOB = 4 * 2**20
_FLOAT = np.dtype("<f4")


@dataclass(frozen=True)
class LearnedRecord:
    """One line: its sort, its owner, and the other fields as they stand in it."""

    sort: str
    user_id: str
    values: dict[str, Any]


def export_lines(db: sqlite3.Connection, user_id: str | None) -> Iterator[str]:
    """The lines of this user, or of all users if None: layers, calibrations, evidence, settings."""
    query = (
        "SELECT l.generation, l.reward, l.features, l.noise, u.name FROM layers l "
        "JOIN generations g ON g.id = l.generation "
        "JOIN users u ON u.id = g.user WHERE ?1 IS NULL OR u.name = ?1 ORDER BY g.rowid"
    )
    for generation, reward, features, noise, user in db.execute(query, (user_id,)):
        yield _line("layer", user, generation=generation, reward=reward, features=_text(features), noise=_text(noise))
    query = (
        "SELECT c.created_at, c.model, c.candidates, hex(i.fingerprint), u.name FROM calibrations c "
        "JOIN items i ON i.id = c.item "
        "JOIN users u ON u.id = c.user WHERE ?1 IS NULL OR u.name = ?1 ORDER BY c.id"
    )
    for created_at, model, candidates, fingerprint, user in db.execute(query, (user_id,)):
        yield _line(
            "calibration",
            user,
            item=fingerprint.lower(),
            created_ms=created_at,
            model=model,
            candidates=json.loads(candidates),
        )
    query = (
        "SELECT e.reward, e.kind, e.moment, e.candidate, e.features, e.noise, e.utility, hex(i.fingerprint), "
        "f.generation, f.kind, f.created_at, u.name FROM evidence e "
        "LEFT JOIN calibrations c ON c.id = e.calibration LEFT JOIN items i ON i.id = c.item "
        "LEFT JOIN feedback f ON f.id = e.feedback "
        "JOIN users u ON u.id = e.user WHERE ?1 IS NULL OR u.name = ?1 ORDER BY e.id"
    )
    for row in db.execute(query, (user_id,)):
        reward, kind, moment, candidate, features, noise, utility, fingerprint, generation, judged, at, user = row
        source: dict[str, Any] = (
            {"item": fingerprint.lower()}
            if generation is None
            else {"generation": generation, "judgment": judged, "judged_ms": at}
        )
        yield _line(
            "evidence",
            user,
            **source,
            reward=reward,
            kind=kind,
            moment_ms=moment,
            candidate=candidate,
            features=_text(features),
            noise=_text(noise),
            utility=None if utility is None else _text(utility),
        )
    query = (
        "SELECT s.name, s.value, u.name FROM settings s "
        "JOIN users u ON u.id = s.user WHERE ?1 IS NULL OR u.name = ?1 ORDER BY s.name"
    )
    for name, value, user in db.execute(query, (user_id,)):
        yield _line("setting", user, name=name, value=json.loads(value))


def _line(sort: str, user: str, **values: Any) -> str:
    return json.dumps({"record": sort, "user_id": user, **values}, ensure_ascii=False) + "\n"


def _text(blob: bytes) -> str:
    return base64.b64encode(blob).decode()


def restore_learned(db: sqlite3.Connection, record: LearnedRecord) -> bool:
    """Stores one line in the caller's transaction; False if it is there already.

    What it refers to must be there. InvalidInput or NotFound if the line says nothing that can be stored.
    """
    user = user_number(db, valid_user(record.user_id))
    try:
        if record.sort == "layer":
            return _restore_layer(db, user, record.values)
        if record.sort == "calibration":
            return _restore_calibration(db, user, record.values)
        if record.sort == "evidence":
            return _restore_evidence(db, user, record)
        return _restore_setting(db, user, record.values)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise InvalidInput(f"{record.sort}: {type(error).__name__}: {str(error)[:80]}") from None


def _restore_layer(db: sqlite3.Connection, user: int, values: dict[str, Any]) -> bool:
    name = str(values["generation"])
    if not db.execute("SELECT 1 FROM generations WHERE id = ? AND user = ?", (name, user)).fetchone():
        raise NotFound(f"the generation {name!r} of a layer is not there")
    if db.execute("SELECT 1 FROM layers WHERE generation = ?", (name,)).fetchone():
        return False
    put_layer(db, name, _layer(values))
    return True


def _restore_calibration(db: sqlite3.Connection, user: int, values: dict[str, Any]) -> bool:
    drawn = [Drawn(str(text), int(tokens), float(logprob)) for text, tokens, logprob in values["candidates"]]
    row = db.execute(
        "INSERT INTO calibrations (user, item, created_at, model, candidates) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING RETURNING id",
        (user, _item(db, user, values), int(values["created_ms"]), str(values["model"]), candidates_text(drawn)),
    ).fetchone()
    return row is not None


def _restore_evidence(db: sqlite3.Connection, user: int, record: LearnedRecord) -> bool:
    values = record.values
    column, number = _source(db, user, values)
    if db.execute(f"SELECT 1 FROM evidence WHERE {column} = ?", (number,)).fetchone():  # noqa: S608
        return False
    utility = values["utility"]
    evidence = StoredEvidence(
        str(values["kind"]),
        _layer(values),
        int(values["moment_ms"]),
        None if utility is None else _array(utility),
        int(values["candidate"]),
    )
    put_evidence(
        db,
        record.user_id,
        evidence,
        calibration=number if column == "calibration" else None,
        feedback=number if column == "feedback" else None,
    )
    return True


def _source(db: sqlite3.Connection, user: int, values: dict[str, Any]) -> tuple[str, int]:
    if "item" in values:
        row = db.execute("SELECT id FROM calibrations WHERE item = ?", (_item(db, user, values),)).fetchone()
        column = "calibration"
    else:
        row = db.execute(
            "SELECT id FROM feedback WHERE user = ? AND generation = ? AND kind = ? AND created_at = ? "
            "ORDER BY id DESC",
            (user, str(values["generation"]), str(values["judgment"]), int(values["judged_ms"])),
        ).fetchone()
        column = "feedback"
    if row is None:
        raise NotFound("what this evidence came from is not there")
    return column, int(row[0])


def _restore_setting(db: sqlite3.Connection, user: int, values: dict[str, Any]) -> bool:
    if values["name"] != "retention_days" or not isinstance(values["value"], int):
        raise InvalidInput("a setting that is not known")
    done = db.execute(
        "INSERT INTO settings (user, name, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (user, values["name"], json.dumps(values["value"])),
    )
    return done.rowcount == 1


def _item(db: sqlite3.Connection, user: int, values: dict[str, Any]) -> int:
    key = bytes.fromhex(str(values["item"]))
    row = db.execute("SELECT id FROM items WHERE user = ? AND fingerprint = ?", (user, key)).fetchone()
    if row is None:
        raise NotFound("the item that this came from is not there")
    return int(row[0])


def _layer(values: dict[str, Any]) -> Layer:
    noise = _array(values["noise"])
    return Layer(str(values["reward"]), _array(values["features"]).reshape(len(noise), -1), noise)


def _array(text: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    if len(text) > MAX_BLOB:
        raise ValueError("too long")
    return np.frombuffer(base64.b64decode(text, validate=True), _FLOAT).astype(np.float64)
