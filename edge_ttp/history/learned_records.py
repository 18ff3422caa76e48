"""What is learned about a user as records of an export, so that an export holds everything and an import restores it.

One table, _SORTS, says which fields each sort has, which column holds each, and how a column's value becomes a JSON
value and back. The numbers of the reward model's last layer have 32 bits and stand in the records as such, in base64.
Posteriors are not exported: they are made again from the evidence, bit for bit the same.
"""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from edge_ttp.errors import EdgeTTPError, InvalidInput, NotFound
from edge_ttp.exchange.records import LearnedRecord
from edge_ttp.history.items import user_number
from edge_ttp.history.learned_rows import Floats, Layer, StoredEvidence, candidates_text
from edge_ttp.history.learning import put_evidence, put_layer
from edge_ttp.history.rows import parsed
from edge_ttp.history.sieve import Sieve
from edge_ttp.history.user import valid_user
from edge_ttp.schema import Candidate

MAX_BLOB = 4 * 2**20
"""Longest array of one field, in characters of base64."""

_FLOAT = np.dtype("<f4")
_LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class _Field:
    """One field of a record, and the column it comes from. A column that is NULL makes no field."""

    name: str
    column: str
    write: Callable[[Any], Any]
    """Column's value -> JSON value. ValueError or TypeError if it is none of this program's."""
    read: Callable[[Any], Any]
    """JSON value -> what the `put` function takes. ValueError or TypeError if it is none."""


@dataclass(frozen=True)
class _Sort:
    """One sort of record."""

    rows: str
    """FROM clause. `u` is the owner."""
    key: str
    """Column that names the row where it is damaged."""
    order: str
    fields: tuple[_Field, ...]
    put: Callable[[sqlite3.Connection, int, str, dict[str, Any]], bool]
    """(database, user's number, user, values by field) -> False if it is there already. KeyError for a missing one."""


def export_records(db: sqlite3.Connection, user_id: str | None, sieve: Sieve) -> Iterator[LearnedRecord]:
    """The records of this user, or of all users if None, in an order in which they can be restored."""
    for name, sort in _SORTS.items():
        columns = ", ".join([sort.key, "u.name", *(field.column for field in sort.fields)])
        query = f"SELECT {columns} FROM {sort.rows} WHERE ?1 IS NULL OR u.name = ?1 ORDER BY {sort.order}"  # noqa: S608
        yield from sieve.sift(f"{name}s", db.execute(query, (user_id,)), partial(_record, name, sort))


def _record(name: str, sort: _Sort, row: tuple[Any, ...]) -> LearnedRecord:
    _, user, *columns = row
    pairs = zip(sort.fields, columns, strict=True)
    values = {field.name: field.write(value) for field, value in pairs if value is not None}
    return LearnedRecord(name, valid_user(user), values)


