"""Mails that several tests read, and how they read them."""

from __future__ import annotations

from io import BufferedReader, BytesIO

from edge_ttp.exchange.mail import MailReading
from edge_ttp.exchange.mail_files import entries, mbox
from edge_ttp.exchange.records import Entry, Numbered
from edge_ttp.history.importing import checked
from edge_ttp.schema import HistoryItem

HOW = MailReading("ann")


REPLY = b"""From ann@example.org Mon Jan  5 10:00:00 2026
From: Ann Smith <ann@example.org>
To: bob@example.org
Subject: =?utf-8?q?Re=3A_L=C3=BCnch?=
Date: Mon, 05 Jan 2026 10:00:00 +0100
Content-Type: text/plain; charset=utf-8

Lunch is fine, one o'clock?

On Mon, 5 Jan 2026 at 09:00, Bob <bob@example.org> wrote:
> Shall we have lunch?
>> older
--\x20
Ann, Company
"""


HTML = b"""From x Mon Jan  5 11:00:00 2026
From: ann@example.org
Subject: News
Date: Mon, 05 Jan 2026 11:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/html; charset=iso-8859-1

<html><head><style>p {color: red}</style></head><body><p>Caf\xe9 is <b>open</b>.</p><script>evil()</script>
<blockquote>old words</blockquote></body></html>
--b--
"""


def read(data: bytes, how: MailReading = HOW) -> list[Entry]:
    stream = BufferedReader(BytesIO(data))  # type: ignore[arg-type]
    return list(checked(lambda: entries(mbox(stream, "mails"), how, "mbox")))


def items(found: list[Entry]) -> list[HistoryItem]:
    return [one.record for one in found if isinstance(one, Numbered) and isinstance(one.record, HistoryItem)]
