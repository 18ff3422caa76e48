from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.corpus import queries, seed_of, tasks_in
from edge_ttp.lab.bench.scored_pools import TUNE, part_of

TUNED = [name for name in (f"user {number}" for number in range(100)) if part_of(name) in TUNE][:3]
OTHER = next(name for name in (f"user {number}" for number in range(100)) if part_of(name) not in TUNE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for task in ("notes", "titles"):
        rows = [
            {"user_id": user, "input": f"{task} in {place}", "output": f"out {place}", "order": place}
            for user in (*TUNED, OTHER)
            for place in reversed(range(6))
        ]
        (tmp_path / f"{task}.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return tmp_path


def test_queries_take_turns_over_tasks_and_users_with_the_newest_first(folder: Path) -> None:
    found = queries(folder, ["notes", "titles"], tenths=TUNE, count=4)
    assert [query.task for query in found] == ["notes", "titles"] * 4
    notes = [query for query in found if query.task == "notes"]
    assert {query.item.user_id for query in notes[:3]} == set(TUNED)
    assert [query.place for query in notes] == [5, 5, 5, 4]


def test_a_larger_count_only_adds(folder: Path) -> None:
    few, more = ([query.key for query in queries(folder, ["notes"], tenths=TUNE, count=count)] for count in (2, 5))
    assert more[:2] == few


def test_nothing_of_the_history_is_newer_than_the_query(folder: Path) -> None:
    for query in queries(folder, ["notes"], tenths=TUNE, count=9):
        assert [item.output for item in query.history] == [f"out {place}" for place in range(query.place)]
        assert all(item.created_at < query.item.created_at for item in query.history)


def test_users_of_other_tenths_are_never_asked(folder: Path) -> None:
    found = queries(folder, ["notes"], tenths=TUNE, count=100)
    assert {query.item.user_id for query in found} == set(TUNED)
    assert len({seed_of(query) for query in found}) == len(found)


def test_a_task_that_is_not_there_names_those_that_are(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="notes, titles") as refused:
        queries(folder, ["mails"], tenths=TUNE, count=1)
    assert "mails" in str(refused.value)
    assert tasks_in(folder) == ["notes", "titles"]


def test_a_line_that_is_no_item_is_named(folder: Path) -> None:
    (folder / "notes.jsonl").write_text('{"user_id": "u", "input": "a"}\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 1"):
        queries(folder, ["notes"], tenths=range(10), count=1)
