"""One mail of the sender's: what they wrote, in answer to what, or why it is none of their writing."""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.policy import Compat32
from email.utils import getaddresses

from edge_ttp.exchange.dates import NoDate, moment
from edge_ttp.exchange.mail_html import text_of_html
from edge_ttp.exchange.mail_reply import written_and_quoted
from edge_ttp.exchange.mail_words import ANSWERED, AUTOMATIC
from edge_ttp.exchange.records import BadRecord, Entry, Numbered, Skipped
from edge_ttp.exchange.text import decoded
from edge_ttp.schema import HistoryItem, utc_now

MAX_MESSAGE = 32 * 2**20
"""Largest mail in bytes, attachments included."""

MAX_BODY = 2**20
"""Largest text of a mail in bytes; quoted texts make it longer than what was written."""

MAX_PARTS = 200
MAX_NESTED = 50
"""Parts that hold parts, at most: the parser of the standard library asks each of them for each line."""
MAX_HEADER = 4_000
"""Characters of one header that are read."""

OTHER = "from another sender"
EMPTY = "without a text of the sender's own"
AUTOMATIC_REPLY = "an automatic reply"
CALENDAR = "an answer to an invitation"
REPORT = "a report of delivery"

_MULTIPART = re.compile(rb"^content-type:\s*(?:multipart|message)/", re.IGNORECASE | re.MULTILINE)
_OPEN_WORD = re.compile(r"=\?[^?\s]{1,60}\?[bq]\?[^?]*$", re.IGNORECASE)
"""The end of a header whose last encoded word was not closed."""
_METHOD = re.compile(rb"^METHOD:\s*([A-Za-z]{1,20})", re.MULTILINE)
_ANSWER = re.compile(r"^(?:" + "|".join(map(re.escape, sorted(ANSWERED, key=len, reverse=True))) + r")\s?[:：]", re.I)


class _Bounded(Compat32):
    """The parser's policy with headers cut to MAX_HEADER characters: their parameters and words take quadratic time."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        kept, length = [], 0
        for line in sourcelines:
            kept.append(line[: MAX_HEADER - length])
            length += len(line)
            if length >= MAX_HEADER:
                break
        return super().header_source_parse(kept)


_POLICY = _Bounded()


@dataclass(frozen=True)
class MailReading:
    """How mails are read."""

    user: str
    authors: tuple[str, ...] = ()
    """Only mails whose sender's name or address contains one of these. Empty: all, as in a folder of sent mail."""
    kind: str = "email"
    address: str | None = None
    """Only mails from this very address, in lower case."""
    now: datetime = field(default_factory=utc_now)
    """Time of mails that have none."""
    form: str | None = None
    """How dates are written, as strptime takes it."""


def read_mail(number: int, data: bytes | None, how: MailReading, source: str) -> Iterator[Entry]:
    """The item of one mail, or why there is none. data: None for a mail larger than MAX_MESSAGE."""
    if data is None:
        yield BadRecord(number, f"the mail is larger than {MAX_MESSAGE // 2**20} MiB")
        return
    if len(_MULTIPART.findall(data)) > MAX_NESTED:
        yield BadRecord(number, f"the mail has more than {MAX_NESTED} parts that hold parts")
        return
    message = email.message_from_bytes(data.removeprefix(b"\xef\xbb\xbf"), policy=_POLICY)
    reason = _not_own(message, how)
    if reason is not None:
        yield Skipped(number, reason)
        return
    own, quoted = written_and_quoted(_body(message))
    subject = header(message, "Subject").strip()
    if not own:
        yield Skipped(number, EMPTY)
    elif _ANSWER.match(own) and "\n" not in own:
        yield Skipped(number, CALENDAR)
    else:
        item = HistoryItem(
            user_id=how.user,
            input=quoted or subject,
            output=own,
            kind=how.kind,
            created_at=_date(message, how),
            source=source,
            metadata={"subject": subject[:500]} if subject else {},
        )
        yield Numbered(number, item)


def sender(data: bytes) -> str:
    """The address that a mail's beginning names as its sender, in lower case; empty for none."""
    message = email.message_from_bytes(data, policy=_POLICY)
    return next((address.lower() for _, address in getaddresses([header(message, "From")]) if address), "")


