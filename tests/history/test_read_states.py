"""Where what was read of a user is kept: it goes with anything of theirs that is forgotten, and others' stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_ttp.history import History
from edge_ttp.history.read_states import forget_states, states_of
from edge_ttp.schema import HistoryItem


def kept(history: History, user: str) -> Path:
    folder = history.states_folder(user)
    assert folder is not None
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "one.state"
    file.write_bytes(b"what they wrote" * 100_000)
    return file


@pytest.mark.parametrize("what", ["item", "everything"])
def test_forgetting_removes_the_users_files_and_tells_who_listens(tmp_path: Path, what: str) -> None:
    told: list[str | None] = []
    with History.open(tmp_path / "history.db") as history:
        history.on_forgotten(told.append)
        item = history.add(HistoryItem(user_id="ada", input="a", output="b"))
        history.add(HistoryItem(user_id="ada", input="c", output="d"))
        mine, other = kept(history, "ada"), kept(history, "bob")
        if what == "item":
            history.forget("ada", item_id=item.id)
        else:
            history.forget("ada", everything=True)
        assert not mine.parent.exists()
        assert other.exists()
    assert told == ["ada"]


def test_a_backup_that_is_restored_leaves_no_files_of_before(tmp_path: Path) -> None:
    with History.open(tmp_path / "history.db") as history:
        history.add(HistoryItem(user_id="ada", input="a", output="b"))
        history.backup(tmp_path / "copy.db")
        mine = kept(history, "ada")
        history.restore_backup(tmp_path / "copy.db")
        assert not mine.exists()


def test_the_bytes_are_overwritten_before_the_file_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = states_of(tmp_path / "history.db", "ada") / "one.state"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"secret" * 300_000)
    monkeypatch.setattr(Path, "unlink", lambda self: None)
    forget_states(tmp_path / "history.db", None)
    assert not any(file.read_bytes())


@pytest.mark.skipif(os.name != "posix", reason="links and pipes by name are POSIX's")
def test_what_is_none_of_ours_in_the_folder_keeps_nothing_from_being_forgotten(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    with History.open(tmp_path / "history.db") as history:
        history.add(HistoryItem(user_id="ada", input="a", output="b"))
        mine = kept(history, "ada")
        (mine.parent / "folder").mkdir()
        (mine.parent / "linked.state").symlink_to(elsewhere)
        os.mkfifo(mine.parent / "pipe.state")
        history.forget("ada", everything=True)
        assert history.users() == []
    assert [file.name for file in mine.parent.iterdir()] == ["folder"]
    assert elsewhere.read_text() == "mine"
