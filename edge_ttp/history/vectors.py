"""Encoder vectors of items, kept so that a text is encoded once. They go with their item."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from numbers import Integral

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput

Vector = npt.NDArray[np.float32]
_STORED = np.dtype("<f4")


def _is_id(value: object) -> bool:
    return isinstance(value, Integral)


def select_vectors(db: sqlite3.Connection, numbers: Collection[int], encoder: str) -> dict[int, Vector]:
    """item id -> (dimension,) float32, for those items whose vector by this encoder is stored."""
    query = "SELECT item, vector FROM vectors WHERE encoder = ? AND item IN (SELECT value FROM json_each(?))"
    if not all(map(_is_id, numbers)):
        raise InvalidInput("item ids are whole numbers", "give the ids of items")
    rows = db.execute(query, (encoder, json.dumps([int(number) for number in numbers])))
    # One that is damaged counts as missing: it is computed again.
    sound = ((number, blob) for number, blob in rows if isinstance(blob, bytes) and not len(blob) % _STORED.itemsize)
    return {number: np.frombuffer(blob, _STORED).astype(np.float32) for number, blob in sound}


def insert_vectors(db: sqlite3.Connection, encoder: str, vectors: Mapping[int, npt.ArrayLike]) -> int:
    """Stores vectors by item id, replacing older ones of the same encoder; returns how many.

    Items deleted in the meantime are passed over. InvalidInput if a vector is not one row of finite numbers.
    """
    if not encoder:
        raise InvalidInput("the encoder has no name", "give its fingerprint")
    stored = 0
    for number, vector in vectors.items():
        try:
            array = np.asarray(vector, _STORED)
        except (TypeError, ValueError):
            array = np.empty(0, _STORED)
        if not _is_id(number) or array.ndim != 1 or not array.size or not np.isfinite(array).all():
            said = f"the vector of item {str(number)[:40]} is not a row of finite numbers"
            raise InvalidInput(said, "check the encoder")
        stored += db.execute(
            "INSERT OR REPLACE INTO vectors (item, encoder, vector) SELECT id, ?, ? FROM items WHERE id = ?",
            (encoder, array.tobytes(), int(number)),
        ).rowcount
    return stored
