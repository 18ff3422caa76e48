"""A folder of Markdown notes: each file is a text the user wrote, its title what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.jsonl import moment_of
from edge_ttp.exchange.records import Advance, BadRecord, Entry, Numbered, no_progress
from edge_ttp.schema import MAX_TEXT, HistoryItem

MAX_FILES = 100_000
_ENDINGS = frozenset((".md", ".markdown"))
_FRONT = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"^(title|date|created)\s*:\s*(.+?)\s*$", re.MULTILINE | re.IGNORECASE)
_HEADING = re.compile(r"\A\s*#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*(?:\n|\Z)")


def files_of(folder: Path) -> list[Path]:
    """The Markdown files below `folder`, by name. Hidden ones are left out, links not followed."""
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is no folder", "name a folder of Markdown files")
    found = []
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.suffix.lower() in _ENDINGS and not any(part.startswith(".") for part in inside.parts):
            if not path.is_symlink() and path.is_file():
                found.append(path)
            if len(found) > MAX_FILES:
                raise InvalidInput(f"{folder} holds more than {MAX_FILES} files", "name a smaller folder")
    if not found:
        raise InvalidInput(f"{folder} holds no Markdown file", "name a folder with .md files")
    return sorted(found)


def notes(folder: Path, user: str, kind: str = "note", progress: Advance = no_progress) -> Iterator[Entry]:
    """The notes below `folder`. The input is the title: of the front matter, the first heading, or the file's name.

    The date is that of the front matter, else the file's. progress is called with the files read.
    """
    for number, path in enumerate(files_of(folder), 1):
        try:
            if path.stat().st_size > 4 * MAX_TEXT:
                yield BadRecord(number, f"{path.name} is longer than {MAX_TEXT} characters")
                continue
            changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            yield BadRecord(number, f"{path.name} is not UTF-8 at byte {error.start + 1}")
            continue
        except OSError as error:
            yield BadRecord(number, f"{path.name} cannot be read ({error.strerror})")
            continue
        title, moment, body = _parts(text)
        if body.strip():
            item = HistoryItem(
                user_id=user,
                input=title or path.stem,
                output=body,
                kind=kind,
                created_at=moment or changed,
                source="markdown",
                metadata={"path": str(path.relative_to(folder))[:500]},
            )
            yield Numbered(number, item)
        progress(number)


def _parts(text: str) -> tuple[str, datetime | None, str]:
    """(title, date, body) of a note; the title is empty and the date None where the text names none."""
    title, moment = "", None
    front = _FRONT.match(text)
    if front is not None:
        text = text[front.end() :]
        for name, value in _FIELD.findall(front[1]):
            bare = value.strip("\"'")
            if name.lower() == "title":
                title = bare
            else:
                moment = moment or _date(bare)
    heading = _HEADING.match(text)
    if heading is not None:
        title = title or heading[1]
        text = text[heading.end() :]
    return title[:MAX_TEXT], moment, text.strip()


def _date(text: str) -> datetime | None:
    try:
        return moment_of("date", text)
    except InvalidInput:
        return None
