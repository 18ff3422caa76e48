"""Where files live, and that nobody else may look there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ttp.paths import locate, private_folder

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
