"""What a person wrote, apart from what they quoted, in the languages of mail programs."""

# ruff: noqa: E501
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ttp.exchange.mail_reply import written_and_quoted
from edge_ttp.exchange.mail_words import HEADERS

REPLIES = [
        ("Yes.\n> Really?\nAnd this.\n> More?", "Yes.\nAnd this.", "Really?\nMore?"),
        ("Ja.\nAm 5.1.2026 um 9:00 schrieb Bob:\n> Gut?", "Ja.", "Gut?"),
        ("Oui.\nLe lun. 5 janv. 2026, Bob a écrit :\n> Bien?", "Oui.", "Bien?"),
        ("Ok.\n\n-----Original Message-----\nFrom: Bob\nSent: Monday\nTo: me\n\nWhat?", "Ok.", "What?"),
        ("Ok.\n\nFrom: Bob\nSent: Monday\nTo: Ann\nSubject: x\n\nWhat?", "Ok.", "What?"),
        ("Ok.\n\n*From:* Bob\n*Sent:* Monday\n*To:* Ann\n*Subject:* x\n\nWhat?", "Ok.", "What?"),
        ("Ok.\n\nSent from my phone", "Ok.", ""),
        ("On Monday, a very long name indeed <x@y.org>\nwrote:\n> What?\nFine.", "Fine.", "What?"),
        ("Short.\n-- \nAnn\nTel. 1", "Short.", ""),
        ("", "", ""),
        # wrapped, Nordic, East Asian
        ("takk!\n\nons. 26. aug. 2026 kl. 14:05 skrev Support <s@example.org\n>:\n\n> Hei?\n\nWeb: www.x.no", "takk!", "Hei?"),
        ("fine.\n\nOn Mon, Jan 6, 2025 at 8:55 AM Long Name <\na.long@sub.example.com> wrote:\n\n> in?", "fine.", "in?"),
        ("kiitos\n\nma 6. tammik. 2025 klo 8.55 Antti A (a@example.fi) kirjoitti:\n\n> käykö?", "kiitos", "käykö?"),
        ("了解です！\n\n2025年1月6日(月) 8:55 田中 <t@example.jp>:\n\n> 大丈夫ですか？", "了解です！", "大丈夫ですか？"),
        ("好的\n\n张三 <z@example.cn> 于2025年1月6日周一 08:55写道：\n\n> 可以吗？", "好的", "可以吗？"),
        ("네\n\n2025년 1월 6일 (월) 오전 8:55, 김 <k@example.kr>님이 작성:\n\n> 괜찮아요?", "네", "괜찮아요?"),
        ("да\n\nпн, 6 янв. 2025 г. в 08:55, Иван <i@example.ru>:\n\n> можно?", "да", "можно?"),
        ("ok\n\nW dniu pon., 6 sty 2025 o 08:55 Jan <j@example.pl> napisał(a):\n\n> tak?", "ok", "tak?"),
        ("va bene!\n________________________________\nDa: Gino\nInviato: lunedì\nA: Jo\nOggetto: ok?\n\nper te?", "va bene!", "per te?"),
        ("ok\n\n-------- Weitergeleitete Nachricht --------\nVon: B\nDatum: Mo\nAn: J\n\nHallo", "ok", "Hallo"),
        # without marks below the attribution
        ("sure\n\nOn 6 Jan 2025, at 08:55, Ann <a@example.org> wrote:\n\nis it ok?", "sure", "is it ok?"),
        # an attribution inside the quotation, a telephone's line above it
        ("so :)\n\nVon meinem iPhone gesendet\n\n> Am 15.01.2025 um 08:58 schrieb P <p@x.com>:\n> \n> wo?", "so :)", "wo?"),
        # only the mail that was answered, not the older ones below it
        ("yes\n\nOn Mon, 6 Jan 2025 at 8:55, A <a@b.c> wrote:\n> second?\n> On Sun, 5 Jan 2025 at 8:00, J <j@b.c> wrote:\n>> first", "yes", "second?"),
        # when before who; a full-width colon without a space; Proton, Orange, Zimbra
        ("Klar.\n\nGesendet: Montag, 03. März 2025 um 09:12 Uhr\nVon: Ann\nAn: Jo\nCc: Bob\nBetreff: Aw: x\nGut?", "Klar.", "Gut?"),
        ("好。\n\n发件人：Ann <a@x.org>\n日期：2025年3月3日\n收件人：Jo\n主题：周三\n\n可以吗？", "好。", "可以吗？"),
        ("Sure.\n\n-------- Original Message --------\nOn 3 Mar 2025, 09:12, Ann < a@x.org> wrote:\n\nOk?", "Sure.", "Ok?"),
        ("Sure.\n\nSent with Proton Mail secure email.\n\nOn Monday, March 3rd, 2025 at 9:12 AM, Ann <a@x.org> wrote:\n\n> Ok?", "Sure.", "Ok?"),
        ("Oui.\n\n> Message du 03/03/25 09:12\n> De : Ann\n> A : j@x.org\n> Copie à : \n> Objet : x\n>\n> Bien ?", "Oui.", "Bien ?"),
        ("Klar.\n\n----- Ursprüngliche Mail -----\nVon: Ann\nAn: Jo\nGesendet: Montag\nBetreff: x\n\nGut?", "Klar.", "Gut?"),
        ("Sure.\n\nAnn Lee schrieb am 03.03.2025 um 09:12:\n\nGut?", "Sure.", "Gut?"),
    ]  # fmt: skip
