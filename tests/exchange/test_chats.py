"""Chats of WhatsApp and Signal: whose texts, in answer to what, and when."""

from __future__ import annotations

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.chats import MEMBER, ChatReading, is_chat, messages
from edge_ttp.exchange.records import Entry, Numbered, Remark, Skipped
from edge_ttp.schema import HistoryItem

IPHONE = """\u200e[12.03.25, 14:05:12] Ann: \u200eMessages and calls are end-to-end encrypted.
[12.03.25, 14:05:12] Ann: are you coming?
[12.03.25, 14:05:40] Ann: we have cake
[12.03.25, 14:07:01] Jo: sure!
be there at 3: promise
[12.03.25, 14:07:20] Jo: \u200eimage omitted
[12.03.25, 14:08:02] Jo: save me a slice
[12.03.25, 22:00:00] Jo: home now
"""
ANDROID = """12/31/24, 9:58\u202fPM - Messages and calls are end-to-end encrypted. Tap to learn more.
12/31/24, 9:58 PM - Ann: Happy new year
12/31/24, 10:01 PM - Jo: you too <This message was edited>
1/2/25, 12:10 AM - Ann added Bob
1/2/25, 12:11 AM - Bob: <Media omitted>
1/2/25, 12:12 AM - Jo: ha
"""
SIGNAL = """[2019-05-29, 15:04] Ann: How is everyone?
[2019-05-29, 15:05] Me: We're great!

>
> How is everyone?
>
(- Ann: 👍 -)
[2019-05-29, 15:09] Me: ![photo](media/1.jpg)
"""


def read(text: str, *authors: str, form: str | None = None) -> list[Entry]:
    return list(messages(text, "chat.txt", ChatReading("ann", authors, form=form)))


def items(found: list[Entry]) -> list[HistoryItem]:
    return [one.record for one in found if isinstance(one, Numbered) and isinstance(one.record, HistoryItem)]


def test_messages_of_one_person_in_a_row_are_one_text() -> None:
    found = read(IPHONE, "jo")
    assert [(one.input, one.output) for one in items(found)] == [
        ("are you coming?\nwe have cake",
         "sure!\nbe there at 3: promise\nsave me a slice"),
        ("", "home now"),
    ]  # fmt: skip
    assert items(found)[0].created_at.isoformat() == "2025-03-12T14:07:01+00:00"
    assert {(one.kind, one.source) for one in items(found)} == {("chat", "whatsapp")}
    assert sum(isinstance(one, Skipped) for one in found) == 3
    assert not any(isinstance(one, Remark) for one in found)


def test_what_an_iphone_marks_as_its_own_is_nobodys_writing() -> None:
    """In every language: notices, calls, pictures, and that a text was edited."""
    found = items(
        read(
            "\u200e[06.01.25, 09:12:33] Jo: \u200eNachrichten und Anrufe sind verschlüsselt.\n"
            "[06.01.25, 09:13:00] Ann: Kommst du?\n"
            "[06.01.25, 09:13:40] Jo: klar, um 8 \u200e<Diese Nachricht wurde bearbeitet.>\n"
            "[06.01.25, 09:17:00] Jo: \u200eSprachanruf. \u200eKeine Antwort\n",
            "jo",
        )
    )
    assert [(one.input, one.output) for one in found] == [("Kommst du?", "klar, um 8")]


def test_a_notice_with_a_colon_in_it_is_said_by_nobody() -> None:
    text = (
        '1/6/25, 9:13 AM - Ann: hi\n1/6/25, 9:14 AM - Jo: hello\n1/6/25, 9:19 AM - Jo changed it from "A: b" to "C"\n'
    )
    assert [one.output for one in items(read(text, "jo"))] == ["hello"]


@pytest.mark.parametrize(
    ("line", "month"),
    [
        ("1/6/25, 9:14 AM - Jo: ha", 1),
        ("06/01/25, 9:14 am - Jo: ha", 1),
        ("6/1/25, 9:14 a. m. - Jo: ha", 1),
        ("\u0666/\u0661/\u0662\u0660\u0662\u0665\u060c 9:13 \u0635 - Jo: ha", 1),
        ("06/01/2025, 09:14 - Jo: ha", 1),
    ],
)
def test_only_americans_write_the_month_first_where_no_date_says_so(line: str, month: int) -> None:
    assert [(one.created_at.month, one.created_at.day) for one in items(read(line, "jo"))] == [(month, 6)]


def test_months_come_first_where_the_dates_say_so() -> None:
    found = items(read(ANDROID, "Jo"))
    assert [(one.input, one.output) for one in found] == [("Happy new year", "you too"), ("", "ha")]
    assert [one.created_at.isoformat()[:16] for one in found] == ["2024-12-31T22:01", "2025-01-02T00:12"]


def test_dates_that_can_be_read_both_ways_are_said() -> None:
    text = "1/2/25, 10:00 - Jo: one\n"
    found = read(text, "Jo")
    assert [one.text for one in found if isinstance(one, Remark)] == [
        "dates such as 1/2/25 were read as day/month; --date-format says otherwise"
    ]
    assert items(found)[0].created_at.month == 2
    assert items(read("1/2/25, 10:00 AM - Jo: one\n", "Jo"))[0].created_at.month == 1
    assert items(read(text, "Jo", form="%m/%d/%y"))[0].created_at.month == 1


def test_signal_says_who_is_who() -> None:
    found = read(SIGNAL)
    assert [(one.input, one.output, one.source) for one in items(found)] == [
        ("How is everyone?", "We're great!", "signal")
    ]


