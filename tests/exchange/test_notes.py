"""Notes and letters: one file, a folder, an Obsidian vault."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.notes import NoteReading, notes
from edge_ttp.exchange.records import BadRecord, Entry, Numbered, Remark, Skipped
from edge_ttp.history.importing import checked
from edge_ttp.schema import MAX_TEXT, HistoryItem

HOW = NoteReading("ann")


def read(path: Path, how: NoteReading = HOW) -> list[Entry]:
    return list(checked(lambda: notes(path, how)))


def items(found: list[Entry]) -> list[HistoryItem]:
    return [one.record for one in found if isinstance(one, Numbered) and isinstance(one.record, HistoryItem)]


def test_notes_have_a_title_a_date_and_a_body(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\ntitle: 'Trails'\ndate: 2025-06-01\n---\n# Heading\n\nBody one.\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.markdown").write_text("# Lunch #\r\n\r\nBody two.")
    (tmp_path / "c.md").write_text("\ufeffOnly words.")
    (tmp_path / "empty.md").write_text("# Nothing\n")
    (tmp_path / "letter.txt").write_text("Dear you,\r\n\r\n# not a title")
    (tmp_path / ".obsidian").mkdir()
    (tmp_path / ".obsidian" / "d.md").write_text("secret")
    (tmp_path / "link.md").symlink_to("/etc/passwd")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    os.utime(tmp_path / "c.md", (1_700_000_000, 1_700_000_000))
    found = read(tmp_path)
    assert [(one.input, one.output, one.kind, one.source) for one in items(found)] == [
        ("Trails", "Body one.", "note", "markdown"),
        ("c", "Only words.", "note", "markdown"),
        ("letter", "Dear you,\n\n# not a title", "text", "text"),
        ("Lunch", "Body two.", "note", "markdown"),
    ]
    dates = [one.created_at.date().isoformat() for one in items(found)]
    assert dates[:2] == ["2025-06-01", "2023-11-14"]
    assert [one.metadata["path"] for one in items(found)][-1] == "sub/b.markdown"
    assert [one.reason for one in found if isinstance(one, Skipped)] == ["without a text"]


def test_one_file_is_a_note(tmp_path: Path) -> None:
    file = tmp_path / "one.md"
    file.write_text(
        "---\r\ntitle: Garden plan\r\ntags: [home]\r\ndate: 01.04.2025\r\n---\r\n\r\ntomatoes %%secret%% now\r\n"
    )
    [item] = items(read(file))
    assert (item.input, item.output) == ("Garden plan", "tomatoes  now")
    assert item.created_at.date().isoformat() == "2025-04-01"
    assert item.metadata == {"path": "one.md"}


def test_a_date_form_and_a_kind_are_the_callers(tmp_path: Path) -> None:
    file = tmp_path / "one.md"
    file.write_text("---\ncreated: 03/04/2025\n---\nx")
    [item] = items(read(file, NoteReading("ann", "diary", "%d/%m/%Y")))
    assert (item.kind, item.created_at.date().isoformat()) == ("diary", "2025-04-03")


def test_other_encodings_are_guessed_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Größe – schöne Grüße".encode("cp1252"))
    (tmp_path / "b.txt").write_bytes("Größe".encode("utf-16"))
    found = read(tmp_path)
    assert [one.output for one in items(found)] == ["Größe – schöne Grüße", "Größe"]
    [remark] = [one for one in found if isinstance(one, Remark)]
    assert "a.txt was read as cp1252" in remark.text


def test_notes_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\x00\x01\xfe\x00")
    (tmp_path / "b.md").write_text("x" * (MAX_TEXT + 1))
    (tmp_path / "c.md").write_text("x" * (8 * MAX_TEXT + 1))
    (tmp_path / "d.md").write_text("good")
    found = [one for one in read(tmp_path) if not isinstance(one, Remark)]
    assert [type(one) for one in found] == [BadRecord, BadRecord, BadRecord, Numbered]


def test_a_place_without_notes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for wrong in (tmp_path / "missing", tmp_path / "sub"):
        with pytest.raises(InvalidInput):
            read(wrong)