"""Mail, what its sender wrote, what they answered."""


@pytest.mark.parametrize(("body", "own", "quoted"), REPLIES)
def test_quotations_and_signatures_are_taken_off(body: str, own: str, quoted: str) -> None:
    assert written_and_quoted(body) == (own, quoted)
    assert written_and_quoted(body.replace("\n", "\r\n")) == (own, quoted)


@pytest.mark.parametrize(
    "body",
    [
        "Hi Keith,\n\nHere they are:-\n\nVisa\n\nDiane K\n\n06/17\n\nHope all is locked in now.",
        "On Monday I wrote:\nnothing at all. that was the plan.",
        "the list:\n- milk\n- bread at 9:00:\nfine",
        "From: my heart\nto yours",
        "From: the start we knew.\nTo: be honest, no.",
        "As Ann wrote: come at 9.\nI think we should.",
        "Sent: yes\nFrom: here",
        "A: yes\nB: no",
        "To: do\n\nFrom: scratch",
        "let me end with a quote:\n\n> this is a quote i like!",
        "yes please.\n\nBest,\nJo\n\nPS: see http://example.org",
        "he wrote: fine",
        "Date: tomorrow?\nSubject: cake",
    ],
)
def test_what_only_looks_quoted_is_kept(body: str) -> None:
    own, _ = written_and_quoted(body + "\n\nOn 6 Jan 2025 at 08:55, Ann <a@b.org> wrote:\n> x")
    assert own == body


def test_a_card_below_a_text_is_taken_off_and_numbers_within_it_are_kept() -> None:
    card = "Jo Example\nHead of Something\nACME GmbH | Berlin\nT: +49 30 1234567\nwww.acme.example"
    assert written_and_quoted(f"ok, let's do it\n\n{card}")[0] == "ok, let's do it"
    for kept in ("my number is +49 30 1234567", "look:\n\nhttps://example.org/one\nhttps://example.org/two"):
        assert written_and_quoted(kept)[0] == kept
        assert written_and_quoted(f"On 6 Jan 2025 at 8:55, A <a@b.c> wrote:\n> links?\n\n{kept}")[0] == kept


def test_a_signature_without_a_mark_is_taken_off_below_a_name() -> None:
    body = "yes please.\n\nBest,\nJo\n\nJo M | ACME GmbH | +49 30 123456\nThis e-mail is confidential and for you only."
    assert written_and_quoted(body)[0] == "yes please.\n\nBest,\nJo"
    body = "ok\n\nThis message is intended solely for the addressee. If you are not, delete it, and so on."
    assert written_and_quoted(body)[0] == "ok"


@pytest.mark.parametrize("row", HEADERS, ids=lambda row: row[0].split("|")[0])
def test_header_blocks_of_every_language_of_outlook(row: tuple[str, str, str, str]) -> None:
    first, sent, to, subject = (labels.split("|")[0].replace("\\", "") for labels in row)
    block = f"{first}: Bernd <b@example.com>\n{sent}: 6. 1. 2025 08:55\n{to}: Jo\n{subject}: x"
    assert written_and_quoted(f"fine!\n\n{block}\n\nok?") == ("fine!", "ok?")
    assert written_and_quoted(f"fine!\n________________________________\n{block}\n\nok?") == ("fine!", "ok?")


