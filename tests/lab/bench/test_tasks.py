"""Prompts of the benchmarks: the samples' last items, or one item of each user of a corpus."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.tasks import chosen_tasks, corpus_tasks, sample_tasks
from edge_ttp.samples import SAMPLE_USERS, sample_items


def corpus(folder: Path, task: str, users: dict[str, int]) -> None:
    rows = [
        {"user_id": user, "order": place, "input": f"{task} {user} {place}", "output": f"said {place}"}
        for user, items in users.items()
        for place in reversed(range(items))
    ]
    (folder / f"{task}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_sample_users_take_turns_with_what_came_before_in_view() -> None:
    tasks = sample_tasks(2 * len(SAMPLE_USERS) - 1)
    assert [one.user for one in tasks] == [*SAMPLE_USERS, *SAMPLE_USERS][: len(tasks)]
    first, later = tasks[0], tasks[len(SAMPLE_USERS)]
    items = sample_items(first.user)
    assert first.prompt == items[-1]["input"]
    assert [one.output for one in first.history] == [one["output"] for one in items[:-1]]
    assert (later.prompt, len(later.history)) == (items[-2]["input"], len(items) - 2)
    assert chosen_tasks(None, len(tasks)) == tasks


def test_a_corpus_gives_the_last_item_of_users_with_enough_and_its_tasks_take_turns(tmp_path: Path) -> None:
    corpus(tmp_path, "mails", {"ann": 6, "bob": 5, "cyd": 7})
    corpus(tmp_path, "notes", {"dan": 6, "eve": 6})
    tasks = corpus_tasks(tmp_path, 3)
    assert [one.name for one in tasks] == ["mails/ann", "notes/dan", "mails/cyd"]
    assert tasks[0].prompt == "mails ann 5"
    assert [one.output for one in tasks[0].history] == [f"said {place}" for place in range(5)]
    moments = [one.created_at for one in tasks[0].history]
    assert moments[1] - moments[0] == timedelta(hours=1)
    assert chosen_tasks(tmp_path, 3) == tasks


def test_what_is_no_corpus_or_too_small_a_one_is_refused(tmp_path: Path) -> None:
    corpus(tmp_path, "mails", {"ann": 6})
    with pytest.raises(InvalidInput, match="fewer than 2 usable"):
        chosen_tasks(tmp_path, 2)
    with pytest.raises(InvalidInput, match="there is no folder"):
        chosen_tasks(tmp_path / "nothing", 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="usable"):
        chosen_tasks(tmp_path / "empty", 1)
