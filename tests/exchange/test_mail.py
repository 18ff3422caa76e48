"""Mails: what the sender wrote and what it answers; broken and hostile ones end in a reason."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.exchange import mail_files
from edge_ttp.exchange.mail import MailReading
from edge_ttp.exchange.records import BadRecord, Entry, Numbered, Skipped
from exchange.mails import HOW, HTML, REPLY, items, read


def one(headers: str, body: str = "hello there", how: MailReading = HOW) -> Entry:
    """What becomes of one mail."""
    [found] = read(f"From x\nFrom: Jo <jo@example.org>\n{headers}\n\n{body}\n".encode(), how)
    return found


def test_a_reply_is_an_answer_to_what_it_quotes() -> None:
    [item] = items(read(REPLY))
    assert item.output == "Lunch is fine, one o'clock?"
    assert item.input == "Shall we have lunch?"
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
        assert len(items(read(data, MailReading("ann", (author,))))) == 1


def test_bad_mails_are_named_and_the_others_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_files, "MAX_MESSAGE", 2000)
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
        assert isinstance(one, Numbered | BadRecord | Skipped)


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied",
        "Auto-Submitted: auto-generated; owner=x",
        "X-Autoreply: yes",
        "Precedence: auto_reply",
        "Subject: Automatic reply: Lunch",
        "Subject: Automatische Antwort: Termin",
        "Subject: =?utf-8?q?R=C3=A9ponse_automatique_=3A_x?=",
        "Subject: Autosvar: x",
        "Subject: =?utf-8?b?6Ieq5YuV5b+c562U?=: x",
    ],
)
def test_an_automatic_reply_is_not_the_persons_writing(headers: str) -> None:
    assert one(headers) == Skipped(1, "an automatic reply")


def test_what_only_looks_automatic_is_kept() -> None:
    for headers in ("Auto-Submitted: no", "Precedence: bulk", "Subject: Re: automatic reply"):
        assert isinstance(one(headers), Numbered)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Subject: x", "Accepted: Team sync"),
        ("Subject: x", "Zugesagt: Besprechung"),
        ("Subject: x", "Accepté : réunion"),
        ("Subject: x", "承諾: 会議"),
        (
            "Content-Type: multipart/mixed; boundary=b",
            "--b\nContent-Type: text/plain\n\nyes, see you\n--b\n"
            "Content-Type: text/calendar; method=REPLY\n\nBEGIN:VCALENDAR\n--b--",
        ),
        (
            "Content-Type: multipart/mixed; boundary=b",
            "--b\nContent-Type: text/plain\n\nyes, see you\n--b\n"
            "Content-Type: text/calendar\n\nBEGIN:VCALENDAR\nMETHOD:REPLY\nEND:VCALENDAR\n--b--",
        ),
    ],
)
def test_an_answer_to_an_invitation_is_not_the_persons_writing(headers: str, body: str) -> None:
    assert one(headers, body) == Skipped(1, "an answer to an invitation")


@pytest.mark.parametrize(
    ("written", "subject"),
    [
        ("=?utf-8?b?5om/6Ku+OiDkvJrorbA=?=", "承諾: 会議"),  # the padding's = stands before the word's end
        ("=?utf-8?q?caf=C3=A9?= now", "café now"),
        ("=?utf-8?q?caf=C3=A9", "café"),
    ],
)
def test_a_subject_in_words_of_its_own_encoding_is_read_to_its_end(written: str, subject: str) -> None:
    found = one(f"Subject: {written}")
    assert isinstance(found, Numbered)
    assert found.record.metadata["subject"] == subject  # type: ignore[union-attr]


def test_a_sentence_that_begins_like_an_answer_is_kept() -> None:
    assert isinstance(one("Subject: x", "Accepted: the cake.\nDeclined: the bill."), Numbered)


def test_reports_and_empty_mails_are_counted() -> None:
    assert one("Content-Type: multipart/report; boundary=b", "--b\n\nx\n--b--") == Skipped(1, "a report of delivery")
    assert one("Subject: x", "> only quoted") == Skipped(1, "without a text of the sender's own")
    assert one("Subject: x", how=MailReading("ann", ("bob",))) == Skipped(1, "from another sender")


def test_no_mail_is_lost_without_being_counted() -> None:
    others = REPLY.replace(b"ann@example.org>\nTo", b"eve@example.org>\nTo")
    found = read(b"\n".join([REPLY, others, HTML, REPLY]), MailReading("ann", address="ann@example.org"))
    assert [entry.number for entry in found] == [1, 2, 3, 4]  # type: ignore[union-attr]
    assert sum(isinstance(entry, Skipped) for entry in found) == 1


def test_an_attached_mail_is_not_the_persons_own() -> None:
    body = "--b\nContent-Type: message/rfc822\n\nFrom: eve@x\n\nnot mine\n--b--"
    assert isinstance(one("Content-Type: multipart/mixed; boundary=b", body), Skipped)


def test_flowed_paragraphs_are_one_line() -> None:
    found = one("Content-Type: text/plain; format=flowed", "this is a long \nline that goes on\nand a new one")
    assert isinstance(found, Numbered)
    assert found.record.output == "this is a long line that goes on\nand a new one"  # type: ignore[union-attr]


def test_a_missing_date_is_the_servers_or_the_imports() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    how = MailReading("ann", now=now)
    unknown = one("Subject: x", how=how)
    assert unknown.record.created_at == now  # type: ignore[union-attr]
    received = one("Received: from a by b; Mon, 06 Jan 2025 09:12:00 +0100 (CET)\nDate: \nSubject: x", how=how)
    assert received.record.created_at.isoformat() == "2025-01-06T08:12:00+00:00"  # type: ignore[union-attr]


HOSTILE = {
    "words": "Subject: " + "=?utf-8?q?x?= " * 400_000,
    "parameters": "Content-Type: text/plain" + "; a=b" * 200_000,
    "continued": "Content-Type: text/plain" + "".join(f"; a*{at}*=utf-8''x" for at in range(20_000)),
    "open word": "Subject: =?\xff?q?x?=",
    "closed word": "Subject: =?utf-8?B?MTkgYmFkIGVuY29kaW5n",
    "charset": "Content-Type: text/plain; charset=punycode",
    "addresses": "To: " + "<a@b>," * 100_000,
    "marked": "Content-Type: text/html",
    "folded": "Subject: a\n" + " b\n" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_take_no_time_and_the_next_mail_is_read(name: str) -> None:
    body = "<![x[" if name == "marked" else "hello"
    mail = f"From x\nFrom: ann@example.org\n{HOSTILE[name]}\n\n{body}\n\n"
    found = read(mail.encode("latin-1", errors="replace") + REPLY)
    assert items(found)[-1].output == "Lunch is fine, one o'clock?"
    assert found[0].number == 1  # type: ignore[union-attr]


def test_a_mail_of_parts_within_parts_is_named() -> None:
    mail = "From x\nFrom: a@b\n" + "".join(
        f"Content-Type: multipart/mixed; boundary=b{at}\n\n--b{at}\n" for at in range(500)
    )
    found = read(mail.encode() + b"\n\n" + REPLY)
    assert isinstance(found[0], BadRecord)
    assert "parts that hold parts" in found[0].reason
    assert items(found)[-1].output == "Lunch is fine, one o'clock?"
