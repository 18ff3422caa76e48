"""A text in the user's own editor: what comes back, and what is left behind."""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path

import pytest

from edge_ttp.cli.editor import edit
from edge_ttp.errors import InvalidInput


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose Python is the editor; it finds the text's file in `file`. Texts to edit are put into `tmp`."""
    program = tmp_path / "some where" / "editor.py"
    program.parent.mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("VISUAL", f"{shlex.quote(sys.executable)} -S {shlex.quote(str(program))}")
    monkeypatch.setenv("EDITOR", "false")  # VISUAL goes before it
    return program


def does(program: Path, code: str) -> None:
    program.write_text(f"import os, pathlib, sys\nfile = pathlib.Path(sys.argv[-1])\n{code}\n")


def test_what_was_saved_comes_back_and_the_file_goes(editor: Path, tmp_path: Path) -> None:
    does(editor, "assert file.stat().st_mode & 0o077 == 0\nfile.write_text(file.read_text().upper() + 'Zoë')")
    assert edit("two\nlines") == "TWO\nLINES\nZoë"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_text_left_as_it_was_is_none(editor: Path) -> None:
    does(editor, "")
    assert edit("two\nlines\n") is None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("sys.exit(3)", "ended with exit code 3"),
        (r"file.write_bytes(b'\xff\xfe')", "cannot be read"),
        ("file.unlink()", "cannot be read"),
    ],
)
def test_an_edit_that_failed_is_one_line_and_leaves_no_file(
    editor: Path, tmp_path: Path, code: str, words: str
) -> None:
    does(editor, code)
    with pytest.raises(InvalidInput, match=words):
        edit("text")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_editor_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VISUAL", str(tmp_path / "nothing"))
    with pytest.raises(InvalidInput, match="cannot be started: No such file"):
        edit("text")
    monkeypatch.setenv("VISUAL", "'unclosed")
    with pytest.raises(InvalidInput, match="is no command"):
        edit("text")
    monkeypatch.setenv("VISUAL", "")
    monkeypatch.setenv("EDITOR", " ")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput, match="there is no editor"):
        edit("text")
