"""Which format a file or folder has, and what one looks like that can not be imported."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Literal, get_args

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import chat_files, chats, conversations, mail_files, notes
from edge_ttp.exchange.files import DAMAGED, files_below
from edge_ttp.exchange.streams import STDIN, opened
from edge_ttp.exchange.text import decoded, plain

Format = Literal["jsonl", "csv", "mbox", "maildir", "eml", "conversations", "markdown", "text", "chat", "git"]
"""conversations: exports of ChatGPT and Claude. markdown: notes, one file or a folder. chat: WhatsApp, Signal,
Telegram."""
FORMATS: tuple[Format, ...] = get_args(Format)

_HEAD = 65_536
_TABLES = (".csv", ".tsv")
_MAIL = re.compile(rb"\A(?:[!-9;-~]{2,60}:[^\n]*\r?\n(?:[ \t][^\n]*\r?\n)*){2,}", re.IGNORECASE)
_MAIL_NAMES = re.compile(rb"^(?:from|date|received|message-id|subject|return-path|delivered-to)[ \t]*:", re.I | re.M)

_LOOKS = (
    (b"%PDF-", "a PDF document", "export its text, or save it as .txt"),
    (b"\x89PNG", "a picture (PNG)", "give texts"),
    (b"\xff\xd8\xff", "a picture (JPEG)", "give texts"),
    (b"GIF8", "a picture (GIF)", "give texts"),
    (b"SQLite format 3\0", "a SQLite database", "export it as CSV or JSON lines; a backup goes to `history restore`"),
    (b"GGUF", "a model file (GGUF)", "add it with `edge-ttp models add`"),
    (b"\x1f\x8b", "a compressed file (gzip)", "unpack it first: gunzip"),
    (b"BZh", "a compressed file (bzip2)", "unpack it first: bunzip2"),
    (b"\xfd7zXZ", "a compressed file (xz)", "unpack it first: unxz"),
    (b"(\xb5/\xfd", "a compressed file (zstd)", "unpack it first: unzstd"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"!BDN", "an Outlook data file (PST)", "convert it to mbox first: readpst"),
    (b"\xd0\xcf\x11\xe0", "an old Office document or an Outlook message (.msg)", "save it as .txt or .eml"),
    (b"{\\rtf", "a rich text document (RTF)", "save it as .txt"),
    (b"\x7fELF", "a program", "give texts"),
    (b"MZ", "a program", "give texts"),
    (b"ID3", "a sound file", "give texts"),
    (b"OggS", "a sound file", "give texts"),
    (b"RIFF", "a sound or video file", "give texts"),
    (b"wOFF", "a font", "give texts"),
)
_ZIPPED = (
    ("word/", "a Word document"),
    ("xl/", "an Excel workbook"),
    ("ppt/", "a PowerPoint presentation"),
    ("META-INF/", "a document of LibreOffice, or a program"),
    ("mimetype", "a document of LibreOffice, or an e-book"),
)
_CURES = {"an Excel workbook": "save it as CSV", "a Word document": "save it as .txt"}


def format_of(name: str) -> Format:
    """The format of a file or folder, by its first bytes, its ending and what it holds.

    InvalidInput for one that cannot be imported, with what it looks like.
    """
    if name == STDIN:
        return "jsonl"
    path = Path(name)
    if path.is_dir():
        return _of_folder(path)
    if path.exists() and not path.is_file():  # what is read of a pipe to look at it is gone
        raise InvalidInput(f"{name} is a pipe or a device", "pipe it into `-`, and say what it is with --from")
    try:
        with opened(name) as stream:
            head = stream.peek(_HEAD)[:_HEAD]
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read ({error.strerror})", "check the file") from error
    if not head:
        raise InvalidInput(f"{name} is empty", "give a file with texts")
    if head.startswith(b"PK") and zipfile.is_zipfile(path):
        return _of_zip(path)
    for begin, what, cure in _LOOKS:
        if head.startswith(begin):
            raise _unknown(name, what, cure)
    if head[4:8] == b"ftyp":
        raise _unknown(name, "a video", "give texts")
    if head[257:262] == b"ustar":
        raise _unknown(name, "a tar archive", "unpack it first: tar xf")
    return _of_text(path, head)


def _of_folder(path: Path) -> Format:
    try:
        if mail_files.maildir_files(path):
            return "maildir"
        if files_below(path, (".eml", ".emlx")):
            return "eml"
        if conversations.files_in(path):
            return "conversations"
        if chat_files.files_in(path):
            return "chat"
        if files_below(path, notes.ENDINGS):
            return "markdown"
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read ({error.strerror})", "check its rights") from error
    raise InvalidInput(
        f"{path} holds nothing that can be imported",
        "name a Maildir, a folder with .eml, .md or .txt files, or an unpacked export of chats or conversations",
    )


def _of_zip(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            if conversations.members(archive):
                return "conversations"
            names = archive.namelist()[:1000]
            if any(chats.MEMBER.fullmatch(name.rsplit("/", 1)[-1]) for name in names):
                return "chat"
    except (OSError, *DAMAGED) as error:
        raise InvalidInput(f"{path} is a damaged archive ({str(error)[:80]})", "export it again") from error
    for begin, what in _ZIPPED:
        if any(name.startswith(begin) for name in names):
            raise _unknown(str(path), what, _CURES.get(what, "save it as .txt"))
    listed = ", ".join(names[:3])[:100]
    raise _unknown(str(path), f"a zip archive without conversations (it holds {listed})", "unpack it, and name a file")


def _of_text(path: Path, head: bytes) -> Format:
    name, ending = str(path), path.suffix.lower()
    bare = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if bare.startswith(b"From ") and ending not in notes.ENDINGS:
        return "mbox"
    if ending in _TABLES:
        return "csv"
    if ending in (".eml", ".emlx"):
        return "eml"
    if ending in notes.MARKDOWN:
        return "chat" if chat_files.begins_chat(head) else "markdown"
    if ending in notes.PLAIN:
        return "chat" if chat_files.begins_chat(head) else "text"
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _unknown(name, "a binary file", "give texts: see docs/exchange.md for what can be read")
    begin = bare[:200].lower()
    if begin.startswith((b"<!doctype html", b"<html")):
        raise _unknown(name, "a web page", "save its text as .txt")
    if begin.startswith((b"<?xml", b"<!doctype")):
        raise _unknown(name, "an XML file", "convert it to CSV or JSON lines")
    if chat_files.begins_chat(head):
        return "chat"
    if bare.startswith((b"[", b"{")):
        return _of_json(path, bare)
    if _MAIL.match(bare) and len(_MAIL_NAMES.findall(bare)) >= 2:
        return "eml"
    if ending in (".jsonl", ".ndjson", ".json"):
        return "jsonl"
    if bare.startswith(b"From "):
        return "mbox"
    first = plain(decoded(bare[:80].split(b"\n", 1)[0]).text)[:40]
    raise _unknown(name, f"a text file ({first!a} ...)", "name it .txt or .md, or say what it is with --from")


def _of_json(path: Path, begin: bytes) -> Format:
    if path.suffix.lower() == ".jsonl" or not begin.startswith(b"["):
        first = begin.split(b"\n", 1)[0].strip()
        try:
            value = json.loads(first.decode(errors="replace"))
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and not conversations.is_export(value):
            return "jsonl"
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            return "jsonl"
    if conversations.MEMBER.fullmatch(path.name) or re.search(rb'"(?:mapping|chat_messages)"\s*:', begin):
        return "conversations"
    if begin.startswith(b"["):
        raise _unknown(str(path), "a list in JSON that is no export of conversations", "write one object a line")
    return "jsonl"


def _unknown(name: str, what: str, cure: str) -> InvalidInput:
    return InvalidInput(f"{name} looks like {what}, which cannot be imported", cure)
