"""Mails that a user sent, from an mbox file or a Maildir folder: what they wrote, in answer to what."""

from __future__ import annotations

import email
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from io import BufferedReader
from pathlib import Path
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.mail_text import text_of_html, written_and_quoted
from edge_ttp.exchange.records import Advance, BadRecord, Entry, Numbered, no_progress
from edge_ttp.schema import HistoryItem, utc_now

MAX_MESSAGE = 32 * 2**20
"""Largest mail in bytes, attachments included."""

MAX_BODY = 2**20
"""Largest text of a mail in bytes; quoted texts make it longer than what was written."""

MAX_PARTS = 200
_LINE = 2**20


@dataclass(frozen=True)
class MailReading:
    """How mails are read."""

    user: str
    author: str | None = None
    """Only mails whose sender's name or address contains this. None: all, as in a folder of sent mail."""
    kind: str = "email"


def mbox(stream: BufferedReader[Any], name: str, how: MailReading, progress: Advance = no_progress) -> Iterator[Entry]:
    """The mails of an open mbox file. InvalidInput if it is none. progress is called with the bytes read so far."""
    done, number = 0, 0
    message = bytearray()
    oversized = blank = False
    first = stream.readline(_LINE)
    if not first.startswith(b"From "):
        raise InvalidInput(f"{name} is no mbox file: it does not begin with `From `", "give an mbox file, or --from")
    line = first
    while True:
        done += len(line)
        if not line or (line.startswith(b"From ") and (blank or number == 0)):
            if number:
                yield from _one(number, None if oversized else bytes(message), how, "mbox")
                progress(done)
            if not line:
                return
            number += 1
            message.clear()
            oversized = False
        elif len(message) + len(line) > MAX_MESSAGE:
            oversized = True
            message.clear()
        elif not oversized:
            message += line[1:] if line.startswith(b">From ") else line
        blank = line in (b"\n", b"\r\n")
        line = stream.readline(_LINE)


def maildir(folder: Path, how: MailReading, progress: Advance = no_progress) -> Iterator[Entry]:
    """The mails of a Maildir folder and its subfolders, by file name. progress is called with the mails read."""
    files = mails_of(folder)
    if not files:
        raise InvalidInput(f"{folder} is no Maildir: it holds no mails in cur or new", "name the folder that holds cur")
    for number, file in enumerate(files, 1):
        try:
            data = file.read_bytes() if file.stat().st_size <= MAX_MESSAGE else None
        except OSError as error:
            yield BadRecord(number, f"{file.name} cannot be read ({error.strerror})")
            continue
        yield from _one(number, data, how, "maildir")
        progress(number)


def mails_of(folder: Path) -> list[Path]:
    """The files of a Maildir and its subfolders. Links are not followed."""
    found = (file for part in ("cur", "new") for file in folder.glob(f"**/{part}/*"))
    return sorted(file for file in found if file.is_file() and not file.is_symlink())


def _one(number: int, data: bytes | None, how: MailReading, source: str) -> Iterator[Entry]:
    """The item of one mail: none if another person sent it or it holds no text of the sender's own."""
    if data is None:
        yield BadRecord(number, f"the mail is larger than {MAX_MESSAGE // 2**20} MiB")
        return
    try:
        item = _item(email.message_from_bytes(data), how, source)
        if item is not None:
            yield Numbered(number, item)
    except (ValueError, LookupError, RecursionError, HeaderParseError) as error:
        yield BadRecord(number, f"the mail cannot be read ({type(error).__name__})")


def _item(message: Message, how: MailReading, source: str) -> HistoryItem | None:
    if how.author is not None:
        senders = getaddresses([_header(message, "From")])
        if not any(how.author.lower() in f"{name} {address}".lower() for name, address in senders):
            return None
    own, quoted = written_and_quoted(_body(message))
    if not own:
        return None
    subject = _header(message, "Subject").strip()
    return HistoryItem(
        user_id=how.user,
        input=quoted or subject,
        output=own,
        kind=how.kind,
        created_at=_date(message),
        source=source,
        metadata={"subject": subject[:500]} if subject else {},
    )


def _body(message: Message) -> str:
    """The mail's own text: the first plain part, else the first HTML part in words."""
    html: str | None = None
    for count, part in enumerate(message.walk()):
        if count == MAX_PARTS:
            break
        sort = part.get_content_type()
        if part.is_multipart() or part.get_content_disposition() == "attachment":
            continue
        if sort not in ("text/plain", "text/html") or (sort == "text/html" and html is not None):
            continue
        payload = part.get_payload(decode=True)
        text = _decoded(payload[:MAX_BODY] if isinstance(payload, bytes) else b"", part.get_content_charset())
        if sort == "text/plain" and text.strip():
            return text
        html = text if sort == "text/html" else html
    return "" if html is None else text_of_html(html)


def _decoded(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8", errors="replace")
    except LookupError:
        return data.decode("utf-8", errors="replace")


def _header(message: Message, name: str) -> str:
    value = message.get(name)
    if value is None:
        return ""
    try:
        text = str(make_header(decode_header(str(value))))
    except (LookupError, ValueError, HeaderParseError):
        text = str(value)
    return " ".join(text.encode("utf-8", errors="replace").decode().split())


def _date(message: Message) -> datetime:
    """When it was sent; now, where that is not said."""
    try:
        moment = parsedate_to_datetime(str(message.get("Date", "")))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return utc_now()
