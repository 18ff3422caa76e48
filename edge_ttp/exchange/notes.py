"""Texts in files of their own: Markdown notes, Obsidian vaults, letters in plain text; one file or a folder of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.dates import NoDate, moment
from edge_ttp.exchange.files import files_below, guarded
from edge_ttp.exchange.jsonl import refuse_binary
from edge_ttp.exchange.records import Advance, BadRecord, Entry, Numbered, Remark, Skipped, no_progress
from edge_ttp.exchange.text import decoded, plain
from edge_ttp.schema import MAX_TEXT, HistoryItem

MARKDOWN = (".md", ".markdown", ".mdown")
PLAIN = (".txt", ".text")
ENDINGS = (*MARKDOWN, *PLAIN)

EMPTY = "without a text"
_FRONT = re.compile(r"\A---[ \t]*\n(.{0,20000}?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"^(title|date|created|created_at|date created)[ \t]*:[ \t]*(.+)$", re.MULTILINE | re.IGNORECASE)
_HEADING = re.compile(r"\A\s*#{1,6}[ \t]+(.{1,1000})(?:\n|\Z)")
_COMMENT = re.compile(r"%%[^%]{0,20000}%%")
"""Obsidian's comments: not part of the text."""


@dataclass(frozen=True)
class NoteReading:
    """How notes are read."""

    user: str
    kind: str | None = None
    """None: `note` for Markdown, `text` for plain text."""
    form: str | None = None
    """How dates are written, as strptime takes it."""


def note_files(path: Path) -> list[Path]:
    """The notes below a folder, or the one that `path` is. InvalidInput if there is none."""
    if not path.is_dir():
        if not path.is_file():
            raise InvalidInput(f"{path} is no file and no folder", "name a Markdown or text file, or a folder of them")
        return [path]
    found = files_below(path, ENDINGS)
    if not found:
        raise InvalidInput(f"{path} holds no Markdown or text file", "name a folder with .md or .txt files")
    return found


def notes(path: Path, how: NoteReading, progress: Advance = no_progress) -> Iterator[Entry]:
    """The notes below `path`. The input is the title: of the front matter, the first heading, or the file's name.

    The date is that of the front matter, else the file's. progress is called with the files read.
    """
    for number, file in enumerate(note_files(path), 1):
        yield from guarded(number, partial(_note, number, file, path, how))
        progress(number)


def _note(number: int, file: Path, below: Path, how: NoteReading) -> Iterator[Entry]:
    status = file.stat()
    if status.st_size > 8 * MAX_TEXT:
        yield BadRecord(number, f"{file.name} is longer than {MAX_TEXT} characters")
        return
    data = file.read_bytes()
    found = decoded(data)
    if not found.encoding.startswith(("utf-16", "utf-32")):
        refuse_binary(data[:4096], file.name)
    if found.guessed:
        yield Remark(f"{file.name} was read as {found.encoding}, by its bytes; save it as UTF-8 if that is wrong")
    markdown = file.suffix.lower() in MARKDOWN
    text = plain(found.text)
    title, said, body = _parts(text) if markdown else ("", "", text.strip())
    if not body:
        yield Skipped(number, EMPTY)
        return
    item = HistoryItem(
        user_id=how.user,
        input=title or file.stem,
        output=body,
        kind=how.kind or ("note" if markdown else "text"),
        created_at=_date(said, how.form) or datetime.fromtimestamp(status.st_mtime, UTC),
        source="markdown" if markdown else "text",
        metadata={"path": str(file.relative_to(below) if below.is_dir() else file.name)[:500]},
    )
    yield Numbered(number, item)


def _parts(text: str) -> tuple[str, str, str]:
    """(title, date, body) of a Markdown note; title and date are empty where the text names none."""
    title = said = ""
    front = _FRONT.match(text)
    if front is not None:
        text = text[front.end() :]
        for name, value in _FIELD.findall(front[1]):
            bare = value.strip().strip("\"'")
            if name.lower() == "title":
                title = bare
            else:
                said = said or bare
    text = _COMMENT.sub("", text) if "%%" in text else text
    heading = _HEADING.match(text)
    if heading is not None:
        title = title or heading[1].strip().rstrip("#").strip()
        text = text[heading.end() :]
    return title[:MAX_TEXT], said, text.strip()


def _date(said: str, form: str | None) -> datetime | None:
    for one in (form, None):
        try:
            found = moment(said, one)
        except NoDate:
            continue
        return None if found is None else found[0]
    return None