BLOCKS = """Conversation: Ann (+49123)

From: Ann (+49123)
Type: incoming
Sent: Wed, 29 May 2019 15:04:00 +0200
Received: Wed, 29 May 2019 15:04:01 +0200

hi
From: here on?

From: You (+49456)
Type: outgoing
Sent: Wed, 29 May 2019 15:05:00 +0200

yes, two
lines

From: Ann (+49123)
Type: incoming
Sent: Wed, 29 May 2019 15:06:00 +0200
Attachment: a.jpg

"""


def test_signals_messages_in_blocks_say_which_go_out() -> None:
    assert is_chat(BLOCKS)
    [item] = items(read(BLOCKS))
    assert (item.output, item.source) == ("yes, two\nlines", "signal")
    assert item.input.startswith("hi")
    assert item.created_at.isoformat() == "2019-05-29T13:05:00+00:00"


def test_who_the_user_is_has_to_be_known() -> None:
    with pytest.raises(InvalidInput, match=r"which of its people is you: 'Jo' \(4\), 'Ann' \(3\).*--author 'Jo'"):
        read(IPHONE)
    with pytest.raises(InvalidInput, match="which of its people"):
        read(IPHONE, "Eve")


@pytest.mark.parametrize(
    "line",
    [
        "[12.03.25, 14:05:12] Jo: hi",
        "12.03.25, 14:05 - Jo: hi",
        "12/03/2025, 14:05 - Jo: hi",
        "2025-03-12, 14:05 - Jo: hi",
        "[2025-03-12 14:05:12] Jo: hi",
        "12.03.2025 um 14:05 Uhr - Jo: hi",
        "\u200e[12.03.25, 14:05:12] Jo: hi",
        "12.03.2025 à 14:05 - Jo: hi",
        "12/03/2025 às 14:05 - Jo: hi",
        "[2025/03/12 14:05:12] Jo: hi",
        "12.3.2025 klo 14.05 - Jo: hi",
        "12.03.2025 kl. 14.05 - Jo: hi",
        "2025. 03. 12. 14:05 - Jo: hi",
        "12. 3. 2025 14:05 - Jo: hi",
        "12. 03. 2025. 14:05 - Jo: hi",
        "2025/03/12 午後2:05 - Jo: hi",
        "[2025/3/12 下午2:05:12] Jo: hi",
        "2025. 3. 12. 오후 2:05 - Jo: hi",
        "12.03.2025 ÖS 2:05 - Jo: hi",
        "13/12/2024، 2:05 م - Ann: x\n12/3/2025، 2:05 م - Jo: hi",
        "١٣/١٢/٢٠٢٤، ٢:٠٥ م - Ann: x\n١٢/٣/٢٠٢٥، ٢:٠٥ م - Jo: hi",
        "13/12/24, 2:05 p.\u00a0m. - Ann: x\n12/3/25, 2:05 p.\u00a0m. - Jo: hi",
        "13/12/24, 2:05 μ.μ. - Ann: x\n12/3/25, 2:05 μ.μ. - Jo: hi",
        "12.03.25 г., 14:05 ч. - Jo: hi",
        "14:05, 12/3/2025 - Jo: hi",
    ],
)
def test_forms_of_lines(line: str) -> None:
    assert is_chat(line)
    [item] = items(read(line, "Jo"))
    assert (item.output, item.created_at.isoformat()[:16]) == ("hi", "2025-03-12T14:05")


@pytest.mark.parametrize(
    "left",
    [
        "<Medien ausgeschlossen>", "image absente", "imagem ocultada", "bild utelämnad", "画像省略", "이미지 생략",
        "изображение отсутствует", "report.pdf • 3 pages document omitted", "IMG-1.jpg (arquivo anexado)",
        "Ce message a été supprimé", "Se eliminó este mensaje.", "Voice call, 5 min", "Verpasster Sprachanruf",
        "Location: https://maps.google.com/?q=1,2",
    ],
)  # fmt: skip
def test_what_stands_for_a_picture_a_call_or_a_deleted_message_is_no_text(left: str) -> None:
    assert items(read(f"12.03.25, 14:05 - Ann: hi\n12.03.25, 14:06 - Jo: {left}\n", "Jo")) == []
    assert items(read(f"12.03.25, 14:05 - Ann: hi\n12.03.25, 14:06 - Jo: why is there {left}?\n", "Jo"))


@pytest.mark.parametrize(
    ("name", "is_it"),
    [
        ("_chat.txt", True),
        ("WhatsApp-Chat mit Ann.txt", True),
        ("Discussion WhatsApp avec Ann.txt", True),
        ("Chat de WhatsApp con Ann.txt", True),
        ("notes.txt", False),
    ],
)
def test_the_text_in_an_archive_is_told_by_its_name(name: str, is_it: bool) -> None:
    assert (MEMBER.fullmatch(name) is not None) is is_it


@pytest.mark.parametrize("text", ["just a letter: I wrote", "", "12.03.25: a diary", "[1] a list\n[2] b"])
def test_other_texts_are_no_chats(text: str) -> None:
    assert not is_chat(text)


@pytest.mark.parametrize(
    "text",
    ["99.99.99, 99:99 - Jo: hi", "[1.1.1, 1:11] Jo: " + "x" * 300_000, "[12.03.25, 14:05] Jo:" + "\n[" * 1000,
     "[12.03.25, 14:05] " + "a" * 10_000 + ": x\n[12.03.25, 14:05] Jo: y"],
)  # fmt: skip
def test_hostile_lines_are_read_or_passed_over(text: str) -> None:
    read(text, "Jo")
