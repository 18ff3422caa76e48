"""Which past items resemble a query: BM25 over one user's own items, with that user's own statistics.

    score(q, d) = sum over terms t of q:  f(t, q) idf(t) f(t, d) (k1 + 1) / (f(t, d) + k1 (1 - b + b |d| / mean |d|))
    idf(t) = ln(1 + (n - n(t) + 0.5) / (n(t) + 0.5))

Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", equation 3.15, with the idf that
Lucene uses (never negative) and k1 = 1.2, b = 0.75. n, n(t) and mean |d| count the items of this user alone. FTS5's own
bm25() counts the whole table, so it is not used: FTS5 only holds the posting lists, one per user and term.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.history.terms import words
from edge_ttp.schema import PROMPT_KIND, HistoryItem

K1 = 1.2
B = 0.75

MAX_QUERY = 20_000
"""Characters of the query that are read."""
MAX_TERMS = 64
"""Distinct terms that rank; the rarest in this user's items."""
MAX_OCCURRENCES = 8_192
"""Items that may hold the ranking terms, counted per term. Terms are taken rarest first until it would be exceeded."""
MAX_WORDS = 4_095
"""An item with more words counts as one with this many (|d| has 12 bits in the index)."""

_LENGTH_BITS = 12
_LOOK = 64
_MOST = 2**40

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Recalled:
    """A past item that resembles the query."""

    item: HistoryItem
    score: float
    """BM25, above 0. 0 for a recent item that shares no word with the query and fills the number asked for."""


@dataclass(frozen=True)
class Postings:
    """Which items hold which of some terms, and how often. Arrays: (entries,), ordered by term, then by document."""

    terms: tuple[str, ...]
    term: Integers
    """Index into terms."""
    document: Integers
    """Item id * 4096 + length in words."""
    frequency: Integers

    def held(self) -> Integers:
        """(terms,): in how many documents each term stands, n(t)."""
        return np.bincount(self.term, minlength=len(self.terms)).astype(np.int64)

    def within(self, ids: Integers) -> Postings:
        """The entries of the items with these ids."""
        kept = np.isin(self.document >> _LENGTH_BITS, ids)
        return Postings(self.terms, self.term[kept], self.document[kept], self.frequency[kept])

    def of(self, terms: Sequence[str]) -> Postings:
        """The entries of some of the terms, in the order of `terms`."""
        place = {term: index for index, term in enumerate(self.terms)}
        parts = [np.flatnonzero(self.term == place[term]) for term in terms]
        kept = np.concatenate([np.empty(0, np.int64), *parts])
        numbers = np.repeat(np.arange(len(terms)), [len(part) for part in parts])
        return Postings(tuple(terms), numbers, self.document[kept], self.frequency[kept])


def indexed_length(terms: Sequence[str]) -> int:
    """|d| of an item with these words."""
    return min(len(terms), MAX_WORDS)


def index_term(user: int, word: str) -> str:
    """How the index writes `word` of the user numbered `user`."""
    return f"{user:x}_{word}"


def index_items(db: sqlite3.Connection, user: int, texts: Mapping[int, Sequence[str]]) -> None:
    """Adds items to the index. texts: item id -> its words. The caller's transaction holds the items as well."""
    prefix = index_term(user, "")
    db.executemany(
        "INSERT INTO item_index (rowid, terms) VALUES (?, ?)",
        (
            ((number << _LENGTH_BITS) + indexed_length(found), " ".join(prefix + word for word in found))
            for number, found in texts.items()
        ),
    )
    counts = Counter(word for found in texts.values() for word in set(found))
    db.executemany(
        "INSERT INTO terms (user, term, items) VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET items = items + excluded.items",
        ((user, term, count) for term, count in sorted(counts.items())),
    )


def rank(
    db: sqlite3.Connection,
    user_id: str,
    query: str,
    k: int,
    *,
    kind: str | None = None,
    before: int | None = None,
    exclude: Collection[int] = (),
) -> list[tuple[int, float]]:
    """(item id, score) of the k best items of the user, best first; equal scores newest first.

    Where fewer than k items share a word with the query, the newest others follow with score 0. `kind` and `exclude`
    restrict what is returned; without a kind, what was typed to chatbots (PROMPT_KIND) is left out. `before`
    (milliseconds) restricts to older items, their statistics included: the result is that of a history that ends there.
    """
    row = db.execute("SELECT id, items, words FROM users WHERE name = ?", (user_id,)).fetchone()
    if row is None or k <= 0:
        return []
    user, count, total = row[0], _count(row[1]), _count(row[2])
    asked = Counter(words(query[:MAX_QUERY]))
    if before is None:
        postings = _postings(db, user, informative(_item_counts(db, user, asked)))
    else:
        ids, count, total = _view(db, user, before)
        seen = _postings(db, user, list(asked)).within(ids)
        held = dict(zip(seen.terms, seen.held().tolist(), strict=True))
        postings = seen.of(informative({term: items for term, items in held.items() if items}))
    documents, scores = bm25([asked[term] for term in postings.terms], postings, count, total)
    found = _best(db, documents, scores, k, kind=kind, exclude=exclude)
    if len(found) < k:
        without = {number for number, _ in found} | set(exclude)
        newest = _newest(db, user, k - len(found), kind=kind, before=before, without=without)
        found += [(number, 0.0) for number in newest]
    return found


def _count(value: object) -> int:
    """A count kept beside the items; where it is damaged, one that spoils no formula."""
    return min(max(value, 0), _MOST) if type(value) is int else 0


