"""Which queries are chosen, what they may see, and pool files that survive interruption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes.engine import FakeEngine, running

from edge_ttp.errors import InvalidInput, ModelUnavailable
from edge_ttp.policy.elsewhere import engine_policy
from edge_ttp.policy.elsewhere.persistence import Persistence
from edge_ttp_export.draw_pools import MIN_HISTORY, Who, choose_queries, make_pools
from edge_ttp_export.pool_drawer import Recipe
from edge_ttp_export.text_files import Item, read_items
from edge_ttp_export.user_split import part_of

zstandard = pytest.importorskip("zstandard", reason="needs the export extra")
from edge_ttp_export.pool_file import PoolFile  # noqa: E402
from edge_ttp_export.pool_shards import read_pools  # noqa: E402
from edge_ttp_export.text_recall import Recall  # noqa: E402

pytestmark = pytest.mark.export


def users(count: int = 40, items: int = 8) -> dict[str, list[Item]]:
    return {
        f"user-{user}": [
            Item(f"user-{user}", order, f"input {order} of {user} about trails", f"output {order}")
            for order in range(items)
        ]
        for user in range(count)
    }


def test_the_split_is_the_documented_one() -> None:
    # sha256 of these names, mod 10: 9, 5, 8, 0, 7
    assert [part_of(name) for name in ("a", "b", "c", "d", "f")] == ["report", "train", "report", "train", "tune"]


def test_more_queries_only_add_to_fewer() -> None:
    few, many = choose_queries(users(), 20), choose_queries(users(), 60)
    assert many[:20] == few
    keys = [(query.item.user_id, query.item.order) for query in many]
    assert len(set(keys)) == len(keys) == 60


def test_every_part_gets_queries_and_history_holds_earlier_items_only() -> None:
    chosen = choose_queries(users(), 60)
    assert {part_of(query.item.user_id) for query in chosen} == {"train", "tune", "report"}
    for query in chosen:
        assert len(query.history) >= MIN_HISTORY
        assert all(item.order < query.item.order for item in query.history)
        assert {item.user_id for item in query.history} == {query.item.user_id}


def test_users_take_turns_newest_item_first() -> None:
    chosen = choose_queries(users(), 10_000)
    assert len(chosen) == 40 * (8 - MIN_HISTORY)
    assert {query.item.order for query in chosen[:40]} <= {6, 7}


def test_queries_can_be_narrowed_to_one_part_and_to_long_histories() -> None:
    everybody = users(30, items=8) | {"long": users(1, items=12)["user-0"]}
    who = Who("report", min_items=9)
    assert [name for name, items in everybody.items() if who.takes(name, items)] == (
        ["long"] if part_of("long") == "report" else []
    )
    assert Who(None, 9).takes("long", everybody["long"])
    fewest = min(len(query.history) for query in choose_queries(users(), 10_000, min_history=1))
    assert fewest == 1


def test_recall_never_shows_a_later_item() -> None:
    everybody = users(3)
    with Recall.over(everybody) as recall:
        for item in everybody["user-1"][1:]:
            shown = recall.examples(item, 4)
            assert len(shown) == min(4, item.order)
            assert all(int(one.output.split()[1]) < item.order for one in shown)
            assert {one.user_id for one in shown} == {"user-1"}


def test_a_pool_file_goes_on_after_a_torn_write(tmp_path: Path) -> None:
    path, header = tmp_path / "pools.jsonl.zst", {"task": "t", "n": 2}
    record = {"user_id": "a", "order": 1, "candidates": []}
    with PoolFile.append(path, header) as file:
        file.write(record)
        file.write({**record, "order": 2})
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    with PoolFile.append(path, header) as file:
        assert file.keys == {("a", 1)}
        file.write({**record, "order": 2})
    assert path.read_bytes() == whole
    found, records = read_pools(path)
    assert found["task"] == "t"
    assert [one["order"] for one in records] == [1, 2]


def test_a_pool_file_of_another_recipe_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "pools.jsonl.zst"
    with PoolFile.append(path, {"task": "t", "n": 2}):
        pass
    with pytest.raises(InvalidInput, match="another n"), PoolFile.append(path, {"task": "t", "n": 4}):
        pass


@pytest.mark.parametrize("data", [b"not zstandard", zstandard.ZstdCompressor().compress(b"not json"), b""])
def test_a_file_that_holds_no_pools_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(InvalidInput):
        read_pools(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_pools(tmp_path / "missing")


def test_a_bad_line_of_texts_is_named(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"user_id": "a", "order": 0, "input": "i", "output": "o"}\n{"user_id": "a"}\n')
    with pytest.raises(InvalidInput, match="line 2"):
        read_items(path)


def test_an_engine_that_fails_late_and_dies_leaves_every_pool_once_and_whole(tmp_path: Path) -> None:
    data = tmp_path / "notes.jsonl"
    rows = [vars(item) for items in users(6, 8).values() for item in items]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = Recipe(n=3, examples=2, max_tokens=8)

    def draw(out: Path, engine: FakeEngine, last: int = 100) -> int:
        def report(done: int, wanted: int, left: float) -> None:
            engine.dead = done >= last

        return make_pools(data, None, out, recipe, queries=16, threads=1, report=report, policy_url=engine.url)

    with running(FakeEngine(n=False)) as engine:
        assert draw(tmp_path / "calm.zst", engine) == 16
        engine.fails, engine.every_s = 0.1, 0.002
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine_policy, "Persistence", lambda: Persistence(gone_s=0.2, first_wait_s=0.01))
            with pytest.raises(ModelUnavailable):
                draw(tmp_path / "wild.zst", engine, last=5)
        engine.dead = False
        assert draw(tmp_path / "wild.zst", engine) == 16
    (calm, one), (wild, other) = read_pools(tmp_path / "calm.zst"), read_pools(tmp_path / "wild.zst")
    assert calm == wild
    assert calm["policy_url"] == engine.url
    assert one == other


@pytest.mark.real
def test_pools_of_the_real_policy_can_be_continued(tmp_path: Path, policy_path: Path) -> None:
    data, out = tmp_path / "notes.jsonl", tmp_path / "notes.jsonl.zst"
    rows = [vars(item) for items in users(2, 6).values() for item in items]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = Recipe(n=3, examples=2, max_tokens=8)
    calls: list[tuple[int, int]] = []

    def report(done: int, wanted: int, left: float) -> None:
        calls.append((done, wanted))

    assert make_pools(data, policy_path, out, recipe, queries=1, threads=1, report=report) == 1
    assert make_pools(data, policy_path, out, recipe, queries=2, threads=1, report=report) == 2
    assert calls == [(1, 1), (2, 2)]
    header, records = read_pools(out)
    assert header["n"] == 3
    for record in records:
        assert len(record["candidates"]) == len(record["utility"]) == len(record["chrf"]) == 3
        assert record["examples"] == 2
        assert all(one["logprob"] <= 0 and 1 <= one["tokens"] <= 8 for one in record["candidates"])
