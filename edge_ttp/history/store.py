"""The history of all users of one installation: what an app, the runtime and the commands call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from edge_ttp.errors import InvalidInput, NotFound, checked_type
from edge_ttp.exchange.records import Record
from edge_ttp.history import forgetting, generations, items, judgments, learned_records, learning, recall, statistics
from edge_ttp.history.connection import Connections
from edge_ttp.history.health import Health, health
from edge_ttp.history.importing_store import ImportingStore
from edge_ttp.history.items import Counts
from edge_ttp.history.learned_rows import Layer, StoredEvidence
from edge_ttp.history.learned_store import LearnedStore
from edge_ttp.history.place import checked_path
from edge_ttp.history.read_states import forget_states
from edge_ttp.history.recall import Recalled
from edge_ttp.history.rows import to_milliseconds
from edge_ttp.history.search import Found, search
from edge_ttp.history.sieve import DamagedRow, RowUnavailable, Sieve
from edge_ttp.history.statistics import Stats
from edge_ttp.history.user import valid_user
from edge_ttp.history.work_files import clear
from edge_ttp.schema import Feedback, FeedbackKind, Generation, HistoryItem
from edge_ttp.system.arguments import checked_arguments
from edge_ttp.system.settings import MAX_RETENTION_DAYS

BUSY_TIMEOUT_S = 30.0
"""How long a call waits for another process that writes, before it gives up."""


@checked_arguments
class History(ImportingStore, LearnedStore):
    """One database file. Safe from several threads, and beside other processes that have the same file open.

    Every write is one transaction: when the method returns, it is on the disk; when it raises, nothing was changed.
    All methods raise HistoryUnavailable if the file is locked, read-only (writes), corrupt, or the disk is full.
    """

    _usual_days: int | None = None
    _inner = frozenset(vars(LearnedStore)) | {"record", "judged_generations", "restore", "typed_lines"}

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        create: bool = True,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        retention_days: int | None = None,
    ) -> History:
        """The history in the file `path`, made (mode 0600, tables and all) if it is missing and `create` is set.

        A file that may not be written is opened for reading. NotFound if it is missing and `create` is False;
        HistoryUnavailable if it is no history, was written by a newer version, or cannot be opened. Remains of what was
        forgotten are overwritten first, where that was interrupted. `retention_days`: of users without their own.
        """
        path = checked_path(path)
        clear(path)
        connections = Connections(path, create=create, busy_timeout_s=busy_timeout_s)
        if not connections.read_only and forgetting.due(connections):
            forgetting.overwrite(connections)
        history = cls(connections, Sieve())
        history._usual_days = retention_days
        return history

    @property
    def path(self) -> Path:
        """The database file."""
        return self._connections.path

    @property
    def read_only(self) -> bool:
        """Whether the file or its folder may not be written."""
        return self._connections.read_only

    @property
    def damaged(self) -> tuple[DamagedRow, ...]:
        """Rows that were met so far and left out, because this program cannot have written them."""
        return self._sieve.left_out

    def close(self) -> None:
        """Closes the file. May be called twice; other methods raise HistoryUnavailable afterwards."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # Items

    def add(self, item: HistoryItem) -> HistoryItem:
        """The item as stored, with its id. One with the same user, input and output is stored once: the first stays.

        Times are kept to the millisecond. InvalidInput if the output is blank or a text too long.
        """
        checked_type("the item", item, HistoryItem, optional=False)
        with self._connections.writing() as db:
            return items.item(db, items.insert_item(db, item))

    def add_many(self, many: Iterable[HistoryItem]) -> Counts:
        """Stores all of them in one transaction, or none. Returns how many were new and how many were there already.

        The write lock is held while `many` is iterated, so it must not itself write to the history.
        """
        with self._connections.writing() as db:
            return items.insert_items(db, many)

    def item(self, item_id: int, user_id: str | None = None) -> HistoryItem:
        """The item with this id. NotFound if there is none, or if it is not this user's."""
        with self._connections.reading() as db:
            return items.item(db, item_id, user_id)

    def items(
        self,
        user_id: str,
        *,
        kind: str | None = None,
        before: datetime | None = None,
        limit: int | None = None,
        newest_first: bool = True,
        prompts: bool = True,
        skip: int = 0,
    ) -> list[HistoryItem]:
        """The user's items by time, of one kind or strictly older than `before` if given.

        prompts: with what the user typed to chatbots (kind `prompt`), where no kind is given. skip: how many are passed
        over first.
        """
        checked_type("before", before, datetime)
        checked_type("limit", limit, int)
        moment = None if before is None else to_milliseconds(before)
        with self._connections.reading() as db:
            return items.select_items(
                db,
                user_id,
                kind=kind,
                before=moment,
                limit=limit,
                newest_first=newest_first,
                prompts=prompts,
                skip=skip,
                sieve=self._sieve,
            )

    def records(self, user_id: str | None, *, everything: bool = False) -> Iterator[Record]:
        """The records of an export of this user, or of all users if None, as of one moment; items as they were stored.

        everything: generations, feedback, what is learned and settings too. `restore` takes them.
        """
        with self._connections.reading() as db:
            yield from items.iterate_items(db, user_id, self._sieve)
            if everything:
                yield from generations.iterate_generations(db, user_id, self._sieve)
                yield from judgments.select_feedback(db, user_id, self._sieve)
                yield from learned_records.export_records(db, user_id, self._sieve)

    def iterate_items(self, user_id: str | None = None) -> Iterator[HistoryItem]:
        """All items of the user, or of all users, in the order they were stored, as of one moment."""
        with self._connections.reading() as db:
            yield from items.iterate_items(db, user_id, self._sieve)

    def count(self, user_id: str) -> int:
        """Number of the user's items; 0 for an unknown user."""
        with self._connections.reading() as db:
            row = db.execute("SELECT items FROM users WHERE name = ?", (user_id,)).fetchone()
            return row[0] if row is not None and type(row[0]) is int else 0

    def users(self) -> list[str]:
        """All user ids that own anything, in alphabetical order."""
        with self._connections.reading() as db:
            rows = db.execute("SELECT name FROM users ORDER BY name")
            return list(self._sieve.sift("users", rows, lambda row: valid_user(row[0])))

    def recall(
        self,
        user_id: str,
        query: str,
        k: int,
        *,
        kind: str | None = None,
        before: datetime | None = None,
        exclude: Collection[int] = (),
    ) -> list[Recalled]:
        """The k items of this user that resemble `query` most, best first, by BM25 over the user's own items.

        Where fewer share a word with it, the newest others fill the rest with score 0. kind: only items of this kind;
        without one, all but what the user typed to chatbots (kind `prompt`).
        before: only strictly older items, and only their statistics. exclude: ids that are not returned.
        """
        checked_type("the query", query, str, optional=False)
        checked_type("k", k, int, optional=False)
        checked_type("before", before, datetime)
        moment = None if before is None else to_milliseconds(before)
        with self._connections.reading() as db:
            passed = set(exclude)
            while True:
                ranked = recall.rank(db, user_id, query, k, kind=kind, before=moment, exclude=passed)
                found = items.items_by_number(db, [number for number, _ in ranked], self._sieve)
                damaged = {number for number, _ in ranked} - found.keys()
                if not damaged:
                    return [Recalled(found[number], score) for number, score in ranked]
                passed |= damaged  # the next best take the places of those that cannot be read

    def search(self, user_id: str, text: str, limit: int = 20) -> list[Found]:
        """The user's newest items that hold every word of `text` (the last one may be a beginning), with snippets."""
        checked_type("the text", text, str, optional=False)
        checked_type("limit", limit, int, optional=False)
        with self._connections.reading() as db:
            return search(db, user_id, text, limit, self._sieve)

    def stats(self, user_id: str | None = None) -> Stats:
        """Counts for this user, or for all."""
        with self._connections.reading() as db:
            return statistics.stats(db, user_id)

    # Generations and feedback

    def record(self, generation: Generation, *, layer: Layer | None = None, wait_s: float | None = None) -> None:
        """Stores the generation with all its candidates, and drops what the user's retention no longer allows.

        `layer`: the reward model's last layer, from which later judgments learn. `wait_s`: how long to wait for another
        writer, where that is less than the busy timeout.
        """
        checked_type("the generation", generation, Generation, optional=False)
        with self._connections.writing(wait_s) as db:
            generations.insert_generation(db, generation, self._usual_days)
            if layer is not None:
                learning.put_layer(db, generation.generation_id, layer)

    def generation(self, generation_id: str, user_id: str | None = None) -> Generation:
        """The generation, whole. NotFound if there is none, or if it is not this user's."""
        with self._connections.reading() as db:
            return generations.generation(db, generation_id, user_id)

    def generations(self, user_id: str, limit: int | None = None) -> list[Generation]:
        """The user's generations, newest first."""
        checked_type("limit", limit, int)
        with self._connections.reading() as db:
            return generations.select_generations(db, user_id, limit, self._sieve)

    def iterate_generations(self, user_id: str | None = None) -> Iterator[Generation]:
        """All generations of the user, or of all users, oldest first, as of one moment."""
        with self._connections.reading() as db:
            yield from generations.iterate_generations(db, user_id, self._sieve)

    def add_feedback(self, feedback: Feedback, evidence: StoredEvidence | None = None) -> Feedback:
        """The judgment as stored, with its id. `edit` and `accept` also add the text as a history item.

        It takes the place of what the user had said of the same generation before, and of an equal sign of the app.
        `evidence`: what it says of the generation's candidates, stored in the same transaction. NotFound if this user
        has no such generation; InvalidInput if it has no such candidate, or the text does not fit the kind (`edit`
        needs one, the others take none).
        """
        checked_type("the feedback", feedback, Feedback, optional=False)
        with self._connections.writing() as db:
            stored = judgments.insert_feedback(db, feedback)
            if evidence is not None:
                learning.put_judgment(db, stored, evidence)
            return stored

    def retract(
        self, generation_id: str, user_id: str | None = None, *, kind: FeedbackKind | None = None
    ) -> list[Feedback]:
        """Takes back the judgments on a generation, of one kind or all; returns them.

        What they had brought into the history goes, unless it came from elsewhere too. NotFound if there is no such
        generation of this user, or no such judgment on it.
        """
        with self._connections.writing() as db:
            generations.generation(db, generation_id, user_id)
            found = [one for one in judgments.judgments(db, generation_id, self._sieve) if kind in (None, one.kind)]
            if not found:
                raise NotFound(
                    f"nothing was said of the generation {generation_id!r}", "see `edge-ttp history generations`"
                )
            judgments.delete_feedback(db, found)
            forget_states(self.path, found[0].user_id)
        self._tell(found[0].user_id)
        return found

    def judgments(self, generation_id: str) -> list[Feedback]:
        """The judgments on one generation, oldest first."""
        with self._connections.reading() as db:
            return judgments.judgments(db, generation_id, self._sieve)

    def feedback_for(self, user_id: str | None) -> list[Feedback]:
        """The user's judgments (all users' if None), oldest first."""
        with self._connections.reading() as db:
            return judgments.select_feedback(db, user_id, self._sieve)

    def judged_generations(self, user_id: str | None) -> Iterator[tuple[Feedback, Generation]]:
        """The user's judgments (all users' if None), oldest first, each with its generation, as of one moment."""
        with self._connections.reading() as db:
            for feedback in judgments.select_feedback(db, user_id, self._sieve):
                try:
                    yield feedback, generations.generation(db, feedback.generation_id, feedback.user_id)
                except NotFound:
                    self._sieve.leave_out("feedback", feedback.id, "it is on an answer of another user")
                except RowUnavailable as error:
                    self._sieve.leave_out(error.damaged.table, error.damaged.row, error.damaged.reason)

    def retention(self, user_id: str) -> int | None:
        """Days for which the user's generations are kept; None without limit."""
        with self._connections.reading() as db:
            return generations.retention(db, user_id, self._usual_days)

    def set_retention(self, user_id: str, days: int | None) -> int:
        """Keeps the user's generations for `days` (None: without limit); returns how many were deleted at once.

        Deletes them with candidates and feedback, never items. InvalidInput unless 1 <= days <= MAX_RETENTION_DAYS.
        """
        checked_type("days", days, int)
        if days is not None and not 1 <= days <= MAX_RETENTION_DAYS:
            raise InvalidInput(f"a retention of {days} days is not possible", f"use 1 to {MAX_RETENTION_DAYS} days")
        with self._connections.writing() as db:
            return generations.set_retention(db, valid_user(user_id), days)

    # The file

    def backup(self, path: Path | str, *, force: bool = False) -> int:
        """Writes a packed copy of the whole file to `path` (mode 0600); returns its size in bytes.

        InvalidInput if something is there and `force` is not set, or where it cannot be written.
        """
        from edge_ttp.history.backup import backup

        return backup(self._connections, checked_path(path), force=force)

    def restore_backup(
        self, path: Path | str, *, salvage: bool = False, advance: Callable[[float], None] = lambda done: None
    ) -> tuple[DamagedRow, ...]:
        """Replaces everything by the rows of the backup at `path`, or changes nothing and raises.

        NotFound; HistoryUnavailable if it is no history, of a newer version, or if rows of it are damaged: with
        `salvage` these are set aside in a file beside the history and returned. `advance`: told the rows done.
        """
        from edge_ttp.history.backup import restore_file

        return restore_file(self._connections, checked_path(path), salvage=salvage, advance=advance)

    def health(self, *, full: bool = False) -> Health:
        """Whether the file is sound and private, its sizes and counts. full: compares every index with its table."""
        return health(self._connections, full=full)
