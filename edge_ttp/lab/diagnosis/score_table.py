"""Scored pools read from JSON lines or Parquet into columns, with every line that could not be used named.

One row per candidate: `user_id`, `query_id`, a utility, a score, and if there are any a variance, a text and a number
of tokens. A column that no row has is absent; what that leaves is for the judgment to say. A row that lacks what others
have, or holds something that is not a finite number, is left out and reported.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.diagnosis.line_source import MAX_LINE, LineSource
from edge_ttp.lab.diagnosis.parquet_source import ParquetSource, is_parquet
from edge_ttp.lab.diagnosis.row_batches import LARGEST, RowBatch
from edge_ttp.lab.diagnosis.whole_users import WHOLE, Share, lot

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_NAMED = 20
"""Unusable lines that are named; the others are counted by reason."""

MAX_NAME = 256
"""Longest user or query id in characters."""

MAX_POOL = 4096
"""Most candidates of one query."""

AT_MOST = 4_000_000
"""Most rows kept, unless more are wanted: with some 200 bytes each, files of any length are diagnosed in a gigabyte."""

_SMALLEST_SHARE = 1e-9
_ABSENT = object()
_EVERYBODY = "(everybody)"


@dataclass(frozen=True)
class BadLine:
    """A line that was left out, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Table:
    """What was read. Rows in the order of the file."""

    users: list[str]
    queries: list[str]
    query_user: Ints
    """Each query's user, (queries,)."""
    query: Ints
    """Each row's query, (rows,)."""
    line: Ints
    """Each row's line in the file, from 1."""
    utility: Floats | None
    score: Floats | None
    variance: Floats | None
    """None where not every row has one."""
    length: Floats | None
    """Characters of the text, else tokens; None where not every row has one of them."""
    length_unit: str
    has_text: bool
    has_users: bool
    """Whether rows name users; otherwise all of them are one user's."""
    bad: list[BadLine]
    """The first unusable lines."""
    bad_reasons: dict[str, int]
    """How many lines were left out for each reason."""
    read: int = 0
    """Usable rows that were read; more than are here where `share` is not whole."""
    share: Share = WHOLE
    """What part of the users and of their queries is here."""

    @property
    def bad_count(self) -> int:
        """How many lines were left out."""
        return sum(self.bad_reasons.values())


class _Unusable(ValueError):
    """Why a line is no candidate."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns to read."""

    utility: str = "utility"
    score: str | None = "score"
    """None: scores are not read, but made."""
    variance: str | None = "variance"


Source = LineSource | ParquetSource


def source_of(argument: str) -> Source:
    """Where the rows come from that a command's argument names; `-` is standard input. Raises InvalidInput."""
    return ParquetSource.of(argument) if is_parquet(argument) else LineSource.of(argument)


def read_table(source: Source, columns: Columns, progress: Callable[[float], None], *, at_most: int = AT_MOST) -> Table:
    """Reads every row of `source` and keeps at most `at_most`, those of whole users chosen at random (whole_users.py).

    `progress` gets the bytes read so far.

    Raises InvalidInput where no line is usable, where no row says which query it answers, or where one query has more
    than MAX_POOL candidates.
    """
    reader = _RowReader(columns, at_most)
    if isinstance(source, ParquetSource):
        wanted = {"user_id", "query_id", "text", "tokens", columns.utility, columns.score, columns.variance}
        for before, batch, done in source.batches({name for name in wanted if name is not None}):
            reader.take_batch(before, RowBatch(batch))
            progress(done)
        return reader.table(source.name)
    for number, line, done in source.lines():
        if number % 4096 == 0:
            progress(done)
        reader.take(number, line)
    return reader.table(source.name)


