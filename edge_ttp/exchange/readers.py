"""What is imported and how, and its records: one entry to all formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import chat_files, chats, conversations, csv_table, git_log, jsonl, mail_files, notes
from edge_ttp.exchange.dates import checked_form
from edge_ttp.exchange.mail import MailReading
from edge_ttp.exchange.mail_files import Mails
from edge_ttp.exchange.openai_messages import Role
from edge_ttp.exchange.recognize import FORMATS, Format, format_of
from edge_ttp.exchange.records import Advance, Entry, Records, Remark
from edge_ttp.exchange.streams import STDIN, Twice, check_reachable, opened, size_of
from edge_ttp.exchange.text import known_encoding
from edge_ttp.schema import PROMPT_KIND, utc_now

_FIELDS = ("output", "input", "user_id", "date", "created_at", "order", "kind", "source")
_MAILS = ("mbox", "maildir", "eml")
_UNITS = {
    "git": "commit",
    "conversations": "conversation",
    "markdown": "file",
    "text": "file",
    **dict.fromkeys(_MAILS, "mail"),
}
_TAKES = {
    "author": (*_MAILS, "chat", "git"),
    "body": ("git",),
    "columns": ("csv", "jsonl"),
    "encoding": ("csv", "chat"),
    "role": ("jsonl",),
}
"""Option -> the formats that it belongs to."""


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
    authors: tuple[str, ...] = ()
    """Mails, git: only what was sent by a name or address that contains one of these; chats: the names of the user."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """jsonl, csv: field of an item -> key or column that holds it."""
    date_form: str | None = None
    """How dates are written, as strptime takes it."""
    encoding: str | None = None
    """csv, chats. None: told by the bytes."""
    role: Role = "user"
    """jsonl with `messages`: whose messages the user wrote."""
    body: bool = False
    """git: whole messages, not only their first lines."""
    now: datetime = field(default_factory=utc_now)
    """Time of what does not say when it was written."""

    @property
    def owner(self) -> str:
        """Owner of what has none of its own."""
        return self.fallback if self.user is None else self.user

    @property
    def unit(self) -> str:
        """What records are numbered by."""
        return "file" if self.format == "chat" and Path(self.name).is_dir() else _UNITS.get(self.format, "line")


def described(
    name: str,
    *,
    user: str | None,
    fallback: str,
    form: str | None = None,
    kind: str | None = None,
    authors: tuple[str, ...] = (),
    columns: Mapping[str, str] | None = None,
    date_form: str | None = None,
    encoding: str | None = None,
    role: str | None = None,
    body: bool = False,
) -> Import:
    """The import of the file or folder `name`; its format is told by what it holds, unless `form` names it.

    InvalidInput for a file of no known kind, for options that do not belong to the format, and for what cannot be.
    """
    wanted = next((one for one in FORMATS if one == form), None)
    if form is not None and wanted is None:
        raise InvalidInput(f"there is no format {form!a}", f"choose one of {', '.join(FORMATS)}")
    if not name:
        raise InvalidInput("the name of what to import is empty", "name a file or folder")
    if name != STDIN and wanted != "git":
        check_reachable(name)
    format = wanted or format_of(name)
    given = {"author": authors, "columns": columns, "encoding": encoding, "role": role, "body": body}
    for option, formats in _TAKES.items():
        if given[option] and format not in formats:
            spelled = {"columns": "--map"}.get(option, f"--{option}")
            raise InvalidInput(f"{spelled} belongs to {', '.join(formats)}; {name} is {format}", "leave it out")
    if encoding is not None and known_encoding(encoding) is None:
        raise InvalidInput(f"there is no encoding {encoding!a}", "use such as utf-8, cp1252 or utf-16")
    if role not in (None, "user", "assistant"):
        raise InvalidInput(f"there is no role {role!a}", "choose user or assistant")
    return Import(
        name=name,
        user=user,
        fallback=fallback,
        format=format,
        kind=kind,
        authors=authors,
        columns=checked_columns(columns or {}),
        date_form=None if date_form is None else checked_form(date_form),
        encoding=encoding,
        role="assistant" if role == "assistant" else "user",
        body=body,
    )


def checked_columns(columns: Mapping[str, str]) -> dict[str, str]:
    """`columns` itself. InvalidInput for a field that items do not have."""
    for name, column in columns.items():
        if name not in _FIELDS or not column:
            raise InvalidInput(f"{name!a} is no field of a text", f"use one of {', '.join(_FIELDS)}")
    return dict(columns)


def column_pairs(pairs: list[str]) -> dict[str, str]:
    """The mapping that `FIELD=COLUMN` pairs mean. InvalidInput for what is no pair."""
    found = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not equals or name not in _FIELDS or not column:
            raise InvalidInput(f"{pair!r} maps nothing", f"write FIELD=COLUMN, the field one of {', '.join(_FIELDS)}")
        found[name] = column
    return found


@contextmanager
def source(what: Import, spool: Path, progress: Advance, *, strict: bool) -> Iterator[Records]:
    """The records of `what`, from their beginning whenever it is called. `spool`: folder for a copy of a pipe."""
    try:
        with _opened_source(what, spool, progress, strict=strict) as records:
            yield records
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInput(f"{what.name} cannot be read any more ({reason})", "check the disk") from error


@contextmanager
def _opened_source(what: Import, spool: Path, progress: Advance, *, strict: bool) -> Iterator[Records]:
    if what.format not in ("jsonl", "csv", "mbox"):
        if what.name == STDIN:
            raise InvalidInput(f"{what.format} cannot be read from stdin", "name the file or folder")
        yield _of_path(what, Path(what.name), progress)
        return
    how = jsonl.LineReading(
        what.user,
        what.fallback,
        what.kind,
        columns=what.columns,
        form=what.date_form,
        encoding=what.encoding,
        role=what.role,
        now=what.now,
    )
    with opened(what.name) as stream:
        twice = Twice(stream, spool)
        again = strict or (what.format == "mbox" and not what.authors) or (what.format == "csv" and what.name == STDIN)

        def records() -> Iterator[Entry]:
            begin = twice.from_start() if again else stream
            if what.format == "csv":
                return csv_table.rows(begin, what.name, how, progress)
            if what.format == "mbox":
                return _mails(what, partial(_mbox, twice, again, what.name), progress)
            return jsonl.records(begin, what.name, how, progress)

        yield records


def _of_path(what: Import, path: Path, progress: Advance) -> Records:
    if what.format in ("maildir", "eml"):
        files = mail_files.maildir_files(path) if what.format == "maildir" else mail_files.eml_files(path)
        if not files:
            raise InvalidInput(f"{path} holds no mails", "name the folder that holds cur, or one with .eml files")
        return partial(_mails, what, partial(mail_files.mail_files, files), progress)
    if what.format in ("markdown", "text"):
        reading = notes.NoteReading(what.owner, what.kind, what.date_form)
        return partial(notes.notes, path, reading, progress)
    if what.format == "chat":
        return partial(_chat, what, path, progress)
    if what.format == "git":
        return partial(git_log.commits, path, _log(what), progress)
    talk = conversations.ConversationReading(what.owner, what.kind or PROMPT_KIND, what.now)
    return partial(conversations.messages, path, talk, progress)


def _log(what: Import) -> git_log.LogReading:
    return git_log.LogReading(what.owner, what.authors, what.kind or "commit", what.body)


def _mbox(twice: Twice, again: bool, name: str) -> Mails:
    return mail_files.mbox(twice.from_start() if again else twice.stream, name)


def _mails(what: Import, mails: Callable[[], Mails], progress: Advance) -> Iterator[Entry]:
    """The user's own mails: of the authors that were named, else of the address most often in From, which is said."""
    address: str | None = None
    if not what.authors:
        found = mail_files.usual_sender(mails)
        if found is not None:
            address = found.address
            yield Remark(
                f"took the mails from {found.address} as yours ({found.mails} of {found.all}); --author names others"
            )
    how = MailReading(
        what.owner, what.authors, what.kind or "email", address=address, now=what.now, form=what.date_form
    )
    yield from mail_files.entries(mails(), how, what.format, progress)


def _chat(what: Import, path: Path, progress: Advance) -> Iterator[Entry]:
    how = chats.ChatReading(what.owner, what.authors, what.kind or "chat", what.date_form, what.now)
    yield from chat_files.messages(path, how, what.encoding, progress)


def amount(what: Import) -> tuple[float | None, str]:
    """(how much there is to read, in which unit), None where that is not known before."""
    path = Path(what.name)
    if what.format in ("maildir", "eml"):
        files = mail_files.maildir_files(path) if what.format == "maildir" else mail_files.eml_files(path)
        return float(len(files)), "mails"
    if what.format in ("markdown", "text"):
        return float(len(notes.note_files(path))), "files"
    if what.format == "git":
        return float(git_log.count(path, _log(what))), "commits"
    if what.format == "conversations":
        return None, "conversations"
    if what.format == "chat":
        return (float(len(chat_files.files_in(path))), "files") if path.is_dir() else (None, "lines")
    return size_of(what.name), "bytes"