def restore_learned(db: sqlite3.Connection, record: LearnedRecord) -> bool:
    """Stores one record in the caller's transaction; False if it is there already.

    What it refers to must be there. InvalidInput or NotFound if the record says nothing that can be stored.
    """
    sort = _SORTS[record.sort]
    user = user_number(db, valid_user(record.user_id))
    try:
        given = ((field, record.values.get(field.name)) for field in sort.fields)
        values = {field.name: field.read(value) for field, value in given if value is not None}
        return sort.put(db, user, record.user_id, values)
    except EdgeTTPError:  # says its reason itself; some of them are ValueErrors too
        raise
    except KeyError as error:
        raise InvalidInput(f"{record.sort}: {error.args[0]} is missing") from None
    except (TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise InvalidInput(f"{record.sort}: {type(error).__name__}: {str(error)[:80]}") from None


def _put_layer(db: sqlite3.Connection, user: int, owner: str, values: dict[str, Any]) -> bool:
    name = values["generation"]
    if not db.execute("SELECT 1 FROM generations WHERE id = ? AND user = ?", (name, user)).fetchone():
        raise NotFound(f"the generation {name!r} of a layer is not there")
    if db.execute("SELECT 1 FROM layers WHERE generation = ?", (name,)).fetchone():
        return False
    put_layer(db, name, _layer(values))
    return True


def _put_calibration(db: sqlite3.Connection, user: int, owner: str, values: dict[str, Any]) -> bool:
    row = db.execute(
        "INSERT INTO calibrations (user, item, created_at, model, candidates) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING RETURNING id",
        (user, _item(db, user, values), values["created_ms"], values["model"], candidates_text(values["candidates"])),
    ).fetchone()
    return row is not None


def _put_evidence(db: sqlite3.Connection, user: int, owner: str, values: dict[str, Any]) -> bool:
    column, number = _origin(db, user, values)
    if db.execute(f"SELECT 1 FROM evidence WHERE {column} = ?", (number,)).fetchone():  # noqa: S608
        return False
    kind = "written" if column == "calibration" else values["judgment"]
    if values["kind"] != kind or (kind in ("written", "edit") and "utility" not in values):
        raise ValueError(f"kind {values['kind']!r} is not that of what it came from, or has no utility")
    evidence = StoredEvidence(kind, _layer(values), values["moment_ms"], values.get("utility"), values["candidate"])
    put_evidence(db, owner, evidence, **{column: number})
    return True


def _put_setting(db: sqlite3.Connection, user: int, owner: str, values: dict[str, Any]) -> bool:
    if values["name"] != "retention_days" or not isinstance(values["value"], int | None):
        raise InvalidInput("a setting that is not known")
    done = db.execute(
        "INSERT INTO settings (user, name, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (user, values["name"], json.dumps(values["value"])),
    )
    return done.rowcount == 1


def _origin(db: sqlite3.Connection, user: int, values: dict[str, Any]) -> tuple[str, int]:
    """(column of evidence, row number) of the calibration or judgment that evidence came from."""
    if "item" in values:
        row = db.execute("SELECT id FROM calibrations WHERE item = ?", (_item(db, user, values),)).fetchone()
        column = "calibration"
    else:
        row = db.execute(
            "SELECT id FROM feedback WHERE user = ? AND generation = ? AND kind = ? AND created_at = ? "
            "ORDER BY id DESC",
            (user, values["generation"], values["judgment"], values["judged_ms"]),
        ).fetchone()
        column = "feedback"
    if row is None:
        raise NotFound("what this evidence came from is not there")
    return column, int(row[0])


def _item(db: sqlite3.Connection, user: int, values: dict[str, Any]) -> int:
    query = "SELECT id FROM items WHERE user = ? AND fingerprint = ?"
    row = db.execute(query, (user, values["item"])).fetchone()
    if row is None:
        raise NotFound("the item that this came from is not there")
    return int(row[0])


def _layer(values: dict[str, Any]) -> Layer:
    noise = values["noise"]
    return Layer(values["reward"], values["features"].reshape(len(noise), -1), noise)


def _same(value: Any) -> Any:
    return value


def _written_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text that is none, or not UTF-8")
    return value


def _written_number(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("a number that is none")
    return value


def _json(text: Any) -> Any:
    return parsed("its JSON", text)


def _integer(value: Any) -> int:
    number = int(value)
    if abs(number) > _LARGEST_INTEGER:
        raise ValueError("a number that is too large")
    return number


def _drawn(value: Any) -> list[Candidate]:
    return [
        Candidate(text=str(text), tokens=_integer(tokens), logprob=float(logprob)) for text, tokens, logprob in value
    ]


def _base64(blob: bytes) -> str:
    return base64.b64encode(blob).decode()


def _array(text: str) -> Floats:
    if len(text) > MAX_BLOB:
        raise ValueError("too long")
    return np.frombuffer(base64.b64decode(text, validate=True), _FLOAT).astype(np.float64)


def _text(name: str, column: str) -> _Field:
    return _Field(name, column, _written_text, str)


def _number(name: str, column: str) -> _Field:
    return _Field(name, column, _written_number, _integer)


def _numbers(name: str, column: str) -> _Field:
    return _Field(name, column, _base64, _array)


# An item is named by its fingerprint: its row number is another one where it is restored.
_ITEM = _Field("item", "i.fingerprint", bytes.hex, bytes.fromhex)

_SORTS: dict[str, _Sort] = {
    "layer": _Sort(
        rows="layers l JOIN generations g ON g.id = l.generation JOIN users u ON u.id = g.user",
        key="l.generation",
        order="g.rowid",
        fields=(
            _text("generation", "l.generation"),
            _text("reward", "l.reward"),
            _numbers("features", "l.features"),
            _numbers("noise", "l.noise"),
        ),
        put=_put_layer,
    ),
    "calibration": _Sort(
        rows="calibrations c JOIN items i ON i.id = c.item JOIN users u ON u.id = c.user",
        key="c.id",
        order="c.id",
        fields=(
            _ITEM,
            _number("created_ms", "c.created_at"),
            _text("model", "c.model"),
            _Field("candidates", "c.candidates", _json, _drawn),
        ),
        put=_put_calibration,
    ),
    "evidence": _Sort(
        rows="evidence e LEFT JOIN calibrations c ON c.id = e.calibration LEFT JOIN items i ON i.id = c.item "
        "LEFT JOIN feedback f ON f.id = e.feedback JOIN users u ON u.id = e.user",
        key="e.id",
        order="e.id",
        fields=(
            _ITEM,
            _text("generation", "f.generation"),
            _text("judgment", "f.kind"),
            _number("judged_ms", "f.created_at"),
            _text("reward", "e.reward"),
            _text("kind", "e.kind"),
            _number("moment_ms", "e.moment"),
            _number("candidate", "e.candidate"),
            _numbers("features", "e.features"),
            _numbers("noise", "e.noise"),
            _numbers("utility", "e.utility"),
        ),
        put=_put_evidence,
    ),
    "setting": _Sort(
        rows="settings s JOIN users u ON u.id = s.user",
        key="u.name",
        order="s.user, s.name",
        fields=(_text("name", "s.name"), _Field("value", "s.value", _json, _same)),
        put=_put_setting,
    ),
}
