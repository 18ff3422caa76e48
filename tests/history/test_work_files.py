"""Files that stand beside a history while it is worked on: one worker, and nothing stays."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history import History
from edge_ttp.history.faults import DiskFull, HistoryBlocked, full
from edge_ttp.history.work_files import clear, create, wipe, work_file, working

from .hostile_rows import fill


def test_a_folder_that_takes_no_file_is_one_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    fill(path)
    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(HistoryUnavailable, match=r"Permission denied\); make its folder writable"), working(path):
        pass


def no_space(*given: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device", "elsewhere")


def test_a_full_disk_is_said_of_the_history_whatever_file_met_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(path)
    for met in (no_space, lambda: (_ for _ in ()).throw(full(path.with_name("backup.db")))):
        with pytest.raises(DiskFull, match=f"written to {path}; free some space"), working(path):
            met()
    with pytest.raises(HistoryBlocked, match=r"backup\.db cannot be read or written \(Perm"), working(path):
        raise PermissionError(errno.EACCES, "Permission denied", "backup.db")


def test_what_a_full_disk_does_not_let_be_overwritten_is_deleted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    create(path).write_bytes(b"texts")
    monkeypatch.setattr(os, "fsync", no_space)  # where overwriting needs new blocks
    wipe(path)
    assert not path.exists()


@pytest.mark.parametrize("ending", ["new", "old", "read", "copy", "read-wal"])
def test_what_a_killed_process_left_is_gone_at_the_next_opening(path: Path, ending: str) -> None:
    fill(path)
    left = path.with_name(f".history.db.{ending}")
    left.write_bytes(b"texts")
    if ending == "old":  # the history had two names when its process was killed
        left.unlink()
        os.link(path, left)
    with History.open(path) as history:
        assert history.count("ann") == 7
    assert not left.exists()


def test_one_at_a_time_works_on_a_history_and_nothing_stays(path: Path) -> None:
    path.parent.mkdir()
    new = work_file(path, "new")
    with working(path):
        create(new).write_bytes(b"half of it")
        assert new.stat().st_mode & 0o777 == 0o600
        with pytest.raises(HistoryBlocked, match="another process is at work"), working(path):
            pass
        clear(path)
        assert new.exists()  # whoever holds the lock still needs it
    assert not new.exists()
    with pytest.raises(HistoryBlocked, match="File exists"), working(path):
        create(create(new))
    assert not new.exists()


def test_a_wiped_file_was_overwritten_unless_it_has_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    real = Path.unlink

    def looking(file: Path, *rest: bool) -> None:
        if file.exists():
            seen.append(file.read_bytes())
        real(file, *rest)

    monkeypatch.setattr(Path, "unlink", looking)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    alone.write_bytes(b"secret" * 1000)
    shared.write_bytes(b"kept")
    os.link(shared, tmp_path / "other")
    for file in (alone, shared, tmp_path / "missing"):
        wipe(file)
    assert seen == [bytes(6000), b"kept"]
    assert [file.name for file in tmp_path.iterdir()] == ["other"]