def informative(counts: Mapping[str, int]) -> list[str]:
    """The terms that rank, rarest first: at most MAX_TERMS, standing in at most MAX_OCCURRENCES items together.

    counts: term -> number of items that hold it, above 0. The rarest term always stays.
    """
    chosen: list[str] = []
    spent = 0
    for term in sorted(counts, key=lambda term: (counts[term], term))[:MAX_TERMS]:
        spent += counts[term]
        if chosen and spent > MAX_OCCURRENCES:
            break
        chosen.append(term)
    return chosen


def bm25(times: Sequence[int], postings: Postings, count: int, total: int) -> tuple[Integers, Floats]:
    """(documents, scores), (matching,) each, for the formula at the top of this module.

    times: (terms,), how often each term stands in the query. count: n. total: words of all n items together.
    """
    held = postings.held()
    weights = np.array(times, np.float64) * np.log1p((count - held + 0.5) / (held + 0.5))
    mean = max(total / max(count, 1), 1e-9)
    f = postings.frequency
    norm = K1 * (1 - B + B * (postings.document & MAX_WORDS) / mean)
    parts = weights[postings.term] * f * (K1 + 1) / (f + norm)
    documents, places = np.unique(postings.document, return_inverse=True)
    return documents, np.bincount(places, parts, minlength=len(documents)).astype(np.float64)


def _item_counts(db: sqlite3.Connection, user: int, terms: Collection[str]) -> dict[str, int]:
    query = (
        "SELECT term, items FROM terms WHERE user = ? AND term IN (SELECT value FROM json_each(?)) "
        "AND items > 0 AND typeof(items) = 'integer'"
    )
    return dict(db.execute(query, (user, json.dumps(list(terms)))).fetchall())


def _postings(db: sqlite3.Connection, user: int, terms: Sequence[str]) -> Postings:
    # One string of numbers takes half the time of one row per occurrence. The join goes through the terms in order, and
    # FTS5 through the documents of a term in order.
    query = (
        "SELECT group_concat(wanted.key || ' ' || held.doc, ' ') "
        "FROM json_each(?) AS wanted CROSS JOIN item_terms AS held ON held.term = wanted.value"
    )
    text = db.execute(query, (json.dumps([index_term(user, term) for term in terms]),)).fetchone()[0]
    occurrences: Integers = np.fromstring(text or "", np.int64, sep=" ").reshape(-1, 2)
    new = np.ones(len(occurrences), bool)
    new[1:] = (occurrences[1:] != occurrences[:-1]).any(axis=1)
    starts = np.flatnonzero(new)
    frequency = np.diff(starts, append=len(occurrences))
    return Postings(tuple(terms), occurrences[starts, 0], occurrences[starts, 1], frequency)


def _view(db: sqlite3.Connection, user: int, before: int) -> tuple[Integers, int, int]:
    """(ids, number, words altogether) of the user's items older than `before`."""
    query = (
        "SELECT id, words FROM items INDEXED BY items_by_time WHERE user = ? AND created_at < ? "
        "AND typeof(words) = 'integer'"
    )
    rows = np.array(db.execute(query, (user, before)).fetchall(), np.int64).reshape(-1, 2)
    return rows[:, 0], len(rows), int(rows[:, 1].sum())


def _best(
    db: sqlite3.Connection,
    documents: Integers,
    scores: Floats,
    k: int,
    *,
    kind: str | None,
    exclude: Collection[int],
) -> list[tuple[int, float]]:
    """(item id, score) of the k best documents of this kind, best first, equal scores newest first.

    Kind and time are looked up from the best score down until k are found and no further one ties with the last.
    """
    items = documents >> _LENGTH_BITS
    order = len(scores) - 1 - np.argsort(-scores[::-1], kind="stable")  # equal scores by descending id
    if exclude:
        order = order[~np.isin(items[order], np.fromiter(exclude, np.int64, len(exclude)))]
    best: list[tuple[float, int, int]] = []
    query = (
        "SELECT id, created_at FROM items WHERE id IN (SELECT value FROM json_each(?1)) "
        "AND iif(?2 IS NULL, kind <> ?3, kind = ?2) AND typeof(created_at) = 'integer'"
    )
    step = max(_LOOK, 2 * k)
    while len(order):
        part, order = order[:step], order[step:]
        if len(best) >= k and scores[part[0]] < best[k - 1][0]:
            break
        step *= 2
        times = dict(db.execute(query, (json.dumps(items[part].tolist()), kind, PROMPT_KIND)).fetchall())
        best += [(float(scores[at]), times[number], number) for at in part if (number := int(items[at])) in times]
    best.sort(reverse=True)
    return [(number, score) for score, _, number in best[:k]]


def _newest(
    db: sqlite3.Connection,
    user: int,
    count: int,
    *,
    kind: str | None,
    before: int | None,
    without: Collection[int],
) -> list[int]:
    query = (
        "SELECT id FROM items INDEXED BY items_by_time WHERE user = ?1 AND (?2 IS NULL OR created_at < ?2) "
        "AND iif(?3 IS NULL, kind <> ?6, kind = ?3) AND id NOT IN (SELECT value FROM json_each(?4)) "
        "ORDER BY created_at DESC, id DESC LIMIT ?5"
    )
    return [row[0] for row in db.execute(query, (user, before, kind, json.dumps(list(without)), count, PROMPT_KIND))]
