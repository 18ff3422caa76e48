"""The formats that can be imported: which one a file or folder has, and how its records are read."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import conversations, csv_table, jsonl, mail, markdown
from edge_ttp.exchange.records import Advance, Entry, Records
from edge_ttp.exchange.streams import STDIN, Twice, opened, size_of

Format = Literal["jsonl", "csv", "mbox", "maildir", "conversations", "markdown"]
"""conversations: exports of ChatGPT and Claude, told apart conversation by conversation."""
FORMATS: tuple[Format, ...] = get_args(Format)

_TABLES = frozenset((".csv", ".tsv"))
_HEAD = 5


@dataclass(frozen=True)
class Import:
    """What to import and how."""

    name: str
    """File or folder; `-` is stdin."""
    user: str | None
    """Owner of everything. None: what the lines say, else `fallback`."""
    fallback: str
    format: Format
    kind: str | None = None
    author: str | None = None
    """mbox, maildir: only mails whose sender's name or address contains this."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """jsonl, csv: field of an item -> key or column that holds it."""

    @property
    def owner(self) -> str:
        """Owner of what has none of its own."""
        return self.fallback if self.user is None else self.user

    @property
    def unit(self) -> str:
        """What records are numbered by."""
        return {"mbox": "mail", "maildir": "mail", "markdown": "file", "csv": "line", "jsonl": "line"}.get(
            self.format, "conversation"
        )


def format_of(name: str) -> Format:
    """The format of a file or folder, by its first bytes, its ending and what it holds."""
    path = Path(name)
    if name == STDIN:
        return "jsonl"
    if path.is_dir():
        return "maildir" if mail.mails_of(path) else "markdown"
    if path.suffix.lower() in _TABLES:
        return "csv"
    with opened(name) as stream:
        head = stream.peek(_HEAD)[:_HEAD]
    if head.startswith(b"From "):
        return "mbox"
    if path.name == conversations.MEMBER or (head.startswith(b"PK") and zipfile.is_zipfile(path)):
        return "conversations"
    return "jsonl"


def checked_columns(pairs: list[str]) -> dict[str, str]:
    """The mapping that `FIELD=COLUMN` pairs mean. InvalidInput for a field that items do not have."""
    known = ("output", "input", "user_id", "date", "created_at", "order", "kind", "source")
    found = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not equals or name not in known or not column:
            raise InvalidInput(f"{pair!r} maps nothing", f"write FIELD=COLUMN, the field one of {', '.join(known)}")
        found[name] = column
    return found


@contextmanager
def source(what: Import, spool: Path, progress: Advance, *, strict: bool) -> Iterator[Records]:
    """The records of `what`, from their beginning whenever it is called. `spool`: folder for a copy of a pipe."""
    path = Path(what.name)
    if what.format in ("maildir", "conversations", "markdown"):
        if what.name == STDIN:
            raise InvalidInput(f"{what.format} cannot be read from stdin", "name the file or folder")
        yield _of_path(what, path, progress)
        return
    how = jsonl.LineReading(what.user, what.fallback, what.kind, columns=what.columns)
    with opened(what.name) as stream:
        twice = Twice(stream, spool)

        def records() -> Iterator[Entry]:
            begin = twice.from_start() if strict else stream
            if what.format == "csv":
                return csv_table.rows(begin, what.name, how, progress)
            if what.format == "mbox":
                return mail.mbox(begin, what.name, _mails(what), progress)
            return jsonl.records(begin, what.name, how, progress)

        yield records


def _of_path(what: Import, path: Path, progress: Advance) -> Records:
    if what.format == "maildir":
        return lambda: mail.maildir(path, _mails(what), progress)
    if what.format == "markdown":
        return lambda: markdown.notes(path, what.owner, what.kind or "note", progress)
    return lambda: conversations.messages(path, what.owner, what.kind or "chat", progress)


def _mails(what: Import) -> mail.MailReading:
    return mail.MailReading(what.owner, what.author, what.kind or "email")


def amount(what: Import) -> tuple[float | None, str]:
    """(how much there is to read, in which unit), None where that is not known before."""
    if what.format == "maildir":
        return float(len(mail.mails_of(Path(what.name)))), "mails"
    if what.format == "markdown":
        return float(len(markdown.files_of(Path(what.name)))), "files"
    if what.format == "conversations":
        return None, "conversations"
    return size_of(what.name), "bytes"
