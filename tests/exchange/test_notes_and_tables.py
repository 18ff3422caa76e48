"""Markdown folders and CSV tables, and how a format is told."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from io import BufferedReader, BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import csv_table, jsonl
from edge_ttp.exchange.markdown import notes
from edge_ttp.exchange.readers import checked_columns, format_of
from edge_ttp.exchange.records import BadRecord, Numbered
from edge_ttp.history.importing import checked
from edge_ttp.schema import MAX_TEXT, HistoryItem


def items(found: list[Numbered | BadRecord]) -> list[HistoryItem]:
    return [one.record for one in found if isinstance(one, Numbered) and isinstance(one.record, HistoryItem)]


def test_notes_have_a_title_a_date_and_a_body(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\ntitle: 'Trails'\ndate: 2025-06-01\n---\n# Heading\n\nBody one.\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.markdown").write_text("# Lunch #\r\n\r\nBody two.")
    (tmp_path / "c.md").write_text("Only words.")
    (tmp_path / "empty.md").write_text("# Nothing\n")
    (tmp_path / "other.txt").write_text("no note")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "d.md").write_text("secret")
    (tmp_path / "link.md").symlink_to("/etc/passwd")
    found = items(list(notes(tmp_path, "ann")))
    assert [(one.input, one.output) for one in found] == [
        ("Trails", "# Heading\n\nBody one.".removeprefix("# Heading\n\n")),
        ("c", "Only words."),
        ("Lunch", "Body two."),
    ]
    assert found[0].created_at.isoformat() == "2025-06-01T00:00:00+00:00"
    assert (found[2].kind, found[2].source, found[2].metadata) == ("note", "markdown", {"path": "sub/b.markdown"})


def test_notes_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\xff\xfe")
    (tmp_path / "b.md").write_text("x" * (MAX_TEXT + 1))
    (tmp_path / "c.md").write_text("x" * (4 * MAX_TEXT + 1))
    (tmp_path / "d.md").write_text("good")
    found = list(checked(lambda: notes(tmp_path, "ann")))
    assert [type(one) for one in found] == [BadRecord, BadRecord, BadRecord, Numbered]
    for wrong in (tmp_path / "none", tmp_path / "d.md"):
        with pytest.raises(InvalidInput, match="no folder"):
            list(notes(wrong, "ann"))
    (tmp_path / "sub").mkdir()
    with pytest.raises(InvalidInput, match="no Markdown"):
        list(notes(tmp_path / "sub", "ann"))


def table(data: bytes, **columns: str) -> list[Numbered | BadRecord]:
    how = jsonl.LineReading(None, "ann", columns=columns)
    return list(csv_table.rows(BufferedReader(BytesIO(data)), "table", how))  # type: ignore[arg-type]


def test_a_table_is_read_by_its_header() -> None:
    data = 'input,output,date,order,extra\n"Where,\nwhen?",here,2025-01-02,5,é\n,alone,,7,\n\n'.encode()
    first, second = items(table(data))
    assert (first.input, first.output, first.metadata) == ("Where,\nwhen?", "here", {"extra": "é"})
    assert first.created_at.isoformat() == "2025-01-02T00:00:00.005000+00:00"
    assert (second.input, second.output, second.source, second.user_id) == ("", "alone", "csv", "ann")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_columns_can_have_other_names_and_delimiters(delimiter: str) -> None:
    data = "\ufeff" + delimiter.join(("Question", "Answer", "When")) + "\n" + delimiter.join(("q", "a", "2025"))
    [item] = items(table(data.encode(), input="Question", output="Answer", date="When"))
    assert (item.input, item.output, item.created_at.year) == ("q", "a", 2025)


def test_rows_that_cannot_be_stored_are_named() -> None:
    found = table(b"output,date\ngood,2025\n,2025\nx,never\n\xff,2025\na,b,c\n")
    assert [type(one) for one in found] == [Numbered, BadRecord, BadRecord, BadRecord, BadRecord]
    assert [one.number for one in found if isinstance(one, BadRecord)] == [3, 4, 5, 6]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a,b\n1,2\n",
        b"\x00\x01",
        b"PK\x03\x04",
        b"output\n" + b"x" * (jsonl.MAX_LINE + 2),
        b'output\n"' + b"y\n" * 10 + b"\xff\xfe",
    ],
)
def test_what_is_no_table_of_texts_is_one_line_or_a_named_row(data: bytes) -> None:
    try:
        found = table(data)
    except InvalidInput:
        return
    assert all(isinstance(one, BadRecord) for one in found)


@given(st.binary(max_size=300))
@settings(max_examples=80)
def test_any_bytes_below_a_header_are_read_or_refused(data: bytes) -> None:
    with suppress(InvalidInput):
        assert all(isinstance(one, Numbered | BadRecord) for one in table(b"output,input\n" + data))


def test_the_format_is_told_by_the_file(tmp_path: Path) -> None:
    def file(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        return str(tmp_path / name)

    assert format_of("-") == "jsonl"
    assert format_of(file("a.jsonl", b"{}")) == "jsonl"
    assert format_of(file("a.csv", b"output")) == format_of(file("a.tsv", b"output")) == "csv"
    assert format_of(file("Sent", b"From x\n")) == "mbox"
    assert format_of(file("conversations.json", b"[]")) == "conversations"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("conversations.json", "[]")
    assert format_of(str(tmp_path / "a.zip")) == "conversations"
    (tmp_path / "mail" / "cur").mkdir(parents=True)
    (tmp_path / "mail" / "cur" / "1").write_bytes(b"Subject: x\n\ny")
    assert format_of(str(tmp_path / "mail")) == "maildir"
    (tmp_path / "notes").mkdir()
    assert format_of(str(tmp_path / "notes")) == "markdown"
    with pytest.raises(InvalidInput):
        format_of(str(tmp_path / "missing"))


def test_a_mapping_names_fields_of_items() -> None:
    assert checked_columns(["output=Answer", "date=When = then"]) == {"output": "Answer", "date": "When = then"}
    for wrong in ("output", "answer=x", "output=", "=x"):
        with pytest.raises(InvalidInput, match="maps nothing"):
            checked_columns([wrong])


def test_mapped_keys_of_json_lines_are_read_by_their_fields() -> None:
    how = jsonl.LineReading(None, "ann", columns={"output": "completion", "input": "prompt"})
    item = jsonl.parse(b'{"prompt": "q", "completion": "a", "output": "ignored", "tag": 1}', how)
    assert isinstance(item, HistoryItem)
    assert (item.input, item.output, item.metadata) == ("q", "a", {"tag": 1})