HOSTILE = ["On " * 20_000, "On Mon, Jo\n" * 50_000, "From: \n" * 50_000, "_" * 200_000, ("_" * 20 + "\n") * 50_000,
     "\n" * 200_000 + "x", "a:\n" * 200_000, "wrote:\n" * 100_000, "> " * 300_000, ">:\n" * 200_000, "-- \n" * 200_000,
     "best\n" * 200_000, " " * 500_000, "a@b" * 100_000 + ":", "1" * 500_000 + ":", ">" * 500_000]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_read_in_bounded_time(text: str) -> None:
    written_and_quoted(text)


@given(st.text(alphabet="> :\n-_OnwrteFSmag@<1.写道", max_size=300))
@settings(max_examples=200)
def test_any_text_is_split(text: str) -> None:
    own, quoted = written_and_quoted(text)
    assert len(own) + len(quoted) <= 2 * len(text)


ATTRIBUTIONS = """Le lun. 6 janv. 2025 à 08:55, Anne <a@x.fr> a écrit :
Em seg., 6 de jan. de 2025 às 08:55, Ana <a@x.br> escreveu:
Op ma 6 jan 2025 om 08:55 schreef Jan <j@x.nl>:
Den mån 6 jan. 2025 kl 08:55 skrev Sven <s@x.se>:
Den man. 6. jan. 2025 kl. 08.55 skrev Per <p@x.dk>:
Ali <a@x.tr>, 6 Oca 2025 Pzt, 08:55 tarihinde şunu yazdı:
po 6. 1. 2025 v 8:55 odesílatel Jan <j@x.cz> napsal:
János <j@x.hu> ezt írta (időpont: 2025. jan. 6., H, 8:55):
Στις Δευ 6 Ιαν 2025 στις 8:55 π.μ., ο χρήστης Α <a@x.gr> έγραψε:
\u202bבתאריך יום ב׳, 6 בינו׳ 2025 ב-8:55 מאת \u202aDana\u202c\u200f <\u202ad@x.il\u202c\u200f>:\u202c
في الاثنين، 6 يناير 2025 في 8:55 ص تمت كتابة ما يلي بواسطة \u202aAli\u202c\u200f <\u202aa@x.org\u202c\u200f>:
пн, 6 січ. 2025 р. о 08:55 Іван <i@x.ua> пише:
În lun., 6 ian. 2025 la 08:55, Ion <i@x.ro> a scris:
Vào Th 2, 6 thg 1, 2025 vào lúc 08:55 A <a@x.vn> đã viết:
Pada tanggal Sen, 6 Jan 2025 pukul 08.55 A <a@x.id> menulis:
Missatge de A <a@x.cat> del dia dl., 6 de gen. 2025 a les 8:55:
Am 06.01.25 um 08:55 schrieb Bernd:
On 06/01/2025 08:55, Ann wrote:
王 <w@x.tw> 於 2025年1月6日 週一 上午8:55寫道：
2025/01/06 8:55、田中 <t@x.jp>のメール:
On 1/6/2025 8:55 AM, Ann Example via Lists wrote:
Il giorno lun 6 gen 2025 alle ore 08:55 Gino <g@x.it> ha scritto:
Zitat von Bernd <b@x.de>:
Ann Example <a@x.org> writes:
* Ann Example <a@x.org> [2025-01-06 08:55]:
2025-01-06 8:55 GMT+01:00 Ann <a@x.org>:
---- On Mon, 06 Jan 2025 08:55:00 +0100 Ann <a@x.org> wrote ----
On Monday, January 6th, 2025 at 8:55 AM, Ann <a@x.org> wrote:
-------- Original message --------""".splitlines()


@pytest.mark.parametrize("line", ATTRIBUTIONS)
def test_attributions_of_many_programs_and_languages(line: str) -> None:
    for below in ("\n\n> question?", "\n\nquestion?", "\n> question?\n"):
        assert written_and_quoted(f"fine!\n\n{line}{below}") == ("fine!", "question?")
