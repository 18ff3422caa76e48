from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.exchange.records import BadRecord, Numbered
from edge_ttp.history import Counts, History
from edge_ttp.history.importing import BATCH, MAX_NAMED, store_records
from edge_ttp.history.restore import RefusedRecord
from edge_ttp.schema import Feedback
from history.conftest import new_generation, new_item


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


def test_generations_and_feedback_are_restored_as_they_were(history: History) -> None:
    generation = new_generation("g1")
    feedback = Feedback(generation_id="g1", user_id="ann", kind="edit", candidate=1, text="mine")
    records = [new_item("mine", given="say something"), generation, feedback]
    source = [Numbered(number, record) for number, record in enumerate(records, start=1)]
    assert store_records(history, lambda: iter(source)).added == 3
    assert history.generation("g1") == generation
    assert [found.model_copy(update={"id": None}) for found in history.feedback_for("ann")] == [
        feedback.model_copy(update={"created_at": history.feedback_for("ann")[0].created_at})
    ]
    assert history.count("ann") == 1  # the edit's item is the one that was in the file
    with history._connections.reading() as db:
        assert db.execute("SELECT item FROM feedback").fetchone()[0] == 1
    again = store_records(history, lambda: iter(source))
    assert (again.added, again.duplicates) == (0, 3)


@pytest.mark.parametrize(
    "record",
    [
        Feedback(generation_id="g9", user_id="ann", kind="accept", candidate=0),
        Feedback(generation_id="g1", user_id="bob", kind="accept", candidate=0),
        Feedback(generation_id="g1", user_id="ann", kind="accept", candidate=9),
        new_generation("g1", user="bob"),
        new_generation("g2").model_copy(update={"chosen": 9}),
    ],
)
def test_records_that_do_not_fit_are_bad_and_the_others_stored(history: History, record: object) -> None:
    history.record(new_generation("g1"))
    source = [Numbered(1, new_item("one")), Numbered(5, record), Numbered(9, new_item("two"))]  # type: ignore[arg-type]
    refused = store_records(history, lambda: iter(source), strict=True)
    assert (refused.refused, refused.named[0].number) == (True, 5)
    assert history.count("ann") == 0
    report = store_records(history, lambda: iter(source))
    assert (report.added, report.bad, report.named[0].number) == (2, 1, 5)
    assert len(history.generations("ann")) == 1
    assert history.health(full=True).sound


def test_restore_reports_or_raises(history: History) -> None:
    records = [new_item("one"), new_item(" ")]
    assert history.restore(records) == (Counts(1, 0), [(1, "the output is empty")])
    with pytest.raises(RefusedRecord) as caught:
        history.restore(records, strict=True)
    assert caught.value.index == 1
