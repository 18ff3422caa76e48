"""Where mails lie: an mbox file, a Maildir, single .eml files and folders of them; and whose they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.files import files_below, guarded
from edge_ttp.exchange.mail import MAX_MESSAGE, MailReading, read_mail, sender
from edge_ttp.exchange.records import Advance, BadRecord, Entry, no_progress

_LINE = 2**20
_QUOTED_FROM = re.compile(rb">+From ")
"""What a line of a mail that begins with From becomes in an mbox."""
_BEGIN = 65_536
"""Bytes of a mail in which its headers are looked for."""

Mails = Iterator[tuple[int, bytes | OSError | None, float]]
"""(number from 1, the mail's bytes: None for a larger one than MAX_MESSAGE, how far that is) of each mail."""


def mbox(stream: BufferedReader[Any], name: str) -> Mails:
    """The mails of an open mbox file, with the bytes read so far. InvalidInput if it is none."""
    done, number = 0, 0
    message = bytearray()
    oversized = blank = False
    line = stream.readline(_LINE).removeprefix(b"\xef\xbb\xbf")
    if not line.startswith(b"From "):
        raise InvalidInput(f"{name} is no mbox file: it does not begin with `From `", "give an mbox file, or --from")
    while True:
        done += len(line)
        if not line or (line.startswith(b"From ") and (blank or number == 0)):
            if number:
                yield number, None if oversized else bytes(message), done
            if not line:
                return
            number += 1
            message.clear()
            oversized = False
        elif len(message) + len(line) > MAX_MESSAGE:
            oversized = True
            message.clear()
        elif not oversized:
            message += line[1:] if _QUOTED_FROM.match(line) else line
        blank = line in (b"\n", b"\r\n")
        line = stream.readline(_LINE)


def mail_files(files: list[Path]) -> Mails:
    """The mails in these files, with the number of files read so far."""
    for number, file in enumerate(files, 1):
        try:
            data = file.read_bytes() if file.stat().st_size <= MAX_MESSAGE else None
            if data is not None and file.suffix.lower() == ".emlx":  # Apple Mail writes the length above the mail
                data = data.partition(b"\n")[2]
            yield number, data, number
        except OSError as error:
            yield number, error, number


def maildir_files(folder: Path) -> list[Path]:
    """The files of a Maildir and its subfolders, by name. Links are not followed."""
    found = (file for part in ("cur", "new") for file in folder.glob(f"**/{part}/*"))
    return sorted(file for file in found if file.is_file() and not file.is_symlink())


def eml_files(path: Path) -> list[Path]:
    """The .eml files below a folder, or the one that `path` is."""
    return files_below(path, (".eml", ".emlx")) if path.is_dir() else [path]


def entries(mails: Mails, how: MailReading, source: str, advance: Advance = no_progress) -> Iterator[Entry]:
    """What is imported of these mails. advance is called with how far it is."""
    for number, data, done in mails:
        if isinstance(data, OSError):
            yield BadRecord(number, f"cannot be read ({data.strerror or type(data).__name__})")
        else:
            yield from guarded(number, partial(read_mail, number, data, how, source))
        advance(done)


@dataclass(frozen=True)
class Senders:
    """Who sent the mails that are imported."""

    address: str
    """The one most often in From."""
    mails: int
    """Mails that it sent."""
    all: int
    """Mails that name a sender."""


def usual_sender(mails: Callable[[], Mails], advance: Advance = no_progress) -> Senders | None:
    """Whose mails they are; None where no mail names a sender. Reads all of them."""
    counts: Counter[str] = Counter()
    for _, data, done in mails():
        advance(done)
        if isinstance(data, bytes):
            address = sender(data[:_BEGIN].split(b"\n\n", 1)[0].split(b"\r\n\r\n", 1)[0])
            if address:
                counts[address] += 1
    if not counts:
        return None
    address, most = counts.most_common(1)[0]
    return Senders(address, most, counts.total())
