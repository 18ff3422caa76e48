from __future__ import annotations

import os
import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from edge_ttp.errors import HistoryUnavailable, InvalidInput, NotFound
from edge_ttp.history import History, migrations
from edge_ttp.history.connection import Connections
from edge_ttp.history.faults import full

from .as_user import folder_of_an_ordinary_user, without_rights
from .conftest import new_generation, new_item
from .refusing import beside, mode, refused

# Privacy


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_all_files_are_private_from_the_start_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with History.open(path) as history:
            history.add(new_item("hello"))
            assert [mode(beside(path, ending)) for ending in ("", "-wal", "-shm")] == ["0600"] * 3
            assert mode(path.parent) == "0700"
            assert history.health().private
    finally:
        os.umask(before)


def test_the_file_is_never_there_with_other_rights(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    connect = sqlite3.connect

    def watched(*arguments: object, **options: object) -> sqlite3.Connection:
        seen.append(mode(path))
        return connect(*arguments, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", watched)
    before = os.umask(0)
    try:
        History.open(path).close()
    finally:
        os.umask(before)
    assert set(seen) == {"0600"}


def test_a_file_that_others_could_read_is_tightened(path: Path) -> None:
    History.open(path).close()
    path.chmod(0o644)
    with History.open(path) as history:
        assert mode(path) == "0600"
        assert history.health().private


def test_deleted_texts_are_overwritten_and_sorting_stays_in_memory(history: History) -> None:
    with history._connections.reading() as db:
        pragmas = {
            name: db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("secure_delete", "temp_store", "foreign_keys", "journal_mode", "synchronous", "busy_timeout")
        }
    assert pragmas == {
        "secure_delete": 1,
        "temp_store": 2,
        "foreign_keys": 1,
        "journal_mode": "wal",
        "synchronous": 2,
        "busy_timeout": 30_000,
    }


# What can be wrong with the file


def test_a_missing_file_is_made_only_if_wanted(path: Path) -> None:
    with pytest.raises(NotFound):
        History.open(path, create=False)
    assert not path.parent.exists()
    History.open(path).close()
    History.open(path, create=False).close()


@pytest.mark.parametrize(
    "content", [b"this is no database " * 400, b"\0" * 9000, random.Random(0).randbytes(9000), b"SQLite format 3\0 ha"]
)
def test_a_file_that_is_no_database_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert "not a sound database" in refused(path)
    assert path.read_bytes() == content


def test_a_folder_or_an_impossible_place_is_refused(tmp_path: Path) -> None:
    assert "is a folder" in refused(tmp_path)
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file" / "history.db")
    refused(tmp_path / "file" / "deeper" / "history.db")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert "leads nowhere" in refused(tmp_path / "link")
    assert not (tmp_path / "nowhere").exists()


def test_an_empty_file_becomes_a_history(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o600)
    with History.open(path) as history:
        assert history.add(new_item("hello")).id == 1


def test_strange_characters_in_the_path_are_fine(tmp_path: Path) -> None:
    strange = tmp_path / "100% ?mode=ro#é 'x'" / "h?.db"
    with History.open(strange) as history:
        history.add(new_item("hello"))
    assert strange.exists()


def test_a_caller_in_a_hurry_does_not_wait_for_the_lock(path: Path) -> None:
    with History.open(path) as history:
        history.add(new_item("before"))
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryUnavailable, match="locked"):
            history.record(new_generation("g1"), wait_s=0)
        blocker.close()
        history.record(new_generation("g1"), wait_s=0)
        with history._connections.connection() as db:
            assert db.execute("PRAGMA busy_timeout").fetchone()[0] == 30_000


def test_a_locked_history_is_written_once_the_lock_is_gone(path: Path) -> None:
    with History.open(path) as history, ThreadPoolExecutor(1) as pool:
        blocker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        blocker.execute("BEGIN IMMEDIATE")
        writing = pool.submit(history.add, new_item("patient"))
        threading.Timer(0.2, blocker.close).start()
        assert writing.result().id == 1


# Read-only


def fill(path: Path) -> None:
    with History.open(path) as history:
        history.add_many([new_item("a train"), new_item("rain")])
        history.record(new_generation("g1"))


def check_readable_only(path: Path) -> None:
    with History.open(path, busy_timeout_s=1) as history:
        assert history.read_only
        assert history.recall("ann", "trains", 1)[0].item.output == "a train"
        assert history.search("ann", "train")
        assert history.generation("g1").candidates
        assert history.stats().items == 2
        health = history.health(full=True)
        assert health.read_only
        assert health.sound
        for write in (
            lambda: history.add(new_item("new")),
            lambda: history.record(new_generation("g2")),
            lambda: history.set_retention("ann", 3),
        ):
            with pytest.raises(HistoryUnavailable, match="read-only"):
                write()


def test_a_read_only_file_still_recalls() -> None:
    with folder_of_an_ordinary_user() as folder:
        without_rights(lambda: fill(folder / "history.db"))
        (folder / "history.db").chmod(0o400)
        without_rights(lambda: check_readable_only(folder / "history.db"))


def test_a_file_in_a_read_only_folder_still_recalls() -> None:
    with folder_of_an_ordinary_user() as folder:
        without_rights(lambda: fill(folder / "history.db"))
        folder.chmod(0o500)
        without_rights(lambda: check_readable_only(folder / "history.db"))


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    def task() -> None:
        refused(folder / "history.db")
        refused(folder / "deeper" / "history.db")

    with folder_of_an_ordinary_user() as folder:
        folder.chmod(0o500)
        without_rights(task)


def test_a_file_that_cannot_be_read_is_refused() -> None:
    def task() -> None:
        refused(folder / "history.db")

    with folder_of_an_ordinary_user() as folder:
        without_rights(lambda: fill(folder / "history.db"))
        (folder / "history.db").chmod(0)
        without_rights(task)


# Threads and processes


def test_threads_share_a_history(history: History) -> None:
    def work(thread: int) -> None:
        for number in range(20):
            history.add(new_item(f"thread {thread} number {number}"))
            assert len(history.recall("ann", f"thread {thread}", 3)) >= 1
            history.record(new_generation(f"g{thread}-{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert history.count("ann") == 160
    assert history.stats("ann").generations == 160
    assert len(history._connections._idle) <= 8
    assert history.health(full=True).sound


def test_a_closed_history_says_so_and_closing_twice_is_fine(history: History) -> None:
    history.add(new_item("hello"))
    history.close()
    history.close()
    with pytest.raises(HistoryUnavailable, match="closed"):
        history.items("ann")


def test_closing_while_another_thread_reads_is_safe(history: History) -> None:
    history.add_many(new_item(f"text {number}") for number in range(3000))
    started = threading.Event()

    def read() -> int:
        iterator = history.iterate_items("ann")
        next(iterator)
        started.set()
        return 1 + sum(1 for _ in iterator)

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        started.wait()
        history.close()
        assert reading.result() == 3000


def test_a_failed_write_frees_the_lock_for_other_threads(history: History) -> None:
    for _ in range(3):
        with pytest.raises(InvalidInput):
            history.add_many([new_item("fine"), new_item(" ")])
    history.add(new_item("after"))
    assert history.count("ann") == 1


def test_a_forked_child_opens_connections_of_its_own(history: History) -> None:
    history.add(new_item("parent"))

    def task() -> None:
        history.add(new_item("child"))
        assert history.count("ann") == 2

    child = get_context("fork").Process(target=task)
    child.start()
    child.join()
    assert child.exitcode == 0
    history.add(new_item("parent again"))
    assert history.count("ann") == 3
    assert history.health(full=True).sound


def open_first(path: str, barrier: object, failures: object) -> None:
    try:
        barrier.wait()  # type: ignore[attr-defined]
        with History.open(path) as history:
            history.add(new_item(f"from {os.getpid()}"))
    except BaseException as error:  # noqa: BLE001
        failures.put(repr(error))  # type: ignore[attr-defined]


@pytest.mark.parametrize("round_", range(3))
def test_eight_processes_may_be_first_at_once(path: Path, round_: int) -> None:
    context = get_context("fork")
    barrier, failures = context.Barrier(8), context.SimpleQueue()
    children = [context.Process(target=open_first, args=(str(path), barrier, failures)) for _ in range(8)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert failures.empty(), failures.get()
    with History.open(path) as history:
        assert history.count("ann") == 8
        with history._connections.reading() as db:
            names = [row[0] for row in db.execute("SELECT name FROM _sqlite_migrations")]
        assert names == [step.__name__ for step in migrations.STEPS]


def test_where_there_is_no_room_for_the_logs_index_the_history_is_read_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.db"
    with History.open(path) as history:
        history.add(new_item("good day"))

    def no_room(self: Connections) -> str:
        raise full(self.path)

    with monkeypatch.context() as patched:
        patched.setattr(Connections, "_find_address", no_room)
        on_full_disk = History.open(path)
    with on_full_disk as history:
        assert history.read_only
        assert len(history.items("ann")) == 1
        with pytest.raises(HistoryUnavailable, match="the disk is full"):
            history.add(new_item("good night"))
        with History.open(path) as other:  # there is room again, and somebody else writes
            other.add(new_item("good evening"))
        with pytest.raises(HistoryUnavailable, match="has changed since; open it again"):
            history.items("ann")


def test_rows_that_are_only_in_the_log_are_not_passed_over_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.db"
    with History.open(path) as history:
        history.add(new_item("good day"))
        assert Path(f"{path}-wal").stat().st_size

        def no_room(self: Connections) -> str:
            raise full(self.path)

        monkeypatch.setattr(Connections, "_find_address", no_room)
        with pytest.raises(HistoryUnavailable, match="the disk is full"):
            History.open(path)
