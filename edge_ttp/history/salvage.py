"""What can be read of a history file that nobody vouches for, copied row by row into a new file.

Backups and damaged files are never adopted: their tables, triggers, views and indexes stay where they are. Each row is
read alone, checked as one from an import would be, and written into tables that this program has just made. Full-text
index, statistics, counts and posteriors are made anew. Rows that cannot be kept go to `aside` with their values.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_ttp.history import driver
from edge_ttp.history.faults import primary_code
from edge_ttp.history.generations import checked_days
from edge_ttp.history.items import BATCH, words_of
from edge_ttp.history.learned_rows import drawn_from, evidence_from, layer_from
from edge_ttp.history.migrations import is_table
from edge_ttp.history.recall import index_items, indexed_length
from edge_ttp.history.rows import (
    CANDIDATE_COLUMNS,
    GENERATION_COLUMNS,
    feedback_from,
    fingerprint,
    from_milliseconds,
    generation_from,
    item_from,
)
from edge_ttp.history.sieve import UNREADABLE, DamagedRow, printable, reason
from edge_ttp.history.user import valid_user

_MOST_PROBES = 2_000
"""Times that reading begins anew behind an unreadable place, in one table."""
_LARGEST = 2**63 - 1
_FAR = 2**32

Values = dict[str, Any]


@dataclass(frozen=True)
class SetAside:
    """A row that was not copied."""

    damaged: DamagedRow
    user: str | None
    """Its owner where that is known."""
    values: Values
    """Its columns; empty where not even they could be read."""


Aside = Callable[[SetAside], None]


def copy_rows(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    aside: Aside,
    advance: Callable[[float], None] = lambda done: None,
    *,
    later: Collection[str] = (),
) -> dict[str, int]:
    """Copies every sound row into the empty tables of `target`, in its transaction; returns rows by table.

    `advance` is called with the number of rows done. `later`: tables that the source's version does not have yet. The
    numbers of rows stay as they are.
    """
    copying = _Copying(source, target, aside, advance, later)
    copying.users()
    copying.imports()
    copying.items()
    copying.generations()
    copying.feedback()
    copying.calibrations()
    copying.evidence()
    copying.vectors()
    copying.settings()
    copying.numbers()
    return copying.counts


class _Copying:
    """One pass over a source, parents before children."""

    def __init__(
        self,
        source: sqlite3.Connection,
        target: sqlite3.Connection,
        aside: Aside,
        advance: Callable[[float], None],
        later: Collection[str],
    ) -> None:
        self._later = later
        self._source, self._target, self._aside, self._advance = source, target, aside, advance
        self.counts: dict[str, int] = {}
        self._users: dict[int, str] = {}
        self._items: dict[int, int] = {}
        self._generations: dict[str, tuple[int, int]] = {}
        self._feedback: dict[int, int] = {}
        self._calibrations: dict[int, int] = {}

    # Reading

    def _rows(self, table: str, columns: str) -> Iterator[Values]:
        """The rows of a table by row number; what cannot be read is set aside as a stretch."""
        wanted = columns.split(", ")
        names = self._columns(table, wanted)
        if not names:
            return
        query = (
            f"SELECT rowid, {', '.join(names)} FROM {table} NOT INDEXED "  # noqa: S608
            "WHERE rowid > ?1 AND rowid < ?2 ORDER BY rowid"
        )
        ranges = [(-_LARGEST - 1, _LARGEST)]
        for _ in range(_MOST_PROBES):
            if not ranges:
                return
            low, high = ranges.pop()
            last = low
            try:
                for row in self._source.execute(query, (low, high)):
                    last = row[0]
                    # A column that an older version does not have is NULL, as the upgrade would make it.
                    yield {"rowid": last, **dict.fromkeys(wanted), **dict(zip(names, row[1:], strict=True))}
            except driver.error_types() as error:
                end = self._newest(table, last, high)
                if end <= last + 1:
                    self._lose(table, f"rows after {last}", error)
                else:  # the halves of what is left, the nearer one first
                    middle = (last + end) // 2
                    ranges += [(middle, high), (last, middle + 1)]
        self._lose(table, "many rows", "too many places cannot be read")

    def _newest(self, table: str, last: int, high: int) -> int:
        """The last row number below `high`, or one that is certainly not below it where that cannot be read."""
        try:
            query = f"SELECT max(rowid) FROM {table} NOT INDEXED WHERE rowid < ?"  # noqa: S608
            return int(self._source.execute(query, (high,)).fetchone()[0] or last)
        except driver.error_types():
            return min(high - 1, max(last, 0) + _FAR)

    def _columns(self, table: str, wanted: list[str]) -> list[str]:
        try:
            if is_table(self._source, table):
                there = {row[1] for row in self._source.execute(f"PRAGMA table_info({table})")}
                return [name for name in wanted if name in there]
        except driver.error_types() as error:
            self._lose(table, "all rows", error)
            return []
        if table not in self._later:
            self._lose(table, "all rows", "the table is missing")
        return []

    def _some(self, table: str, query: str, key: object) -> list[tuple[Any, ...]]:
        """The rows of a query, ValueError where they cannot be read: what hangs on the row `key` of another table."""
        try:
            if table in self._later:
                return []
            if not is_table(self._source, table):
                raise ValueError(f"the table {table} is missing")
            return self._source.execute(query, (key,)).fetchall()
        except driver.error_types() as error:
            raise ValueError(str(error)) from None

    def _lose(self, table: str, what: str, error: BaseException | str) -> None:
        why = error if isinstance(error, str) else printable(error)
        self._aside(SetAside(DamagedRow(table, what, why), None, {}))

    # Writing

    def _put(self, table: str, values: Values) -> None:
        """Inserts a row. ValueError where the table does not take it."""
        kept = {name: value for name, value in values.items() if name != "rowid"}
        marks = ", ".join("?" * len(kept))
        try:
            self._target.execute(f"INSERT INTO {table} ({', '.join(kept)}) VALUES ({marks})", tuple(kept.values()))  # noqa: S608
        except driver.error_types() as error:
            if primary_code(error) not in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH):
                raise
            raise ValueError(f"it does not fit beside the others ({error})") from None
        self.counts[table] = self.counts.get(table, 0) + 1
        self._advance(sum(self.counts.values()))

    def _each(self, table: str, columns: str, keep: Callable[[Values], None], key: str = "rowid") -> None:
        for values in self._rows(table, columns):
            try:
                keep(values)
            except UNREADABLE as error:
                damaged = DamagedRow(table, printable(values.get(key)), reason(error))
                owner = values.get("user")
                name = self._users.get(owner) if type(owner) is int else None
                self._aside(SetAside(damaged, name, values))

    def _owner(self, values: Values) -> str:
        if values["user"] not in self._users:
            raise ValueError("its owner is not there")
        return self._users[values["user"]]

    # The tables

    def users(self) -> None:
        def keep(values: Values) -> None:
            valid_user(values["name"])
            from_milliseconds(values["created_at"])
            self._put("users", {"id": values["rowid"], **values})
            self._users[values["rowid"]] = values["name"]

        self._each("users", "name, created_at", keep)

    def imports(self) -> None:
        def keep(values: Values) -> None:
            self._owner(values)
            from_milliseconds(values["created_at"])
            _text(values["name"])
            self._put("imports", {"id": values["rowid"], **values})

        self._each("imports", "import, user, created_at, name", keep)

    def items(self) -> None:
        waiting: dict[int, dict[int, list[str]]] = {}

        def keep(values: Values) -> None:
            columns = ("input", "output", "kind", "created_at", "source", "metadata")
            row = (values["rowid"], self._owner(values), *(values[name] for name in columns))
            item = item_from(row)
            words = words_of(item)
            made = {"id": values["rowid"], "words": indexed_length(words), "fingerprint": fingerprint(item)}
            self._put("items", values | made)
            self._items[values["rowid"]] = values["user"]
            waiting.setdefault(values["user"], {})[values["rowid"]] = words
            if sum(map(len, waiting.values())) >= BATCH:
                index()

        def index() -> None:
            for user, found in waiting.items():
                index_items(self._target, user, found)
            waiting.clear()

        self._each("items", "user, kind, created_at, source, input, output, metadata, import", keep)
        index()

    def generations(self) -> None:
        def keep(values: Values) -> None:
            owner, name = self._owner(values), _text(values["id"])
            query = f"SELECT position, {CANDIDATE_COLUMNS} FROM candidates WHERE generation = ? ORDER BY position"  # noqa: S608
            rows = self._some("candidates", query, name)
            generation_from(tuple(values[column] for column in GENERATION_COLUMNS.split(", ")), owner, rows)
            self._put("generations", values)
            columns = ("position", *CANDIDATE_COLUMNS.split(", "))
            try:
                for row in rows:
                    self._put("candidates", {"generation": name, **dict(zip(columns, row, strict=True))})
            except UNREADABLE:
                self._target.execute("DELETE FROM generations WHERE id = ?", (name,))  # all of it or nothing
                raise
            self._generations[name] = (values["user"], len(rows))
            self._layer(name, values["user"], len(rows))

        self._each("generations", f"{GENERATION_COLUMNS}, user, import", keep, key="id")

    def _layer(self, name: str, user: int, count: int) -> None:
        """The last layer of a generation, which stays without it where it is damaged."""
        try:
            query = "SELECT reward, features, noise FROM layers WHERE generation = ?"
            for reward, features, noise in self._some("layers", query, name):
                layer_from(reward, features, noise, count)
                self._put("layers", {"generation": name, "reward": reward, "features": features, "noise": noise})
        except UNREADABLE as error:
            self._aside(SetAside(DamagedRow("layers", printable(name), reason(error)), self._users[user], {}))

    def feedback(self) -> None:
        def keep(values: Values) -> None:
            owner = self._owner(values)
            user, count = self._generations.get(values["generation"], (0, 0))
            if user != values["user"]:
                raise ValueError("its answer is not there")
            columns = ("kind", "candidate", "text", "created_at")
            feedback_from((values["rowid"], values["generation"], owner, *(values[name] for name in columns), count))
            item = values["item"] if self._items.get(values["item"]) == user else None
            self._put("feedback", values | {"id": values["rowid"], "item": item})
            self._feedback[values["rowid"]] = user

        self._each("feedback", "generation, user, kind, candidate, text, created_at, item", keep)

    def calibrations(self) -> None:
        def keep(values: Values) -> None:
            self._owner(values)
            if self._items.get(values["item"]) != values["user"]:
                raise ValueError("its item is not there")
            from_milliseconds(values["created_at"])
            _text(values["model"])
            drawn_from(values["candidates"])
            self._put("calibrations", {"id": values["rowid"], **values})
            self._calibrations[values["rowid"]] = values["user"]

        self._each("calibrations", "user, item, created_at, model, candidates", keep)

    def evidence(self) -> None:
        widths: dict[str, Counter[int]] = {}
        for values in self._rows("evidence", "reward, features, noise"):
            with suppress(*UNREADABLE):
                layer = layer_from(values["reward"], values["features"], values["noise"])
                widths.setdefault(layer.reward, Counter())[layer.features.shape[1]] += 1

        def keep(values: Values) -> None:
            self._owner(values)
            origins = (self._calibrations.get(values["calibration"]), self._feedback.get(values["feedback"]))
            if values["user"] not in origins:
                raise ValueError("what it came from is not there")
            columns = ("kind", "moment", "candidate", "reward", "features", "noise", "utility")
            made = evidence_from(tuple(values[name] for name in columns))
            if made.layer.features.shape[1] != widths[values["reward"]].most_common(1)[0][0]:
                raise ValueError("it has other features than the rest")
            self._put("evidence", {"id": values["rowid"], **values})

        columns = "user, calibration, feedback, reward, kind, moment, candidate, features, noise, utility"
        self._each("evidence", columns, keep)

    def vectors(self) -> None:
        """A vector that is damaged is made again when it is needed: it is not even set aside."""
        for values in self._rows("vectors", "item, encoder, vector"):
            blob = values["vector"]
            sound = isinstance(blob, bytes) and len(blob) > 0 and not len(blob) % 4
            known = values["item"] in self._items and isinstance(values["encoder"], str)
            if sound and known and np.isfinite(np.frombuffer(blob, "<f4")).all():
                self._put("vectors", values)

    def settings(self) -> None:
        for user, owner in self._users.items():
            try:
                query = "SELECT name, value FROM settings WHERE user = ? AND name = 'retention_days'"
                for name, value in self._some("settings", query, user):
                    checked_days(value)
                    self._put("settings", {"user": user, "name": name, "value": value})
            except UNREADABLE as error:
                self._aside(SetAside(DamagedRow("settings", printable(owner), reason(error)), owner, {}))

    def numbers(self) -> None:
        """Row numbers that were given once are not given again."""
        try:
            rows = self._source.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
        except driver.error_types():
            return
        known = {row[0] for row in self._target.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for name, seq in rows:
            if name in known and type(seq) is int and 0 < seq < _LARGEST // 2**13:  # the index holds number * 4096
                self._target.execute("DELETE FROM sqlite_sequence WHERE name = ?1 AND seq < ?2", (name, seq))
                self._target.execute(
                    "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, ?2 "
                    "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)",
                    (name, seq),
                )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text that is none, or not UTF-8")
    return value
