from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.exchange.records import BadRecord, Numbered
from edge_ttp.history import History
from edge_ttp.history.importing import BATCH, MAX_NAMED, store_records
from history.conftest import new_item


def entries(count: int, bad: tuple[int, ...] = ()) -> Iterator[Numbered | BadRecord]:
    for number in range(1, count + 1):
        yield BadRecord(number, "broken") if number in bad else Numbered(number, new_item(f"text {number}"))


def test_good_records_are_stored_and_bad_ones_named(history: History) -> None:
    report = store_records(history, lambda: entries(10, bad=(3, 7)))
    assert (report.added, report.duplicates, report.bad) == (8, 0, 2)
    assert report.named == (BadRecord(3, "broken"), BadRecord(7, "broken"))
    assert history.count("ann") == 8


def test_importing_again_adds_nothing(history: History) -> None:
    store_records(history, lambda: entries(700))
    report = store_records(history, lambda: entries(700))
    assert (report.added, report.duplicates) == (0, 700)


def test_strict_stores_nothing_if_any_record_is_bad(history: History) -> None:
    report = store_records(history, lambda: entries(1500, bad=(1400,)), strict=True)
    assert report.refused
    assert (report.added, report.bad, report.named) == (0, 1, (BadRecord(1400, "broken"),))
    assert history.users() == []


def test_strict_stores_everything_in_one_transaction(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = []
    writing = history._connections.writing

    def counted() -> object:
        writes.append(1)
        return writing()

    monkeypatch.setattr(history._connections, "writing", counted)
    assert store_records(history, lambda: entries(1200), strict=True).added == 1200
    assert len(writes) == 1
    store_records(history, lambda: entries(1200))
    assert len(writes) == 1 + -(-1200 // BATCH)


def test_bad_records_are_counted_beyond_those_named(history: History) -> None:
    report = store_records(history, lambda: entries(100, bad=tuple(range(1, 101))))
    assert report.bad == 100
    assert len(report.named) == MAX_NAMED


def interrupted(at: int) -> Iterator[Numbered | BadRecord]:
    for entry in entries(BATCH * 3):
        if entry.number == at:
            raise KeyboardInterrupt
        yield entry


def test_an_interruption_keeps_committed_batches_and_counts_them(history: History) -> None:
    report = store_records(history, lambda: interrupted(BATCH + 100))
    assert report.interrupted
    assert report.added == BATCH == history.count("ann")
    assert history.health(full=True).sound


def test_an_interruption_under_strict_leaves_nothing(history: History) -> None:
    passes = iter([True, False])
    report = store_records(
        history, lambda: entries(BATCH * 3) if next(passes) else interrupted(BATCH + 100), strict=True
    )
    assert (report.interrupted, report.added) == (True, 0)
    assert history.users() == []


def test_a_fault_on_the_way_says_how_much_was_stored(history: History) -> None:
    def failing() -> Iterator[Numbered | BadRecord]:
        for entry in entries(BATCH * 2):
            if entry.number == BATCH + 1:
                with history._connections.connection() as db:
                    pages = db.execute("PRAGMA page_count").fetchone()[0]
                    db.execute(f"PRAGMA max_page_count = {pages}")
            yield entry

    with pytest.raises(HistoryUnavailable, match=f"disk is full.*{BATCH} records were stored"):
        store_records(history, failing)
    assert history.count("ann") == BATCH
