"""Columns as a source: which files an argument names. Reading them needs pyarrow: tests/scale/test_many_rows.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_ttp.errors import ExtraMissing, InvalidInput
from edge_ttp.lab.diagnosis.parquet_source import ParquetSource, is_parquet


@pytest.mark.parametrize(
    ("argument", "columns"),
    [("a.parquet", True), ("a.parquet/", True), ("a.jsonl", False), ("parquet", False), ("-", False)],
)
def test_the_ending_says_what_an_argument_is(argument: str, columns: bool) -> None:
    assert is_parquet(argument) is columns


def test_a_folders_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "parts.parquet"
    folder.mkdir()
    with pytest.raises(InvalidInput, match="no Parquet file"):
        ParquetSource.of(str(folder))
    for name, size in (("b.parquet", 3), ("a.parquet", 4), ("notes.txt", 50)):
        (folder / name).write_bytes(b"x" * size)
    source = ParquetSource.of(str(folder))
    assert [file.name for file in source.files] == ["a.parquet", "b.parquet"]
    assert source.size == 7
    assert ParquetSource.of(str(folder / "a.parquet")).files == (folder / "a.parquet",)
    with pytest.raises(InvalidInput, match="no Parquet file"):
        ParquetSource.of(str(tmp_path / "nothing.parquet"))


def test_no_lines_are_no_reading(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no Parquet")
    assert ParquetSource.of(str(tmp_path / "a.parquet")).texts(set()) == {}


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(ExtraMissing, match=r"edge-ttp\[scale\]"):
        list(ParquetSource.of(str(tmp_path / "a.parquet")).lines())
