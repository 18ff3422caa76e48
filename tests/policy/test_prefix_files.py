"""States on disk: sound ones of this very build, model and installation are used, any other is left alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from edge_ttp.policy import prefix_files
from edge_ttp.policy.prefix_files import PrefixFiles
from edge_ttp.policy.prefixes import Prefix, ReadWith

PLAIN = ReadWith()


def files(home: Path, *, model: str = "m", build: str = "b") -> PrefixFiles:
    return PrefixFiles(lambda user: home / "states" / user, model=model, build=build)


def prefix(*tokens: int, owner: str = "ada", read_with: ReadWith = PLAIN) -> Prefix:
    state = np.random.default_rng(tokens).integers(0, 256, 500).astype(np.uint8)
    return Prefix(owner, read_with, np.array(tokens, dtype=np.int32), state)


def held(home: Path) -> list[int]:
    """Bytes of every file of states."""
    return [file.stat().st_size for file in home.glob("states/*/*.state")]


def only_file(home: Path) -> Path:
    (file,) = home.glob("states/*/*.state")
    return file


def test_what_was_saved_is_loaded_by_the_same_build_for_the_same_model_and_user(tmp_path: Path) -> None:
    written = prefix(1, 2, 3)
    assert files(tmp_path).save(written)
    (found,) = files(tmp_path).load("ada", PLAIN)
    assert found.tokens.tolist() == [1, 2, 3]
    assert np.array_equal(found.state, written.state)
    assert files(tmp_path).knows(written)
    for other in (files(tmp_path, model="another"), files(tmp_path, build="another")):
        assert other.load("ada", PLAIN) == []
    assert files(tmp_path).load("bob", PLAIN) == []
    assert files(tmp_path).load("ada", ReadWith((("digest", 1.0),))) == []
    assert files(tmp_path).load("ada", ReadWith(cache_type="q8_0")) == []
    assert held(tmp_path) == [only_file(tmp_path).stat().st_size]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_files_and_key_are_private(tmp_path: Path) -> None:
    files(tmp_path).save(prefix(1, 2, 3))
    for file in (only_file(tmp_path), tmp_path / "states" / "key"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(only_file(tmp_path).parent.stat().st_mode) == 0o700


def test_a_file_that_was_changed_anywhere_cut_or_lengthened_is_ignored(tmp_path: Path) -> None:
    files(tmp_path).save(prefix(1, 2, 3))
    file = only_file(tmp_path)
    sound = file.read_bytes()
    for at in range(0, len(sound), 7):
        file.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        assert files(tmp_path).load("ada", PLAIN) == [], at
    for changed in (b"", sound[:-1], sound[:40], sound + b"x", os.urandom(300)):
        file.write_bytes(changed)
        assert files(tmp_path).load("ada", PLAIN) == []
    file.write_bytes(sound)
    assert len(files(tmp_path).load("ada", PLAIN)) == 1


def test_a_file_of_another_installation_is_ignored_and_a_link_too(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    files(there).save(prefix(1, 2, 3))
    files(here).save(prefix(4, 5))
    foreign = only_file(there)
    target = only_file(here).parent / foreign.name
    target.write_bytes(foreign.read_bytes())
    assert [one.tokens.tolist() for one in files(here).load("ada", PLAIN)] == [[4, 5]]
    target.unlink()
    sound = only_file(here)
    moved = sound.rename(tmp_path / "moved.state")
    sound.symlink_to(moved)
    assert files(here).load("ada", PLAIN) == []


def test_a_user_keeps_few_files_and_all_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = files(tmp_path)
    for at in range(6):
        assert shelf.save(prefix(at, at + 1))
        for age, file in enumerate(sorted(tmp_path.glob("states/ada/*.state"), key=lambda one: one.stat().st_mtime_ns)):
            os.utime(file, (age + at, age + at))
    assert len(held(tmp_path)) == prefix_files.MOST_OF_ONE
    size = sum(held(tmp_path)) // prefix_files.MOST_OF_ONE
    monkeypatch.setattr(prefix_files, "MOST_BYTES", 2 * size + 50)
    assert shelf.save(prefix(1, owner="bob"))
    assert len(held(tmp_path)) == 2
    assert shelf.knows(prefix(1, owner="bob"))


def test_a_disk_that_is_full_or_cannot_be_written_only_means_reading_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not PrefixFiles(lambda _: None, model="m", build="b").save(prefix(1))
    assert PrefixFiles(lambda _: None, model="m", build="b").load("ada", PLAIN) == []
    (tmp_path / "states").write_text("a file in the folder's place")
    assert not files(tmp_path).save(prefix(1))
    (tmp_path / "states").unlink()
    monkeypatch.setattr(prefix_files, "SPARE", 2**70)
    assert not files(tmp_path).save(prefix(1))
    assert not list(tmp_path.glob("states/*/*"))


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices by name are POSIX's")
@pytest.mark.parametrize("what", ["pipe", "device", "folder", "short"])
def test_what_stands_in_the_keys_place_is_neither_waited_for_nor_read_for_ever(tmp_path: Path, what: str) -> None:
    files(tmp_path).save(prefix(1, 2, 3))
    key = tmp_path / "states" / "key"
    key.unlink()
    if what == "pipe":
        os.mkfifo(key)
    elif what == "device":
        key.symlink_to("/dev/zero")
    elif what == "folder":
        key.mkdir()
    else:
        key.write_bytes(b"few")
    assert files(tmp_path).load("ada", PLAIN) == []
    assert files(tmp_path).save(prefix(4, 5)) == (what != "folder")
