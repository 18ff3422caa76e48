"""Where mails lie: an mbox, a Maildir, single files; and whose they are."""

from __future__ import annotations

from io import BufferedReader, BytesIO
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.mail_files import eml_files, entries, maildir_files, mbox, usual_sender
from edge_ttp.exchange.mail_files import mail_files as in_files
from edge_ttp.exchange.records import BadRecord
from exchange.mails import HOW, REPLY, items, read


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
    found = items(list(entries(in_files(maildir_files(tmp_path)), HOW, "maildir", seen.append)))
    assert {one.output for one in found} == {"Lunch is fine, one o'clock?", "Lunch is fine, two o'clock?"}
    assert {one.source for one in found} == {"maildir"}
    assert seen == [1, 2]


def test_the_usual_sender_is_the_address_most_often_in_from() -> None:
    other = REPLY.replace(b"Ann Smith <ann@example.org>", b"Eve <EVE@example.org>")
    data = b"\n".join([other, REPLY, REPLY, b"From x\nSubject: nobody\n\nx\n"])

    found = usual_sender(lambda: mbox(BufferedReader(BytesIO(data)), "mails"))  # type: ignore[arg-type]
    assert found is not None
    assert (found.address, found.mails, found.all) == ("ann@example.org", 2, 3)


def test_single_mails_are_read_and_apples_too(tmp_path: Path) -> None:
    body = REPLY.split(b"\n", 1)[1]
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.eml").write_bytes(body)
    (tmp_path / "b.emlx").write_bytes(b"400\n" + body.replace(b"one o'clock", b"two o'clock"))
    (tmp_path / "c.txt").write_bytes(body)
    found = items(list(entries(in_files(eml_files(tmp_path)), HOW, "eml")))
    assert [one.output for one in found] == ["Lunch is fine, two o'clock?", "Lunch is fine, one o'clock?"]
    assert eml_files(tmp_path / "deep" / "a.eml") == [tmp_path / "deep" / "a.eml"]


def boxed(data: bytes) -> list[tuple[int, bytes | OSError | None, float]]:
    return list(mbox(BufferedReader(BytesIO(data)), "mails"))  # type: ignore[arg-type]


def test_a_mail_begins_at_from_behind_a_blank_line_only() -> None:
    data = b"From a\nSubject: x\n\nhello\nFrom here on\n\nFrom b\r\n\r\nhello\r\n"
    assert boxed(data) == [
        (1, b"Subject: x\n\nhello\nFrom here on\n\n", data.index(b"From b") + len(b"From b\r\n")),
        (2, b"\r\nhello\r\n", len(data)),
    ]


def test_quoted_from_lines_lose_one_mark() -> None:
    ((_, data, _),) = boxed(b"From a\n\none\n>From b\n>>From c\n> From d\n")
    assert data == b"\none\nFrom b\n>From c\n> From d\n"


def test_a_mail_beyond_the_limit_is_none_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_ttp.exchange.mail_files.MAX_MESSAGE", 20)
    found = boxed(b"From a\n" + b"x" * 19 + b"\n" + b"y" * 9 + b"\n\nFrom b\nshort\n")
    assert [(number, data) for number, data, _ in found] == [(1, None), (2, b"short\n")]


def test_files_that_cannot_be_read_are_named_and_counted(tmp_path: Path) -> None:
    gone = tmp_path / "gone.eml"
    seen: list[float] = []
    found = list(entries(in_files([gone]), HOW, "eml", seen.append))
    assert found == [BadRecord(1, "cannot be read (No such file or directory)")]
    assert seen == [1]


def test_nobody_is_the_usual_sender_where_no_mail_names_one() -> None:
    assert usual_sender(lambda: iter([(1, b"Subject: x\n\nFrom: ann@example.org", 1.0), (2, None, 2.0)])) is None
