"""Records stored as they once were."""

from __future__ import annotations

from typing import Any

import pytest

from edge_ttp.exchange.records import Numbered
from edge_ttp.history import Counts, History
from edge_ttp.history.importing import store_records
from edge_ttp.history.restore import RefusedRecord
from edge_ttp.schema import Feedback
from history.conftest import new_generation, new_item


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


def test_an_accepted_text_that_came_before_is_what_its_judgment_made(history: History) -> None:
    generation = new_generation("g1", remember="asked otherwise")
    accept = Feedback(generation_id="g1", user_id="ann", kind="accept", candidate=1)
    history.restore([new_item("two", given="asked otherwise"), generation, accept])
    reject = Feedback(generation_id="g1", user_id="ann", kind="reject", candidate=2)
    assert history.restore([accept, reject])[0].added == 1
    with history._connections.reading() as db:
        assert db.execute("SELECT kind, item FROM feedback ORDER BY id").fetchall()[0] == ("accept", 1)


def test_what_is_no_record_is_named_by_its_place(history: History) -> None:
    records: list[Any] = [new_item("one"), "two", new_item("three")]
    assert history.restore(records) == (Counts(2, 0), [(1, "str is no record")])
