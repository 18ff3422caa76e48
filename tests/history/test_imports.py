"""Imports as wholes: listed, and taken out again with what was made of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ttp.errors import NotFound
from edge_ttp.exchange.records import BadRecord, Entry, Numbered, Remark, Skipped
from edge_ttp.history import History, migrations
from edge_ttp.history.importing import first_records, store_records
from edge_ttp.schema import PROMPT_KIND, HistoryItem

from .conftest import new_generation, new_item


def source(*records: object) -> Iterator[Entry]:
    for number, record in enumerate(records, 1):
        yield Numbered(number, record)  # type: ignore[arg-type]


def texts(history: History, user: str = "ann") -> list[str]:
    return [one.output for one in history.items(user, newest_first=False)]


def test_an_import_is_listed_and_taken_out_again_and_what_was_there_stays(history: History) -> None:
    history.add(new_item("mine before"))
    first = store_records(history, lambda: source(new_item("a"), new_item("b"), new_item("mine before")), name="a.csv")
    second = store_records(history, lambda: source(new_item("c")), name="b.csv")
    assert first.id is not None
    assert second.id is not None
    assert first.id < second.id
    assert [(one.id, one.name, one.items) for one in history.imports("ann")] == [
        (second.id, "b.csv", 1),
        (first.id, "a.csv", 2),
    ]
    assert history.undo_import(first.id, "ann").items == 2
    assert texts(history) == ["mine before", "c"]
    assert [one.id for one in history.imports()] == [second.id]
    assert history.recall("ann", "a b c", 5)[0].item.output == "c"
    with pytest.raises(NotFound):
        history.undo_import(first.id)
    assert history.health(full=True).sound


def test_numbers_are_never_given_twice(history: History) -> None:
    one = store_records(history, lambda: source(new_item("a")), name="x").id
    assert one is not None
    history.undo_import(one)
    two = store_records(history, lambda: source(new_item("a")), name="x").id
    assert two is not None
    assert two > one


def test_an_import_that_brought_nothing_has_no_number(history: History) -> None:
    history.add(new_item("a"))
    assert store_records(history, lambda: source(new_item("a")), name="x").id is None
    assert store_records(history, source, name="x").id is None
    assert history.imports() == []


@pytest.mark.parametrize("strict", [False, True])
def test_an_import_for_several_users_is_undone_for_one_or_all(history: History, strict: bool) -> None:
    many = [new_item(f"text {at}", user=("ann", "bob")[at % 2]) for at in range(1200)]
    number = store_records(history, lambda: source(*many), name="x", strict=strict).id
    assert number is not None
    assert {(one.user, one.items) for one in history.imports()} == {("ann", 600), ("bob", 600)}
    assert history.undo_import(number, "bob").items == 600
    assert (history.count("ann"), history.count("bob")) == (600, 0)
    with pytest.raises(NotFound):
        history.undo_import(number, "eve")
    history.undo_import(number)
    assert history.count("ann") == 0


def test_generations_go_with_the_import_that_brought_them(history: History) -> None:
    history.record(new_generation("mine"))
    number = store_records(history, lambda: source(new_generation("g1"), new_item("z")), name="export.jsonl").id
    assert number is not None
    assert history.undo_import(number).generations == 1
    assert [one.generation_id for one in history.generations("ann")] == ["mine"]


def test_forgetting_takes_the_name_of_an_empty_import_along(history: History, path: Path) -> None:
    store_records(history, lambda: source(new_item("a", day=1)), name="/home/ann/secret-name.csv")
    [item] = history.items("ann")
    assert b"secret-name" in path.read_bytes() + path.with_name(path.name + "-wal").read_bytes()
    history.forget("ann", item_id=item.id)
    assert b"secret-name" not in path.read_bytes()


def test_what_was_passed_over_is_counted_by_reason_and_remarks_are_kept_once(history: History) -> None:
    def mixed() -> Iterator[Entry]:
        yield Remark("read as cp1252")
        yield Skipped(1, "from another sender")
        yield Numbered(2, new_item("a"))
        yield Skipped(3, "from another sender")
        yield Skipped(4, "an automatic reply")
        yield BadRecord(5, "broken")
        yield Remark("read as cp1252")

    report = store_records(history, mixed, name="x")
    assert report.skipped == {"from another sender": 2, "an automatic reply": 1}
    assert (report.added, report.bad, report.remarks) == (1, 1, ("read as cp1252",))
    preview = first_records(mixed, 5)
    assert (len(preview.items), preview.skipped, preview.remarks) == (1, report.skipped, ("read as cp1252",))
    refused = store_records(history, mixed, name="x", strict=True)
    assert (refused.refused, refused.skipped) == (True, report.skipped)


def prompt(text: str) -> HistoryItem:
    return new_item(text, kind=PROMPT_KIND, given="what now", day=5)


def test_prompts_are_recalled_only_where_they_are_asked_for(history: History) -> None:
    history.add_many(
        [prompt("fix my regex please"), new_item("the regex is in the mail", given="what now", kind="email")]
    )
    found = [one.item.kind for one in history.recall("ann", "regex what now", 5)]
    assert found == ["email"]
    assert [one.item.kind for one in history.recall("ann", "nothing in common", 5)] == ["email"]
    assert [one.item.kind for one in history.recall("ann", "regex", 5, kind=PROMPT_KIND)] == ["prompt"]
    assert [one.kind for one in history.items("ann", prompts=False)] == ["email"]
    assert {one.kind for one in history.items("ann")} == {"email", "prompt"}
    assert [one.kind for one in history.items("ann", kind="prompt", prompts=False)] == ["prompt"]
    assert [one.kind for one in history.uncalibrated("ann", 5)] == ["email"]


def test_a_user_with_prompts_alone_is_not_imitated_from_them(history: History) -> None:
    history.add(prompt("fix my regex please"))
    assert history.recall("ann", "regex", 3) == []


def test_a_database_of_before_has_no_imports_and_takes_new_ones(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(migrations, "STEPS", migrations.STEPS[:3])
        with History.open(path) as history, history._connections.writing() as db:
            db.execute("INSERT INTO users (name, created_at) VALUES ('ann', 1)")
            db.execute(
                "INSERT INTO items (user, kind, created_at, source, words, fingerprint, input, output, metadata) "
                "VALUES (1, 'text', 1, 'api', 1, x'00', '', 'old', '{}'), "
                "(1, 'chat', 2, 'claude', 1, x'01', '', 'p', '{}')"
            )
    with History.open(path) as history:
        assert [(one.output, one.kind) for one in history.items("ann")] == [("p", "prompt"), ("old", "text")]
        assert history.imports() == []
        number = store_records(history, lambda: source(new_item("new")), name="x").id
        assert number is not None
        history.undo_import(number)
        assert texts(history) == ["old", "p"]


def test_imports_come_back_from_a_backup(history: History, tmp_path: Path) -> None:
    number = store_records(history, lambda: source(new_item("a")), name="x").id
    assert number is not None
    history.backup(tmp_path / "copy.db")
    history.forget("ann", everything=True)
    history.restore_backup(tmp_path / "copy.db")
    assert [one.id for one in history.imports()] == [number]
    assert history.undo_import(number).items == 1
