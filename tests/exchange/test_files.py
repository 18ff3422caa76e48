"""Files of a folder that are imported, and what becomes of one that cannot be read."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import files
from edge_ttp.exchange.files import files_below, guarded
from edge_ttp.exchange.records import BadRecord, Entry, Remark


def test_files_are_found_by_name_without_hidden_ones_and_links(tmp_path: Path) -> None:
    for name in ("b/2.MD", "b/1.md", "a.md", "c.txt", ".hidden.md", ".git/x.md", "b/.cache/y.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link.md").symlink_to(tmp_path / "a.md")
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "b" / "circle").symlink_to(tmp_path)
    found = files_below(tmp_path, (".md",))
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a.md", "b/1.md", "b/2.MD"]
    assert files_below(tmp_path / "nowhere", (".md",)) == []


def test_a_folder_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 2)
    for number in range(3):
        (tmp_path / f"{number}.md").write_text("x")
    with pytest.raises(InvalidInput, match="holds more than 2 files"):
        files_below(tmp_path, (".md",))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InvalidInput("it has no date", "give one"), "it has no date"),
        (PermissionError(13, "Permission denied"), "cannot be read (Permission denied)"),
        (OSError(), "cannot be read (OSError)"),
        (RecursionError("deep"), "cannot be read (RecursionError)"),
        (struct.error("odd"), "cannot be read (error)"),
        (zipfile.BadZipFile("odd"), "cannot be read (BadZipFile)"),
    ],
)
def test_whatever_goes_wrong_in_a_record_is_a_bad_record(error: Exception, reason: str) -> None:
    def read() -> Iterator[Entry]:
        yield Remark("as far as it went")
        raise error

    assert list(guarded(7, read)) == [Remark("as far as it went"), BadRecord(7, reason)]


def test_ctrl_c_is_no_bad_record() -> None:
    def read() -> Iterator[Entry]:
        raise KeyboardInterrupt
        yield Remark("never")

    with pytest.raises(KeyboardInterrupt):
        list(guarded(1, read))
