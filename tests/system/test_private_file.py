"""A private file is its owner's alone and whole, or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_ttp.system.private_file import write_private


def test_a_private_file_is_its_owners_and_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "run" / "record.json"
    write_private(path, "first")
    write_private(path, "sécond")
    assert path.read_text(encoding="utf-8") == "sécond"
    assert list(path.parent.iterdir()) == [path]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run" / "record.json"
    write_private(path, "first")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\udc80")
    assert path.read_text(encoding="utf-8") == "first"
    assert list(path.parent.iterdir()) == [path]