def _not_own(message: Message, how: MailReading) -> str | None:
    """Why a mail is not what its sender wrote, or not of a wanted sender; None if it may be."""
    if how.authors or how.address is not None:
        senders = getaddresses([header(message, "From")])
        wanted = how.address in [address.lower() for _, address in senders] or any(
            author.lower() in f"{name} {address}".lower() for author in how.authors for name, address in senders
        )
        if not wanted:
            return OTHER
    sort = message.get_content_type()
    if sort == "multipart/report" or header(message, "X-Failed-Recipients"):
        return REPORT
    submitted = header(message, "Auto-Submitted").lower()
    subject = header(message, "Subject").lower().lstrip()
    if (
        (submitted and not submitted.startswith("no"))
        or header(message, "X-Autoreply")
        or header(message, "X-Autorespond")
        or header(message, "Precedence").lower() == "auto_reply"
        or subject.startswith(AUTOMATIC)
    ):
        return AUTOMATIC_REPLY
    return CALENDAR if any(_answers_invitation(part) for part in _parts(message)) else None


def _answers_invitation(part: Message) -> bool:
    """Whether a part answers an invitation, as its header says or the calendar in it."""
    if part.get_content_type() != "text/calendar":
        return False
    method = str(part.get_param("method", ""))
    if not method:
        payload = part.get_payload(decode=True)
        found = _METHOD.search(payload[:MAX_BODY]) if isinstance(payload, bytes) else None
        method = found[1].decode() if found else ""
    return method.upper() in ("REPLY", "COUNTER")


def _parts(message: Message) -> Iterator[Message]:
    """The message and its parts, at most MAX_PARTS, without those of mails attached to it."""
    waiting, count = [message], 0
    while waiting and count < MAX_PARTS:
        part = waiting.pop()
        count += 1
        yield part
        payload = part.get_payload()
        if isinstance(payload, list) and part.get_content_maintype() == "multipart":
            waiting += [one for one in payload[:MAX_PARTS] if isinstance(one, Message)][::-1]


def _body(message: Message) -> str:
    """The mail's own text: the first plain part, else the first HTML part in words."""
    html: str | None = None
    for part in _parts(message):
        sort = part.get_content_type()
        if part.is_multipart() or part.get_content_disposition() == "attachment":
            continue
        if sort not in ("text/plain", "text/html") or (sort == "text/html" and html is not None):
            continue
        payload = part.get_payload(decode=True)
        data = payload[:MAX_BODY] if isinstance(payload, bytes) else b""
        text = decoded(data, _charset(part)).text
        if sort == "text/html":
            html = text
        elif text.strip():
            flowed = str(part.get_param("format", "")).lower() == "flowed"
            return _unwrapped(text, str(part.get_param("delsp", "")).lower() == "yes") if flowed else text
    return "" if html is None else text_of_html(html, MAX_BODY)


def _charset(part: Message) -> str | None:
    charset = part.get_content_charset()
    return None if charset in (None, "us-ascii", "ascii", "unknown-8bit") else charset


def _unwrapped(text: str, delete_space: bool) -> str:
    """Text in format=flowed (RFC 3676) with its paragraphs on one line each; quoted lines stay as they are."""
    lines: list[str] = []
    open_paragraph = False
    for line in text.replace("\r\n", "\n").split("\n"):
        bare = line.removeprefix(" ")
        flows = bare.endswith(" ") and bare != "-- " and not bare.startswith(">")
        if flows and delete_space:
            bare = bare[:-1]
        if open_paragraph and not bare.startswith(">"):
            lines[-1] += bare
        else:
            lines.append(bare)
        open_paragraph = flows and len(lines[-1]) < MAX_BODY
    return "\n".join(lines)


def header(message: Message, name: str) -> str:
    """The header in words, on one line; empty where it is missing. What cannot be decoded stays as it is written."""
    value = message.get(name)
    if value is None:
        return ""
    raw = str(value)[:MAX_HEADER]
    if _OPEN_WORD.search(raw):
        raw += "?="
    try:
        text = str(make_header(decode_header(raw)))
    except (LookupError, ValueError, HeaderParseError, AssertionError):
        text = raw
    return " ".join(text.encode("utf-8", errors="replace").decode().split())


def _date(message: Message, how: MailReading) -> datetime:
    """When it was sent: as it says itself, else as the server that took it says; else the import's own time."""
    received = header(message, "Received").rsplit(";", 1)[-1]
    for said, form in ((header(message, "Date"), how.form), (header(message, "Date"), None), (received, None)):
        try:
            found = moment(re.sub(r"\s*\([^()]*\)$", "", said), form)
        except NoDate:
            continue
        if found is not None:
            return found[0]
    return how.now
