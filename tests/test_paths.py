"""Where files live, and that nobody else may look there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.paths import HOME_VARIABLE, expanded, locate, private_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes mean nothing here")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0o22)
    yield
    os.umask(before)


def test_every_folder_that_is_made_is_private(home: Path) -> None:
    private_folder(locate(home).cache / "downloads")
    assert [mode(home), mode(home / "cache"), mode(home / "cache" / "downloads")] == [0o700] * 3


def test_an_installation_that_others_could_look_into_is_tightened(home: Path) -> None:
    for folder in (home, home / "data", home / "cache"):
        folder.mkdir(mode=0o755)
    private_folder(home / "data" / "models")
    assert [mode(home), mode(home / "data"), mode(home / "data" / "models")] == [0o700] * 3
    private_folder(home / "cache")
    assert mode(home / "cache") == 0o700


def test_a_home_with_other_things_in_it_and_other_folders_stay_as_they_are(home: Path, tmp_path: Path) -> None:
    home.mkdir(mode=0o755)
    (home / "letters").mkdir()
    private_folder(home / "data")
    assert [mode(home), mode(home / "data")] == [0o755, 0o700]
    (tmp_path / "mine").mkdir(mode=0o755)
    private_folder(tmp_path / "mine")
    assert mode(tmp_path / "mine") == 0o755


def test_a_file_in_a_folders_place_is_an_error(home: Path) -> None:
    home.write_text("")
    with pytest.raises(OSError, match="data"):
        private_folder(home / "data")


@pytest.mark.parametrize("given", ["~nobody-here", "~nobody-here/edge"])
def test_a_home_of_nobody_is_refused_and_makes_no_folder_called_so(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(HOME_VARIABLE, given)
    with pytest.raises(InvalidInput, match="is no place for files"):
        locate()
    assert expanded(given) == Path(given)
    monkeypatch.setenv(HOME_VARIABLE, "")
    monkeypatch.setenv("XDG_DATA_HOME", "")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)  # nobody known
    with pytest.raises(InvalidInput, match="no home folder"):
        locate()


def test_a_name_within_a_folder_that_is_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setenv(HOME_VARIABLE, "edge")
    with pytest.raises(InvalidInput, match="No such file or directory"):
        locate()
    monkeypatch.chdir(tmp_path)