class _RowReader:
    """Collects rows. What a row lacks is kept as nan until it is known whether any row has it."""

    def __init__(self, columns: Columns, at_most: int) -> None:
        self._at_most, self._share, self._read = at_most, WHOLE, 0
        self._columns = columns
        self._score_name, self._variance_name = columns.score, columns.variance
        self._decode = json.JSONDecoder().decode
        self._users: dict[str | None, int] = {}
        self._queries: list[dict[str, int]] = []
        self._query_names: list[str] = []
        self._query_user = array("q")
        self._query, self._line = array("q"), array("q")
        self._utility, self._score, self._variance = array("d"), array("d"), array("d")
        self._characters, self._tokens = array("d"), array("d")
        self._bad: list[BadLine] = []
        self._reasons: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._without_query = 0

    def take(self, number: int, line: bytes | None) -> None:
        """One line."""
        try:
            if line is None:
                raise _Unusable(f"longer than {MAX_LINE // 1024**2} MiB")
            self._row(number, line)
        except _Unusable as reason:
            self._leave_out(number, str(reason))

    def _leave_out(self, number: int, reason: str) -> None:
        self._reasons[reason] += 1
        if len(self._bad) < MAX_NAMED:
            self._bad.append(BadLine(number, reason))

    def _row(self, number: int, line: bytes) -> None:
        try:
            row = self._decode(line.decode())
        except UnicodeDecodeError:
            raise _Unusable("not UTF-8") from None
        except json.JSONDecodeError as error:
            if not line.strip():
                return
            raise _Unusable(f"not JSON: {error.msg}") from None
        except (RecursionError, ValueError):
            raise _Unusable("not JSON that can be read: nested too deeply, or a number with too many digits") from None
        if type(row) is not dict:
            raise _Unusable("not a JSON object")
        if number <= MAX_NAMED:
            self._keys.update(row.keys())
        get = row.get
        utility = _number(get(self._columns.utility, _ABSENT), self._columns.utility)
        score = nan if self._score_name is None else _number(get(self._score_name, _ABSENT), self._score_name)
        variance = nan if self._variance_name is None else _optional(get(self._variance_name), self._variance_name)
        if variance < 0:
            raise _Unusable(f"{self._columns.variance} is negative")
        text = get("text")
        tokens = _optional(get("tokens"), "tokens")
        query = self._place(_name(get("user_id", _ABSENT), "user_id"), _name(get("query_id", _ABSENT), "query_id"))
        self._read += 1
        if query < 0:
            return
        self._query.append(query)
        self._line.append(number)
        self._utility.append(utility)
        self._score.append(score)
        self._variance.append(variance)
        self._characters.append(float(len(text)) if type(text) is str else nan)
        self._tokens.append(tokens)
        if len(self._line) > self._at_most:
            self._drop_some()

    def take_batch(self, before: int, batch: RowBatch) -> None:
        """Rows that come in columns; `before` of the file came before them."""
        utility, score = batch.numbers(self._columns.utility), batch.numbers(self._score_name)
        variance, tokens = batch.numbers(self._variance_name), batch.numbers("tokens")
        batch.refuse(f"{self._columns.variance} is negative", variance < 0)
        users, queries = batch.names("user_id", MAX_NAME), batch.names("query_id", MAX_NAME)
        without = np.array([one is None for one in queries.known])[queries.code] & batch.usable
        self._without_query += int(without.sum())
        batch.refuse("no `query_id`", without)
        if before < MAX_NAMED:
            self._keys.update({name: min(batch.rows, MAX_NAMED) for name in batch.columns})
        for reason, wrong in batch.wrong:
            self._drop(np.flatnonzero(wrong) + before + 1, reason)
        rows = np.flatnonzero(batch.usable)
        self._read += len(rows)
        pair = users.code[rows] * len(queries.known) + queries.code[rows]
        pairs, first, which = np.unique(pair, return_index=True, return_inverse=True)
        place = np.empty(len(pairs), dtype=np.int64)
        for one in np.argsort(first, kind="stable"):  # as they come, so that a file of lines says the same
            user, query = divmod(int(pairs[one]), len(queries.known))
            place[one] = self._place(users.known[user], queries.known[query])
        kept = place[which] >= 0
        rows, query_of = rows[kept], place[which][kept]
        self._query.frombytes(query_of.tobytes())
        self._line.frombytes((rows + before + 1).astype(np.int64).tobytes())
        columns = (self._utility, self._score, self._variance, self._characters, self._tokens)
        for column, values in zip(columns, (utility, score, variance, batch.characters(), tokens), strict=True):
            column.frombytes(np.ascontiguousarray(values[rows]).tobytes())
        if len(self._line) > self._at_most:
            self._drop_some()

    def _drop_some(self) -> None:
        """Lets users go, or queries of theirs, until no more rows are held than allowed."""
        while len(self._line) > self._at_most and min(self._share.users, self._share.queries) > _SMALLEST_SHARE:
            self._share = self._share.halved(len(self._users))
            renumbered = np.full(len(self._query_names), -1, dtype=np.int64)
            owners, queries = list(self._users.items()), self._queries
            self._users, self._queries, self._query_names, self._query_user = {}, [], [], array("q")
            for user, owner in owners:
                for query, place in queries[owner].items():
                    renumbered[place] = self._place(user, query)
            places = renumbered[np.frombuffer(self._query, np.int64)]
            keep = places >= 0
            self._query = array("q", places[keep].tobytes())
            self._line = array("q", np.frombuffer(self._line, np.int64)[keep].tobytes())
            for name in ("_utility", "_score", "_variance", "_characters", "_tokens"):
                setattr(self, name, array("d", np.frombuffer(getattr(self, name))[keep].tobytes()))

    def _place(self, user: str | None, query: str | None) -> int:
        """The number of this user's query, -1 where it is not kept. A query id belongs to its user alone."""
        if query is None:
            self._without_query += 1
            raise _Unusable("no `query_id`")
        owner = self._users.get(user)
        share = self._share
        if owner is None:
            if share.users < 1 and lot(user or "") >= share.users:
                return -1
            if share.queries < 1 and lot(f"{user}\0{query}") >= share.queries:
                return -1
            owner = self._users[user] = len(self._queries)
            self._queries.append({})
        known = self._queries[owner]
        place = known.get(query)
        if place is None:
            if share.queries < 1 and lot(f"{user}\0{query}") >= share.queries:
                return -1
            place = known[query] = len(self._query_names)
            self._query_names.append(query)
            self._query_user.append(owner)
        return place

    def table(self, name: str) -> Table:
        """The columns; rows that lack what others have are left out."""
        if not self._line:
            raise InvalidInput(*self._nothing(name))
        line, query = np.frombuffer(self._line, np.int64), np.frombuffer(self._query, np.int64)
        owner = np.frombuffer(self._query_user, np.int64)
        anonymous = self._users.get(None, -1)
        has_users = len(self._users) > (anonymous >= 0)
        utility, score = np.frombuffer(self._utility), np.frombuffer(self._score)
        lacking = [(np.isnan(utility), self._columns.utility), (np.isnan(score), self._columns.score or "score")]
        lacking = [(lacks, column) for lacks, column in lacking if not lacks.all()]
        if has_users and anonymous >= 0:
            lacking.append((owner[query] == anonymous, "user_id"))
        keep = np.ones(len(line), dtype=bool)
        for lacks, column in lacking:
            self._drop(line[lacks & keep], f"no `{column}`")
            keep &= ~lacks
        if not keep.any():
            raise InvalidInput(*self._nothing(name))
        some_queries, rows, sizes = np.unique(query[keep], return_inverse=True, return_counts=True)
        if sizes.max() > MAX_POOL:
            largest = self._query_names[some_queries[sizes.argmax()]][:40]
            raise InvalidInput(
                f"query {largest!a} has {sizes.max()} candidates, more than {MAX_POOL}",
                "check `query_id`, or keep a random part of them",
            )
        some_users, owners = np.unique(owner[some_queries], return_inverse=True)
        names = [_EVERYBODY if one is None else one for one in self._users]
        length, unit = self._length(keep)
        return Table(
            users=[names[place] for place in some_users],
            queries=[self._query_names[place] for place in some_queries],
            query_user=owners.astype(np.int64),
            query=rows.astype(np.int64),
            line=line[keep],
            utility=_whole(utility[keep]),
            score=_whole(score[keep]),
            variance=_whole(np.frombuffer(self._variance)[keep]),
            length=length,
            length_unit=unit,
            has_text=unit == "characters",
            has_users=has_users,
            bad=self._bad,
            bad_reasons=dict(self._reasons.most_common()),
            read=self._read,
            share=self._share,
        )

    def _length(self, keep: npt.NDArray[np.bool_]) -> tuple[Floats | None, str]:
        characters, tokens = _whole(np.frombuffer(self._characters)[keep]), _whole(np.frombuffer(self._tokens)[keep])
        return (
            (characters, "characters") if characters is not None else (tokens, "tokens" if tokens is not None else "")
        )

    def _drop(self, lines: Ints, reason: str) -> None:
        if len(lines):
            self._reasons[reason] += len(lines)
            self._bad = sorted(
                [*self._bad, *(BadLine(int(number), reason) for number in lines[:MAX_NAMED])], key=lambda bad: bad.line
            )[:MAX_NAMED]

    def _nothing(self, name: str) -> tuple[str, str]:
        """Fact and cure where no row is left."""
        if not self._reasons:
            return f"{name} is empty", "give one JSON object per line: user_id, query_id, utility, score"
        if self._without_query == sum(self._reasons.values()):
            found = ", ".join(str(key)[:40] for key, _ in self._keys.most_common(8)) or "none"
            return (
                f"no row of {name} has a `query_id` (columns found: {found})",
                "without it nothing can be compared: candidates of one query have to be known as such",
            )
        reason, count = self._reasons.most_common(1)[0]
        return f"no line of {name} can be used ({count} of {sum(self._reasons.values())}: {reason})", (
            "give one JSON object per line: user_id, query_id, utility, score"
        )


def _number(value: Any, column: str) -> float:
    """The value as a finite float; nan if the row does not have it."""
    kind = type(value)
    if kind is float or kind is int:
        if -LARGEST < value < LARGEST:
            return float(value)
        nothing = kind is float and isnan(value)
        raise _Unusable(f"{column} is {'NaN' if nothing else 'infinite or out of range'}")
    if value is _ABSENT:
        return nan
    raise _Unusable(f"{column} is {'null' if value is None else 'no number'}")


def _optional(value: Any, column: str) -> float:
    return nan if value is None else _number(value, column)


def _name(value: Any, column: str) -> str | None:
    """An id as text; None if the row has none."""
    kind = type(value)
    if kind is int:
        value = str(value)
    elif kind is not str:
        if value is _ABSENT:
            return None
        raise _Unusable(f"{column} is neither a text nor a whole number")
    if not value or len(value) > MAX_NAME:
        raise _Unusable(f"{column} is empty or longer than {MAX_NAME} characters")
    return str(value)


def _whole(column: Floats) -> Floats | None:
    """The column, or None where a row lacks it."""
    return None if np.isnan(column).any() else column
