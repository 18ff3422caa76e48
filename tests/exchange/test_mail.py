"""Mails: what the sender wrote and what it answers; broken and hostile ones end in a reason."""

from __future__ import annotations

from io import BufferedReader, BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import mail
from edge_ttp.exchange.mail import MailReading, maildir, mbox
from edge_ttp.exchange.mail_text import text_of_html, written_and_quoted
from edge_ttp.exchange.records import BadRecord, Numbered
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


def read(data: bytes, how: MailReading = HOW) -> list[Numbered | BadRecord]:
    return list(mbox(BufferedReader(BytesIO(data)), "mails", how))  # type: ignore[arg-type]


def items(found: list[Numbered | BadRecord]) -> list[HistoryItem]:
    return [one.record for one in found if isinstance(one, Numbered) and isinstance(one.record, HistoryItem)]


def test_a_reply_is_an_answer_to_what_it_quotes() -> None:
    [item] = items(read(REPLY))
    assert item.output == "Lunch is fine, one o'clock?"
    assert item.input == "Shall we have lunch?\nolder"
    assert (item.kind, item.source, item.user_id) == ("email", "mbox", "ann")
    assert item.created_at.isoformat() == "2026-01-05T09:00:00+00:00"
    assert item.metadata == {"subject": "Re: Lünch"}


def test_a_page_is_read_as_words_and_the_subject_stands_for_a_missing_quotation() -> None:
    [_, item] = items(read(REPLY + b"\n" + HTML))
    assert item.output == "Café is open."
    assert item.input == "old words"
    plain = HTML.replace(b"<blockquote>old words</blockquote>", b"")
    assert items(read(plain))[0].input == "News"


def test_only_the_senders_own_mails_are_taken_where_one_is_named() -> None:
    other = REPLY.replace(b"Ann Smith <ann@example.org>", b"Eve <eve@example.org>")
    data = REPLY + b"\n" + other
    assert len(items(read(data))) == 2
    for author in ("ann@EXAMPLE.org", "Ann Smith"):
        assert len(items(read(data, MailReading("ann", author)))) == 1


@pytest.mark.parametrize(
    ("body", "own", "quoted"),
    [
        ("Yes.\n> Really?\nAnd this.\n> More?", "Yes.\nAnd this.", "Really?\nMore?"),
        ("Ja.\nAm 5.1.2026 um 9:00 schrieb Bob:\n> Gut?", "Ja.", "Gut?"),
        ("Oui.\nLe lun. 5 janv. 2026, Bob a écrit :\n> Bien?", "Oui.", "Bien?"),
        ("Ok.\n\n-----Original Message-----\nFrom: Bob\nWhat?", "Ok.", "From: Bob\nWhat?"),
        ("Ok.\n\nFrom: Bob\nSent: Monday\n\nWhat?", "Ok.", "Sent: Monday\n\nWhat?"),
        ("Ok.\n\nSent from my phone", "Ok.", ""),
        ("On Monday, a very long name indeed <x@y.org>\nwrote:\n> What?\nFine.", "Fine.", "What?"),
        ("Short.\n-- \nAnn\nTel. 1", "Short.", ""),
        ("", "", ""),
    ],
)
def test_quotations_and_signatures_are_taken_off(body: str, own: str, quoted: str) -> None:
    assert written_and_quoted(body) == (own, quoted)


def test_hidden_and_broken_markup_gives_no_text() -> None:
    assert text_of_html("<p>a<p>b<div>c &amp; d</div><script>x</script><style>y") == "a\n\nb\n\nc & d".replace(
        "\n\n", "\n"
    )
    assert text_of_html("<" * 1000 + "x") is not None


def test_bad_mails_are_named_and_the_others_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "MAX_MESSAGE", 2000)
    large = REPLY.replace(b"Lunch is fine", b"x" * 3000)
    found = read(REPLY + b"\n" + large + b"\n" + REPLY)
    assert [type(one) for one in found] == [Numbered, BadRecord, Numbered]
    assert "larger than" in found[1].reason  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        (b"charset=utf-8", b"charset=no-such-thing"),
        (b"Date: Mon, 05 Jan 2026 10:00:00 +0100", b"Date: the day after"),
        (b"=?utf-8?q?Re=3A_L=C3=BCnch?=", b"=?no-such?q?Re=3A?= =?utf-8?b?!!?="),
        (b"Ann Smith <ann@example.org>", b"\xff\xfe <<<>>>"),
        (
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64",
        ),
        (b"Lunch is fine", b"\xff\x00Lunch is fine"),
    ],
)
def test_a_broken_mail_never_ends_the_import(change: tuple[bytes, bytes]) -> None:
    found = read(REPLY.replace(*change) + b"\n" + REPLY)
    assert items(found)[-1].output == "Lunch is fine, one o'clock?"


@given(st.binary(max_size=400))
@settings(max_examples=60)
def test_any_bytes_are_read_or_named(data: bytes) -> None:
    for one in read(b"From x\nFrom: ann\n" + data):
        assert isinstance(one, Numbered | BadRecord)


def test_what_is_no_mbox_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no mbox"):
        read(b"{}")


def test_a_maildir_is_read_with_its_subfolders_and_without_links(tmp_path: Path) -> None:
    for folder in ("cur", ".Sent/cur", "new"):
        (tmp_path / folder).mkdir(parents=True)
    body = REPLY.split(b"\n", 1)[1]
    (tmp_path / "cur" / "1").write_bytes(body)
    (tmp_path / ".Sent" / "cur" / "2").write_bytes(body.replace(b"one o'clock", b"two o'clock"))
    (tmp_path / "cur" / "3").symlink_to("/etc/passwd")
    seen: list[float] = []
    found = items(list(maildir(tmp_path, HOW, seen.append)))
    assert {one.output for one in found} == {"Lunch is fine, one o'clock?", "Lunch is fine, two o'clock?"}
    assert {one.source for one in found} == {"maildir"}
    assert seen == [1, 2]
    with pytest.raises(InvalidInput, match="no Maildir"):
        list(maildir(tmp_path / "new", HOW))
