"""Files that somebody asked for: private, whole or not there, and never over what must stay."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.system.output_file import DATABASE_ENDINGS, output_file, output_path, text_output


def write(path: Path, text: str = "new", **options: object) -> None:
    with text_output(path, **options) as file:  # type: ignore[arg-type]
        file.write(text)


def test_a_file_is_private_whatever_the_umask_and_whatever_stood_there(tmp_path: Path) -> None:
    for umask in (0, 0o22, 0o77):
        before = os.umask(umask)
        try:
            write(tmp_path / f"{umask}.txt", "grüße\n")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{umask}.txt").stat().st_mode) == 0o600
        assert (tmp_path / f"{umask}.txt").read_bytes() == "grüße\n".encode()
    target = tmp_path / "0.txt"
    target.chmod(0o644)
    write(target, force=True)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_an_existing_file_stays_without_force(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(InvalidInput, match="is there already; add --force"):
        write(target)
    assert target.read_text() == "old"
    write(target, force=True)
    assert target.read_text() == "new"


def test_a_file_that_comes_while_another_is_written_stays(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with pytest.raises(InvalidInput, match="is there already"), text_output(target):
        target.write_text("somebody else's")
    assert target.read_text() == "somebody else's"
    assert os.listdir(tmp_path) == ["file"]


def test_an_error_in_the_block_leaves_what_stood_there_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError), text_output(target, force=True) as file:
        file.write("half" * 9999 + "\ud800")
    assert target.read_text() == "old"
    with pytest.raises(KeyboardInterrupt), output_file(target, force=True):
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)
    write(link, "one")
    assert link.is_symlink()
    assert real.read_text() == "one"
    with pytest.raises(InvalidInput, match="is there already"):
        write(link, "two")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize("make", [pipe, listener, device], ids=lambda one: one.__name__)
def test_what_is_no_regular_file_is_left_alone_even_by_force(make: Callable[[Path], None], tmp_path: Path) -> None:
    target = tmp_path / "it"
    make(target)
    before = os.stat(target)
    with pytest.raises(InvalidInput, match="is no regular file"):
        write(target, force=True)
    assert os.path.samestat(before, os.stat(target))


def test_a_folder_a_missing_folder_and_an_impossible_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a folder"):
        write(tmp_path, force=True)
    for name in ("no/such/file", "x" * 5000, "a\0b"):
        with pytest.raises(InvalidInput, match="cannot be written"):
            write(tmp_path / name, force=True)


@pytest.mark.parametrize("ending", DATABASE_ENDINGS)
@pytest.mark.parametrize("there", [True, False], ids=["there", "not there yet"])
def test_nothing_is_written_over_the_history_by_whatever_name(home: Path, ending: str, there: bool) -> None:
    database = locate(home).database
    with History.open(database) as history:
        history.backup(home / "copy.db")
        target = Path(f"{database}{ending}")
        if there and not target.exists():
            target.write_bytes(b"")
        (home / "symbolic").symlink_to(target)
        (home / "folder").symlink_to(database.parent)
        names = [
            target,
            home / "symbolic",
            home / "folder" / target.name,
            database.parent / ".." / "data" / target.name,
        ]
        if target.exists():
            os.link(target, home / "hard")
            names.append(home / "hard")
        before = target.read_bytes() if target.exists() else None
        for name in names:
            for force in (True, False):
                with pytest.raises(InvalidInput, match=r"is the history itself; name another file$"):
                    write(name, force=force)
                with pytest.raises(InvalidInput, match="is the history itself"), output_path(name, force=force):
                    pass
        assert (target.read_bytes() if target.exists() else None) == before


def test_a_history_of_the_apps_own_is_protected_too(tmp_path: Path) -> None:
    with History.open(tmp_path / "app" / "own.db") as history:
        for name in ("own.db", "own.db-wal", "own.db-shm"):
            with pytest.raises(InvalidInput, match="is the history itself"):
                history.backup(tmp_path / "app" / name, force=True)


def test_models_and_manifests_are_left_alone_wherever_they_lie(home: Path, tmp_path: Path) -> None:
    stored = locate(home).models / "mine"
    stored.mkdir(parents=True)
    (stored / "manifest.toml").write_text("name = 'mine'")
    (stored / "odd-name").write_bytes(b"weights")
    os.link(stored / "odd-name", tmp_path / "hard")
    (tmp_path / "away.bin").write_bytes(b"GGUF and more")
    (tmp_path / "net.onnx").write_bytes(b"net")
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "manifest.toml").write_text("name = 'other'")
    refused = (
        stored / "manifest.toml",
        stored / "odd-name",
        stored / "new",
        tmp_path / "hard",
        tmp_path / "away.bin",
        tmp_path / "net.onnx",
        tmp_path / "repository" / "manifest.toml",
        tmp_path / "repository" / "new",
        tmp_path / "manifest.toml",
    )
    for path in refused:
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(InvalidInput, match=r"model|data of this program"):
            write(path, force=True)
        assert (path.read_bytes() if path.exists() else None) == before


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidInput, match=r"No space left on device.*free some space"):
        write(tmp_path / "file")
    assert os.listdir(tmp_path) == []
