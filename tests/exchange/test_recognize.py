"""Which format a file has, and what one looks like that cannot be imported."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.recognize import format_of

MAIL = b"Received: from a\n by b\nFrom: a@b\nSubject: x\n\nhello\n"
CHAT = b"[12.03.25, 14:05:12] Jo: hi\n"
TALK = json.dumps([{"title": "x", "mapping": {}}]).encode()


def file(folder: Path, name: str, data: bytes) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return str(folder / name)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.jsonl", b"{}", "jsonl"),
        ("a", b'{"input": "a", "output": "b"}\n', "jsonl"),
        ("a.jsonl", b"\xef\xbb\xbf{}\r\n", "jsonl"),
        ("a.jsonl", b"broken\n{}", "jsonl"),
        ("a.csv", b"output", "csv"),
        ("a.TSV", b"output", "csv"),
        ("Sent", b"From x\nFrom: a@b\n\nhi", "mbox"),
        ("a.mbox", b"From x\n", "mbox"),
        ("a.eml", MAIL, "eml"),
        ("mail", MAIL, "eml"),
        ("conversations.json", b"[]", "conversations"),
        ("conversations-001.json", TALK, "conversations"),
        ("renamed.json", TALK, "conversations"),
        ("one.json", json.dumps({"name": "x", "chat_messages": []}).encode(), "conversations"),
        ("a.md", b"# title\nFrom me", "markdown"),
        ("index.md", b"[2019-05-29, 15:04] Me: hi\n", "chat"),
        ("letter.txt", b"From here on I write", "text"),
        ("_chat.txt", CHAT, "chat"),
        ("chat", CHAT, "chat"),
        ("latin.txt", "größe".encode("cp1252"), "text"),
    ],
)
def test_the_format_is_told_by_the_file(tmp_path: Path, name: str, data: bytes, expected: str) -> None:
    assert format_of(file(tmp_path, name, data)) == expected


def test_the_format_of_a_folder_is_told_by_what_it_holds(tmp_path: Path) -> None:
    file(tmp_path / "maildir", "cur/1", MAIL)
    file(tmp_path / "mails", "deep/1.eml", MAIL)
    file(tmp_path / "export", "conversations-000.json", TALK)
    file(tmp_path / "vault", "notes/a.md", b"x")
    for name, expected in (
        ("maildir", "maildir"),
        ("mails", "eml"),
        ("export", "conversations"),
        ("vault", "markdown"),
    ):
        assert format_of(str(tmp_path / name)) == expected
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds nothing that can be imported"):
        format_of(str(tmp_path / "empty"))


def test_archives_are_told_by_what_they_hold(tmp_path: Path) -> None:
    def packed(name: str, member: str) -> str:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, "[]")
        return str(tmp_path / name)

    assert format_of(packed("a.zip", "conversations.json")) == "conversations"
    assert format_of(packed("b.zip", "x/conversations-003.json")) == "conversations"
    assert format_of(packed("c.zip", "_chat.txt")) == "chat"
    for member, what in (
        ("word/document.xml", "a Word document"),
        ("xl/workbook.xml", "an Excel workbook"),
        ("a", "zip"),
    ):
        with pytest.raises(InvalidInput, match=what):
            format_of(packed("d.zip", member))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"\x89PNG\r\n", "a picture"),
        (b"\xff\xd8\xff\xe0", "a picture"),
        (b"SQLite format 3\0", "a SQLite database"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"!BDN", "PST"),
        (b"\xd0\xcf\x11\xe0", "Outlook"),
        (b"{\\rtf1", "RTF"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"<?xml version='1.0'?>", "an XML file"),
        (b"[1, 2]", "a list in JSON"),
        (b"GGUF....", "a model file"),
        (b"\x00\x01\x02", "a binary file"),
        (b"just words", "a text file"),
        (b"....ftypmp42", "a video"),
        (b"\0" * 257 + b"ustar", "a tar archive"),
    ],
)
def test_what_cannot_be_imported_is_named_in_one_line(tmp_path: Path, data: bytes, what: str) -> None:
    with pytest.raises(InvalidInput, match=what) as caught:
        format_of(file(tmp_path, "thing", data))
    assert "\n" not in str(caught.value)
    assert caught.value.cure


def test_nothing_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is empty"):
        format_of(file(tmp_path, "a.txt", b""))
    with pytest.raises(InvalidInput, match="cannot be read"):
        format_of(str(tmp_path / "missing"))
    assert format_of("-") == "jsonl"


def test_a_pipe_is_not_read_to_look_at_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="a pipe or a device"):
        format_of(str(tmp_path / "pipe"))
    with pytest.raises(InvalidInput, match="a pipe or a device"):
        format_of("/dev/null")
