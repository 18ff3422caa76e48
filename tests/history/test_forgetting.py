"""What is forgotten is in no byte of the files, nothing else is touched, and what was interrupted is done later."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_ttp.errors import NotFound
from edge_ttp.history import History, forgetting
from edge_ttp.schema import Candidate

from .conftest import new_generation, new_item
from .owned import SECRETS, fill, remains
from .test_learning import evidence


def test_the_words_would_be_found_before(history: History, path: Path) -> None:
    fill(history, "ann")
    assert remains(path) == set(SECRETS)


def test_nothing_of_a_forgotten_user_is_in_any_byte_of_the_files_or_of_a_backup(history: History, path: Path) -> None:
    for day in range(3):
        fill(history, "ann", day)
    history.add(new_item("stays here", user="bob"))
    found = history.forget("ann", everything=True)
    assert (found.items, found.generations, found.calibrations, found.overwritten) == (6, 3, 3, True)
    history.backup(path.parent / "backup.db")
    assert remains(path, [*SECRETS, b"ann-0"]) == set()
    assert history.users() == ["bob"]
    assert history.health(full=True).problems == ()
    with pytest.raises(NotFound, match="ann"):
        history.forget("ann", everything=True)


def test_words_of_many_segments_of_the_index_are_gone(history: History, path: Path) -> None:
    words = [f"w{number:04d}{'abcdefgh'[number % 8] * 3}" for number in range(400)]
    for start in range(0, 400, 20):
        history.add_many(new_item(f"the {word}", user="ann", day=day) for day, word in enumerate(words[start:][:20]))
        history.add(new_item(f"bob writes {start}", user="bob"))
    wanted = [word.encode() for word in words]
    assert len(remains(path, wanted)) == 400
    history.forget("ann", everything=True)
    assert remains(path, wanted) == set()
    assert history.recall("bob", "writes", 30)[-1].score > 0


def test_another_user_is_untouched(history: History) -> None:
    for user in ("ann", "bob"):
        fill(history, user)
    before = list(history.records("bob", everything=True))
    ranked = history.recall("bob", "zeppelin quagmire", 3)
    history.forget("ann", everything=True)
    assert list(history.records("bob", everything=True)) == before
    assert history.recall("bob", "zeppelin quagmire", 3) == ranked
    assert history.posterior("bob", "r1") is not None
    assert len(history.evidence("bob", "r1", 9)[1]) == 2


def test_a_forgotten_item_takes_its_words_what_was_drawn_for_it_and_the_posterior(history: History, path: Path) -> None:
    number = fill(history, "ann")
    history.add(new_item("something else", given="zeppelin 0"))
    found = history.forget("ann", item_id=number)
    assert (found.items, found.generations, found.calibrations) == (1, 0, 1)
    assert remains(path) == {b"zeppelin", b"obelisk", b"farthing"}  # of the other item, and of the judged answer
    assert history.posterior("ann", "r1") is None
    assert [one.kind for one in history.evidence("ann", "r1", 9)[1]] == ["edit"]
    assert history.recall("ann", "xylophone", 3)[0].score == 0
    assert history.health(full=True).problems == ()


def test_forgetting_an_edited_text_takes_the_answer_that_it_came_of(history: History, path: Path) -> None:
    fill(history, "ann")
    [edited] = [item for item in history.items("ann") if item.source == "edit"]
    found = history.forget("ann", item_id=edited.id)
    assert (found.items, found.generations) == (1, 1)
    assert remains(path) == {b"xylophone", b"quagmire", b"zeppelin", b"jackdaw"}
    assert history.feedback_for("ann") == []


def test_answers_that_repeat_a_forgotten_text_go_with_it(history: History, path: Path) -> None:
    item = history.add(new_item("xylophone quagmire", given="a"))
    other = history.add(new_item("else", given="b"))
    history.calibrate(
        other, "tiny", [Candidate(text="so: xylophone quagmire!", tokens=2, logprob=-1.0)] * 3, evidence()
    )
    history.record(new_generation("g", texts=("one", "xylophone quagmire", "three")))
    found = history.forget("ann", item_id=item.id)
    assert (found.items, found.generations, found.calibrations) == (1, 1, 1)
    assert remains(path) == set()


def test_everything_before_a_date_goes(history: History, path: Path) -> None:
    for day in (0, 40):
        history.add(new_item(f"text of day{day}", day=day))
    history.record(new_generation("old"))
    history.record(new_generation("new", created_at=datetime(2026, 3, 1, tzinfo=UTC)))
    found = history.forget("ann", before=datetime(2026, 1, 15, tzinfo=UTC))
    assert (found.items, found.generations) == (1, 1)
    assert [item.output for item in history.items("ann")] == ["text of day40"]
    assert [one.generation_id for one in history.generations("ann")] == ["new"]
    assert remains(path, [b"day0"]) == set()


def test_where_another_process_reads_the_remains_are_overwritten_at_the_next_opening(
    path: Path, history: History
) -> None:
    fill(history, "ann")
    reader = sqlite3.connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM items").fetchone()
    with History.open(path, busy_timeout_s=0.1) as impatient:
        found = impatient.forget("ann", everything=True)
        assert not found.overwritten
        assert impatient.users() == []
    reader.close()
    assert forgetting.due(history._connections)
    history.close()
    with History.open(path) as again:
        assert not forgetting.due(again._connections)
        assert remains(path) == set()
        assert again.health(full=True).problems == ()


def test_what_was_killed_before_overwriting_is_done_at_the_next_opening(
    history: History, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(history, "ann")

    def dies(_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "overwrite", dies)
        with pytest.raises(KeyboardInterrupt):
            history.forget("ann", everything=True)
    history.close()
    with History.open(path) as again:
        assert remains(path) == set()
        assert again.users() == []
