"""Hidden halves, strangers, and the frozen report users."""

from __future__ import annotations

import json
from pathlib import Path

from edge_ttp.lab.bench.halves import earlier, halved_queries
from edge_ttp.lab.bench.scored_pools import TUNE, part_of
from tests.lab.bench.test_voice_score import STYLES, SUBJECTS, texts

USERS = [name for name in (f"user {number}" for number in range(400)) if part_of(name) in TUNE]


def write(folder: Path, task: str = "notes", users: int = 6, items: int = 24) -> Path:
    rows = []
    for number, user in enumerate(USERS[:users]):
        written = texts(list(STYLES)[number % 4], SUBJECTS[number // 3 % 4], items, number)
        rows += [
            {"user_id": user, "order": place, "input": f"note {place} of {user}", "output": text}
            for place, text in enumerate(written)
        ]
    folder.mkdir(exist_ok=True)
    (folder / f"{task}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def test_what_a_query_sees_and_what_it_is_scored_against_share_no_item(tmp_path: Path) -> None:
    folder = write(tmp_path)
    hidden = earlier(folder, "notes", tenths=TUNE)
    found = halved_queries(folder, ["notes"], tenths=TUNE, users=6)
    assert len(found) == 6 * 8
    for one in found:
        seen = [item.input for item in one.query.history]
        places = {int(text.split()[1]) for text in seen}
        assert {place % 2 for place in places} == {one.half}
        assert max(places) < 16 <= one.query.place  # the items that are asked are in neither half
        assert len(hidden[one.user][1 - one.half]) == 8
        assert one.query.item.user_id == f"{one.user}/{one.half}"
    assert {one.half for one in found if one.user == found[0].user} == {0, 1}


def test_strangers_are_others_of_the_task_with_as_many_items_of_the_same_moments(tmp_path: Path) -> None:
    for one in halved_queries(write(tmp_path), ["notes"], tenths=TUNE, users=6):
        assert len({stranger.history[0].user_id for stranger in one.strangers}) == len(one.strangers) == 5
        for stranger in one.strangers:
            assert stranger.history[0].user_id != one.user
            assert [item.created_at for item in stranger.history] == [item.created_at for item in one.query.history]
            assert stranger.item.output == one.query.item.output
        styles = {user: number % 4 for number, user in enumerate(USERS)}
        assert styles[one.strangers[0].history[0].user_id] != styles[one.user]  # the farthest in style comes first


def test_more_users_only_add_to_fewer(tmp_path: Path) -> None:
    folder = write(tmp_path)
    few = [one.query.key for one in halved_queries(folder, ["notes"], tenths=TUNE, users=2)]
    many = [one.query.key for one in halved_queries(folder, ["notes"], tenths=TUNE, users=5)]
    assert many[: len(few)] == few
    assert len(many) == 5 * 8
