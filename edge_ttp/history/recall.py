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

from edge_ttp.history.words import words

K1 = 1.2
B = 0.75

MAX_QUERY = 20_000
"""Characters of the query that are read."""
MAX_TERMS = 64
"""Distinct terms that rank; the rarest in this user's items."""
MAX_OCCURRENCES = 16_384
"""Posting entries that are read. Terms are taken rarest first until the next one would exceed it."""
MAX_LENGTHS = 4_096
"""Items whose length is looked up. Beyond it (only where thousands of items tie), the newest of the tied are taken."""

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Posting:
    """The items that hold one term. items: ascending item ids. frequency: how often the term stands in each."""

    items: Integers
    frequency: Integers


@dataclass(frozen=True)
class Weighted:
    """One term of the query: idf times its frequency in the query, the documents that hold it, its frequency there."""

    weight: float
    positions: Integers
    frequency: Floats


def index_term(user: int, word: str) -> str:
    """How the index writes `word` of the user numbered `user`."""
    return f"{user:x}_{word}"


def index_items(db: sqlite3.Connection, user: int, texts: Mapping[int, Sequence[str]]) -> None:
    """Adds items to the index. texts: item id -> its words. The caller's transaction holds the items as well."""
    prefix = index_term(user, "")
    db.executemany(
        "INSERT INTO item_index (rowid, terms) VALUES (?, ?)",
        ((number, " ".join(prefix + word for word in found)) for number, found in texts.items()),
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
    restrict what is returned. `before` (milliseconds) restricts to older items, their statistics included: the result
    is that of a history that ends there.
    """
    row = db.execute("SELECT id, items, tokens FROM users WHERE name = ?", (user_id,)).fetchone()
    if row is None or k <= 0:
        return []
    user, count, total = row
    asked = Counter(words(query[:MAX_QUERY]))
    if before is None:
        chosen = informative(_item_counts(db, user, asked))
        postings = {term: _posting(db, user, term) for term in chosen}
        collection = _Collection(db, count, total)
    else:
        ids, lengths = _view(db, user, before)
        everything = {term: _restrict(_posting(db, user, term), ids) for term in asked}
        chosen = informative({term: len(posting.items) for term, posting in everything.items() if len(posting.items)})
        postings = {term: everything[term] for term in chosen}
        collection = _Collection(db, len(ids), int(lengths.sum()))
    found = collection.best({term: asked[term] for term in chosen}, postings, k, kind=kind, exclude=exclude)
    if len(found) < k:
        known = {number for number, _ in found} | set(exclude)
        found += [
            (number, 0.0) for number in _newest(db, user, k - len(found), kind=kind, before=before, without=known)
        ]
    return found


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


def _item_counts(db: sqlite3.Connection, user: int, terms: Collection[str]) -> dict[str, int]:
    query = "SELECT term, items FROM terms WHERE user = ? AND items > 0 AND term IN (SELECT value FROM json_each(?))"
    return dict(db.execute(query, (user, json.dumps(list(terms)))).fetchall())


def _posting(db: sqlite3.Connection, user: int, term: str) -> Posting:
    rows = db.execute("SELECT doc FROM item_terms WHERE term = ?", (index_term(user, term),)).fetchall()
    occurrences = np.fromiter((row[0] for row in rows), np.int64, len(rows))
    items, frequency = np.unique(occurrences, return_counts=True)
    return Posting(items, frequency.astype(np.int64))


def _restrict(posting: Posting, ids: Integers) -> Posting:
    kept = np.isin(posting.items, ids, assume_unique=True)
    return Posting(posting.items[kept], posting.frequency[kept])


def _view(db: sqlite3.Connection, user: int, before: int) -> tuple[Integers, Integers]:
    """Ids and lengths of the user's items older than `before`."""
    query = "SELECT id, tokens FROM items INDEXED BY items_by_time WHERE user = ? AND created_at < ?"
    rows = np.array(db.execute(query, (user, before)).fetchall(), np.int64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


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
        "AND (?3 IS NULL OR kind = ?3) AND id NOT IN (SELECT value FROM json_each(?4)) "
        "ORDER BY created_at DESC, id DESC LIMIT ?5"
    )
    return [row[0] for row in db.execute(query, (user, before, kind, json.dumps(list(without)), count))]


@dataclass(frozen=True)
class _Collection:
    """One user's items as BM25 sees them: their number and their words altogether."""

    db: sqlite3.Connection
    count: int
    total: int

    def best(
        self,
        asked: Mapping[str, int],
        postings: Mapping[str, Posting],
        k: int,
        *,
        kind: str | None,
        exclude: Collection[int],
    ) -> list[tuple[int, float]]:
        """(item id, score) of the k best items that hold a term, best first.

        A score falls with the item's length, so the score at length 0 bounds it from above: lengths are looked up only
        for items whose bound still reaches the k best.
        """
        if not postings:
            return []
        documents: Integers = np.unique(np.concatenate([posting.items for posting in postings.values()]))
        terms = [
            Weighted(
                times * float(np.log1p((self.count - len(posting.items) + 0.5) / (len(posting.items) + 0.5))),
                np.searchsorted(documents, posting.items),
                posting.frequency.astype(np.float64),
            )
            for posting, times in ((postings[term], asked[term]) for term in postings)
        ]
        facts = _Facts(documents, exclude)
        looked_up, step = 0, max(512, 2 * k)
        while True:
            scores = bm25(terms, facts.lengths, self.total / max(1, self.count))
            scores[facts.out] = -np.inf
            order = np.lexsort((-documents, -facts.created, -scores))
            reaching = order[:k]
            open_ones = order[~facts.known[order] & (scores[order] > -np.inf)]
            worst = scores[reaching[-1]]
            open_ones = open_ones[scores[open_ones] >= worst]
            if not len(open_ones) or looked_up >= MAX_LENGTHS:
                break
            facts.look_up(self.db, open_ones[:step], kind)
            looked_up += len(open_ones[:step])
        settled = [index for index in order if facts.known[index] and scores[index] > -np.inf][:k]
        return [(int(documents[index]), float(scores[index])) for index in settled]


class _Facts:
    """What is known about the documents so far. An unknown length counts as 0, an unknown time as the newest."""

    def __init__(self, documents: Integers, exclude: Collection[int]) -> None:
        self.documents = documents
        self.lengths: Floats = np.zeros(len(documents))
        self.created: Integers = np.full(len(documents), np.iinfo(np.int64).max // 2)
        self.known = np.zeros(len(documents), bool)
        self.out = np.isin(documents, np.fromiter(exclude, np.int64, len(exclude)))

    def look_up(self, db: sqlite3.Connection, indices: Integers, kind: str | None) -> None:
        """Reads length, time and kind of the documents at `indices`; those of another kind are out."""
        query = (
            "SELECT id, tokens, created_at, ?1 IS NOT NULL AND kind <> ?1 FROM items INDEXED BY items_by_id "
            "WHERE id IN (SELECT value FROM json_each(?2))"
        )
        wanted = json.dumps(self.documents[indices].tolist())
        rows = np.array(db.execute(query, (kind, wanted)).fetchall(), np.int64).reshape(-1, 4)
        at = np.searchsorted(self.documents, rows[:, 0])
        self.lengths[at] = rows[:, 1]
        self.created[at] = rows[:, 2]
        self.known[at] = True
        self.out[at] |= rows[:, 3].astype(bool)


def bm25(terms: Sequence[Weighted], lengths: Floats, mean_length: float) -> Floats:
    """The score of every document. lengths: (documents,), in words; mean_length: over the user's items, in words."""
    scores: Floats = np.zeros(len(lengths))
    norm = K1 * (1 - B + B * lengths / max(mean_length, 1e-9))
    for term in terms:
        f = term.frequency
        scores[term.positions] += term.weight * f * (K1 + 1) / (f + norm[term.positions])
    return scores
