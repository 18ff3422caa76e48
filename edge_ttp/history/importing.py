"""Storing a stream of records in batches, or all of them at once, and saying what became of each.

By default every batch is committed, and bad records are counted and named. Strict reads everything first, and stores
all of it in one transaction or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from edge_ttp.errors import EdgeTTPError, InvalidInput
from edge_ttp.exchange import readers
from edge_ttp.exchange.readers import Import
from edge_ttp.exchange.records import Advance, BadRecord, Entry, Numbered, Record, Records, Remark, Skipped, no_progress
from edge_ttp.exchange.streams import STDIN
from edge_ttp.history.imports import OpenImport
from edge_ttp.history.items import Counts
from edge_ttp.history.restore import RefusedRecord
from edge_ttp.history.rows import checked_item, metadata_text
from edge_ttp.history.store import History
from edge_ttp.schema import HistoryItem

BATCH = 500
"""Records committed at a time."""

MAX_NAMED = 20
"""Bad records that are named; the others are only counted."""


@dataclass(frozen=True)
class Imported:
    """What became of an import."""

    added: int
    duplicates: int
    """Records that were there already."""
    bad: int
    """Records that could not be stored."""
    named: tuple[BadRecord, ...]
    """The first of them, with reasons."""
    interrupted: bool = False
    """Ctrl-C came: the counts are those of the batches stored before."""
    refused: bool = False
    """Strict, and there were bad records: nothing was stored."""
    id: int | None = None
    """Number of the import, by which it can be undone; None where nothing was added."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Why records were passed over that are not the user's own writing -> how many."""
    remarks: tuple[str, ...] = ()
    """How the whole was read, where that was not plain."""


@dataclass(frozen=True)
class Preview:
    """What an import would store first."""

    items: tuple[HistoryItem, ...]
    bad: tuple[BadRecord, ...]
    """Records before them that could not be stored."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def checked(source: Records) -> Iterator[Entry]:
    """What `source` yields; items that cannot be stored are bad records."""
    for entry in source():
        if isinstance(entry, Numbered) and isinstance(entry.record, HistoryItem):
            try:
                metadata_text(checked_item(entry.record).metadata)
            except InvalidInput as error:
                yield BadRecord(entry.number, error.fact)
                continue
        yield entry


def first_records(source: Records, count: int) -> Preview:
    """The first `count` items that `source` yields; nothing is stored."""
    items: list[HistoryItem] = []
    tally = _Tally()
    for entry in checked(source):
        if isinstance(entry, Numbered):
            if isinstance(entry.record, HistoryItem):
                items.append(entry.record)
        else:
            tally.name(entry)
        if len(items) == count:
            break
    return Preview(tuple(items), tuple(tally.named), dict(tally.skipped), tuple(tally.remarks))


def import_from(history: History, what: Import, *, strict: bool = False, advance: Advance = no_progress) -> Imported:
    """Stores what `what` describes as one import. advance is called with the amount read (exchange.readers.amount).

    InvalidInput if it cannot be read as what it is said to be. See `store_records`.
    """
    # A file's name may be any bytes; the history holds Unicode.
    name = "stdin" if what.name == STDIN else what.name.encode("utf-8", "replace").decode()
    with readers.source(what, history.path.parent, advance, strict=strict) as records:
        return store_records(history, records, name=name, strict=strict)


def preview_of(history: History, what: Import, count: int, *, advance: Advance = no_progress) -> Preview:
    """What `import_from` would store first; nothing is stored."""
    with readers.source(what, history.path.parent, advance, strict=False) as records:
        return first_records(records, count)


def store_records(history: History, source: Records, *, name: str = "", strict: bool = False) -> Imported:
    """Stores what `source` yields as one import called `name`, and reports on it.

    Ctrl-C ends the import with a report (`interrupted`); another error says how much was stored before it. With strict,
    that is nothing: both leave the history as it was.
    """
    opened = OpenImport(name)
    return _all_or_nothing(history, source, opened) if strict else _batch_by_batch(history, source, opened)


def _batch_by_batch(history: History, source: Records, opened: OpenImport) -> Imported:
    tally = _Tally(opened)
    try:
        records = checked(source)
        while batch := list(islice(records, BATCH)):
            good = [entry for entry in batch if isinstance(entry, Numbered)]
            counts, refused = history.restore((entry.record for entry in good), opened=opened)
            tally.counts += counts
            bad = [entry for entry in batch if isinstance(entry, BadRecord)]
            bad += [BadRecord(good[index].number, reason) for index, reason in refused]
            for entry in sorted(bad, key=lambda entry: entry.number):
                tally.name(entry)
            for other in batch:
                if isinstance(other, Skipped | Remark):
                    tally.name(other)
    except KeyboardInterrupt:
        return tally.report(interrupted=True)
    except EdgeTTPError as error:
        if not tally.counts.added:
            raise
        before = f"{error.fact} (before that, {tally.counts.added} records were stored)"
        raise type(error)(before, error.cure) from error
    return tally.report()


def _all_or_nothing(history: History, source: Records, opened: OpenImport) -> Imported:
    tally = _Tally(opened)
    numbers: list[int] = []

    def records() -> Iterator[Record]:
        for entry in checked(source):
            if isinstance(entry, BadRecord):
                raise InvalidInput(f"record {entry.number} changed while it was read: {entry.reason}", "try again")
            if isinstance(entry, Numbered):
                numbers.append(entry.number)
                yield entry.record

    try:
        for entry in checked(source):
            if not isinstance(entry, Numbered):
                tally.name(entry)
        if tally.bad:
            return tally.report(refused=True)
        tally.counts, _ = history.restore(records(), strict=True, opened=opened)
    except KeyboardInterrupt:
        return tally.report(interrupted=True)
    except RefusedRecord as refused:
        tally.name(BadRecord(numbers[refused.index], refused.fact))
        return tally.report(refused=True)
    return tally.report()


class _Tally:
    def __init__(self, opened: OpenImport | None = None) -> None:
        self.opened = opened
        self.counts = Counts(0, 0)
        self.bad = 0
        self.named: list[BadRecord] = []
        self.skipped: Counter[str] = Counter()
        self.remarks: list[str] = []

    def name(self, entry: BadRecord | Skipped | Remark) -> None:
        if isinstance(entry, Skipped):
            self.skipped[entry.reason] += 1
        elif isinstance(entry, Remark):
            if entry.text not in self.remarks:
                self.remarks.append(entry.text)
        else:
            self.bad += 1
            if len(self.named) < MAX_NAMED:
                self.named.append(entry)

    def report(self, *, interrupted: bool = False, refused: bool = False) -> Imported:
        counts = self.counts
        return Imported(
            counts.added,
            counts.duplicates,
            self.bad,
            tuple(self.named),
            interrupted,
            refused,
            id=None if self.opened is None else self.opened.number,
            skipped=dict(self.skipped),
            remarks=tuple(self.remarks),
        )
