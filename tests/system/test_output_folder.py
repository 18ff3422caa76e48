"""A folder of results: complete or not there, and never over what must stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.paths import locate
from edge_ttp.system.output_folder import output_folder


def write(path: Path, text: str = "new", *, force: bool = False) -> None:
    with output_folder(path, force=force) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "b.txt").write_text(text)
        (folder / "a.txt").write_text(text)


def test_it_is_there_at_the_end_and_private(tmp_path: Path) -> None:
    write(tmp_path / "above" / "out")
    out = tmp_path / "above" / "out"
    assert (out / "a.txt").read_text() == (out / "deep" / "b.txt").read_text() == "new"
    assert os.name == "nt" or out.stat().st_mode & 0o777 == 0o700
    assert os.listdir(tmp_path / "above") == ["out"]


def test_nothing_is_left_where_the_work_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with output_folder(tmp_path / "out") as folder:
            (folder / "half").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert os.listdir(tmp_path) == []


def test_an_empty_folder_is_filled_and_a_full_one_needs_force(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    write(out, "first")
    (out / "of the user.txt").write_text("stays")
    with pytest.raises(InvalidInput, match="is there already"):
        write(out)
    write(out, "second", force=True)
    assert (out / "a.txt").read_text() == "second"
    assert (out / "of the user.txt").read_text() == "stays"


def test_a_file_a_link_out_of_it_and_a_name_that_is_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="is no folder"):
        write(tmp_path / "file", force=True)
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.txt").symlink_to(tmp_path / "file")
    with pytest.raises(InvalidInput, match="no regular file"):
        write(out, force=True)
    assert (tmp_path / "file").read_text() == "x"
    for name in ("n" * 300, "null\0byte"):
        with pytest.raises(InvalidInput, match="cannot be written"):
            write(tmp_path / name)


def test_the_data_of_the_program_and_a_models_folder_are_refused(home: Path, tmp_path: Path) -> None:
    paths = locate(home)
    paths.models.mkdir(parents=True)
    for path in (paths.models / "mine", paths.data, paths.data / "new"):
        with pytest.raises(InvalidInput, match="among the data"):
            write(path, force=True)
    model = tmp_path / "model"
    model.mkdir()
    (model / "manifest.toml").write_text("")
    with pytest.raises(InvalidInput, match="belongs to a model"):
        write(model, force=True)
