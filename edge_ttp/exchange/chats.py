"""Chats exported as text by WhatsApp and Signal: what one of the people wrote, in answer to what the others had said.

    [12.03.25, 14:05:12] Jo: text        WhatsApp on iPhones
    12/03/2025, 2:05 PM - Jo: text       WhatsApp on Android; and in other languages' ways to say when:
    12/03/2025 à 14:05 - Jo: text        2025. 3. 12. 오후 2:05 - Jo: text        14:05, 12/3/2025 - Jo: text
    [2025-03-12, 14:05] Me: text         Signal, as signal-export writes it

or in blocks, as sigtop writes Signal's: `From:`, `Type: outgoing`, `Sent:`, an empty line, the text.

A line that begins no message goes on with the one before it. The order of day and month is told by the whole chat.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.dates import NoDate, moment
from edge_ttp.exchange.records import Advance, Entry, Numbered, Remark, Skipped, no_progress
from edge_ttp.exchange.text import plain
from edge_ttp.schema import MAX_TEXT, HistoryItem, utc_now

PAUSE = timedelta(hours=3)
"""Messages of one person with a longer pause between them are texts of their own."""

OWN_NAMES = (
    "me", "you", "ich", "du", "moi", "yo", "tú", "io", "ik", "jag", "jeg", "eu", "minä", "ja", "я", "自分", "我"
)  # fmt: skip
"""Names that an export gives to the person who made it."""

OTHER = "from another sender"
MEDIA = "without text (a picture, a call, deleted)"

_ME = "Me"
_FIELD = re.compile(r"^(Conversation|From|To|Type|Sent|Received|Edited|Attachment|Reaction|Quote|Version): (.*)$")

MEMBER = re.compile(r"_chat\.txt|.{0,80}WhatsApp.{1,150}\.txt", re.IGNORECASE)
"""Names of the chat's text in the archives that WhatsApp makes."""

_HEAD = 20
"""Lines that a chat is recognized by."""
_MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069\ufeff"))
_DATE = r"\d{1,4}[./-]\s?\d{1,2}[./-]\s?\d{1,4}"
_TIME = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?"
_WORD = r"[^\s\d:,،\[\]-]{1,10}"
"""A word beside the time: `à`, `um`, `Uhr`, or which half of the day."""
_MESSAGE = re.compile(
    rf"^\[?(?:(?P<date>{_DATE})\.?(?:\sг\.)?[,،]?\s{{1,3}}(?:(?P<before>{_WORD})\s?)?(?P<time>{_TIME})"
    rf"(?:\s?(?P<after>{_WORD}(?:\s{_WORD})?))?"
    rf"|(?P<time_first>{_TIME})(?:\s?(?P<after_first>{_WORD}))?[,،]\s(?P<date_last>{_DATE}))"
    r"(?:\]\s?|\s?[-–—]\s)(?P<rest>.*)$"
)
_MORNING = frozenset(("am", "午前", "上午", "凌晨", "早上", "오전", "öö", "ص", "πμ", "पूर्वाह्न", "sa", "dop", "de"))
_AFTERNOON = frozenset(("pm", "午後", "下午", "中午", "晚上", "오후", "ös", "م", "μμ", "अपराह्न", "ch", "odp", "du"))
"""How languages call the halves of the day, without points and spaces."""
_SENDER = re.compile(r"^(?P<name>[^:\n\"“”„«»]{1,60}?):(?:\s(?P<text>.*))?$", re.DOTALL)
"""Who said it. Names have no quotation marks, which notices do: `Jo changed the group's name to "A: B"`."""
_NOTICE = re.compile(r"^.{0,60}?[\]\-–—]\s?\u200e?[^:\n]{1,60}:\s\u200e")
"""A message that iPhones mark as the program's own: what stands for a picture, a call, encryption."""
_MARKED = re.compile(r"\s?\u200e<[^<>\n]{1,100}>$")
"""What iPhones add to a text: that it was edited, what is attached."""
_AMERICAN = frozenset(("AM", "PM"))
_LEFT_OUT = re.compile(
    r"^<[^<>]{1,60}>$|"
    # <picture> <left out>, in either order; a document's name and pages may stand before it
    r"^(?:[^\n]{1,100}[.•][^\n]{1,30}\s)?(?:image|video|vidéo|vídeo|audio|áudio|"
    r"sticker|gif|document|documento|contact card|bild|dokument|"
    r"kontaktkarte|foto|imagen|imagem|immagine|figurinha|afbeelding|kuva|carte de contact|view once .{3,20}message|"
    r"video note)\s(?:omitted|weggelassen|ausgelassen|absente?|omitid[oa]|ocultad[oa]|omess[oa]|weggelaten|"
    r"utelämnad|utelatt|udeladt|esclus\w|non inclus[oa]|jätetty pois)$|"
    r"^(?:画像|動画|音声|ステッカー|書類)[^\n]{0,3}省略$|^(?:图片|圖片|视频|影片|音频|音訊|贴图|貼圖|文件)[^\n]{0,2}(?:已忽略|已略去)$|"
    r"^(?:이미지|동영상|오디오|스티커|문서) 생략$|"
    r"^(?:изображение|видео|аудио|стикер|документ) (?:отсутствует|опущено)$|"
    r"^pominięto (?:grafikę|film|audio|naklejkę|dokument)$|"
    # deleted, and calls
    r"^(?:this message was deleted|you deleted this message|diese nachricht wurde gelöscht|"
    r"du hast diese nachricht gelöscht|ce message a été supprimé|vous avez supprimé ce message|"
    r"se eliminó este mensaje|eliminaste este mensaje|questo messaggio è stato eliminato|"
    r"hai eliminato questo messaggio|(?:esta )?mensagem (?:foi )?apagada|você apagou esta mensagem|"
    r"dit bericht (?:is|werd) verwijderd|(?:je|u) (?:hebt|heeft) dit bericht verwijderd|"
    r"(?:missed )?(?:group )?(?:voice|video) call(?:, .{1,30})?|"
    r"(?:verpasster )?(?:sprach|video)anruf(?:, .{1,30})?|appel (?:vocal|vidéo)(?: manqué)?(?:, .{1,30})?|"
    r"(?:video)?llamada(?: de voz)?(?: perdida)?(?:, .{1,30})?|"
    r"live location shared|null|waiting for this message.*)\.?$|"
    r"^(?:location|standort|localisation|ubicación|posizione|localização|locatie): https?://\S+$|"
    r"\((?:file attached|datei angehängt|fichier joint|archivo adjunto|file allegato|bestand bijgevoegd|"
    r"arquivo anexado|bifogad fil|vedhæftet fil|plik dołączony|файл добавлен)\)$",
    re.IGNORECASE,
)
_EDITED = re.compile(
    r"\s?<(?:this message was edited|diese nachricht wurde bearbeitet|[^<>]{3,40}edited)>$", re.IGNORECASE
)
_PICTURE = re.compile(r"^!?\[[^\]\n]{0,200}\]\([^()\n]{1,500}\)$")


@dataclass(frozen=True)
class ChatReading:
    """How a chat is read."""

    user: str
    authors: tuple[str, ...] = ()
    """Names of the person whose texts are taken. Empty: the one whom the export calls Me, or You."""
    kind: str = "chat"
    form: str | None = None
    """How dates are written, as strptime takes it; without the time of day."""
    now: datetime = field(default_factory=utc_now)


@dataclass
class ChatLine:
    """One message of somebody."""

    number: int
    """Its line, from 1."""
    name: str
    text: str
    date: str = ""
    clock: str = ""
    half: str = ""
    """`a`, `p`, or neither half of the day."""
    american: bool = False
    """Whether the half of the day is written as in the United States, whose months come first."""
    moment: datetime = datetime(1970, 1, 1, tzinfo=UTC)


def is_chat(text: str) -> bool:
    """Whether a text file's beginning is that of a chat."""
    lines = [line.translate(_MARKS) for line in text.split("\n", _HEAD + 1)[:_HEAD] if line.strip()]
    begun = [_MESSAGE.match(line[:500]) for line in lines]
    said = [match for match in begun if match is not None and _SENDER.match(match["rest"])]
    return bool(lines) and ((begun[0] is not None and bool(said)) or _has_blocks(lines))


def _has_blocks(lines: Sequence[str]) -> bool:
    """Whether Signal's messages stand in blocks."""
    fields = {match[1] for line in lines if (match := _FIELD.match(line[:500]))}
    return lines[0].startswith(("Conversation: ", "From: ")) and {"Type", "Sent"} <= fields


def messages(text: str, name: str, how: ChatReading, progress: Advance = no_progress) -> Iterator[Entry]:
    """The texts of the person in this chat, numbered by line; the input is what others said since their last one.

    InvalidInput if it is no chat, or if it does not say who of the people the user is. progress is called with the
    lines read.
    """
    lines = plain(text).split("\n")
    in_blocks = _has_blocks([line for line in lines[:_HEAD] if line.strip()] or [""])
    said = list(_blocks(lines, how) if in_blocks else _said(lines))
    if not said:
        raise InvalidInput(f"{name} is no chat that WhatsApp or Signal exported", "give its text file, or --from text")
    own = own_names(Counter(one.name for one in said), name, how)
    month_first = None if in_blocks else _dated(said, how)
    if month_first is not None:
        yield Remark(
            f"dates such as {said[0].date} were read as {'month/day' if month_first else 'day/month'}; "
            "--date-format says otherwise"
        )
    of_signal = in_blocks or (re.match(r"\d{4}-", said[0].date) and any(one.name == _ME for one in said))
    yield from items(said, own, how, "signal" if of_signal else "whatsapp", progress)


def items(
    said: Iterable[ChatLine], own: set[str], how: ChatReading, source: str, progress: Advance = no_progress
) -> Iterator[Entry]:
    """The texts of the people called `own`: what they said in a row, in answer to what the others had said before."""
    before: list[str] = []
    run: list[ChatLine] = []
    for one in said:
        progress(one.number)
        if one.name not in own:
            yield from _item(run, before, how, source)
            if run:
                before, run = [], []
            text = _text(one)
            before = [*before, text][-20:] if text else before
            yield Skipped(one.number, OTHER)
            continue
        if run and one.moment - run[-1].moment > PAUSE:
            yield from _item(run, before, how, source)
            before, run = [], []
        run.append(one)
    yield from _item(run, before, how, source)


def _said(lines: Iterable[str]) -> Iterator[ChatLine]:
    """The messages; notices of the program, which nobody said, are left out."""
    current: ChatLine | None = None
    notice = False
    for number, raw in enumerate(lines, 1):
        line = _MARKED.sub("", raw[-200:]) if raw.endswith(">") and len(raw) < 200 else raw
        line = line.translate(_MARKS).replace("\u202f", " ").replace("\u00a0", " ")
        begun = _MESSAGE.match(line[:500])
        if begun is None:
            if current is not None and not notice and len(current.text) < MAX_TEXT:
                current.text += f"\n{line}"
            continue
        sender = _SENDER.match(line[begun.start("rest") :])
        notice = sender is None
        if sender is not None:
            if current is not None:
                yield current
            date, clock = begun["date"] or begun["date_last"], begun["time"] or begun["time_first"]
            after = begun["after"] or begun["after_first"]
            half = _half(begun["before"]) or _half(after)
            text = "" if _NOTICE.match(raw[:200]) else sender["text"] or ""
            current = ChatLine(number, sender["name"].strip(), text, date, clock, half, after in _AMERICAN)
    if current is not None:
        yield current


def _half(word: str | None) -> str:
    """`a` or `p` for a word that names half of a day, empty for any other."""
    bare = re.sub(r"[.\s]", "", (word or "").lower())
    return "a" if bare in _MORNING else "p" if bare in _AFTERNOON else ""


def _blocks(lines: Iterable[str], how: ChatReading) -> Iterator[ChatLine]:
    """The messages of blocks of fields, each with its text below."""
    current: ChatLine | None = None
    in_fields = False
    for number, line in enumerate(lines, 1):
        match = _FIELD.match(line[:500])
        if match is not None and match[1] == "From" and not in_fields:
            if current is not None:
                yield current
            current, in_fields = ChatLine(number, match[2].strip()[:60], "", moment=how.now), True
        elif current is not None and in_fields:
            in_fields = bool(line.strip())
            if match is not None and match[1] == "Type" and match[2].strip() == "outgoing":
                current.name = _ME
            elif match is not None and match[1] == "Sent":
                current.moment = _sent(match[2], how)
        elif current is not None and len(current.text) < MAX_TEXT:
            current.text += f"\n{line}"
    if current is not None:
        yield current


def _sent(text: str, how: ChatReading) -> datetime:
    try:
        found = moment(text)
    except NoDate:
        found = None
    return how.now if found is None else found[0]


def own_names(people: Counter[str], name: str, how: ChatReading) -> set[str]:
    """The names that the user has in the chat `name`. InvalidInput where nothing says which they are."""
    if how.authors:
        found = {one for one in people if any(author.lower() in one.lower() for author in how.authors)}
    else:
        found = {one for one in people if one.lower() in OWN_NAMES}
    if found:
        return found
    listed = ", ".join(f"{one!a} ({count})" for one, count in people.most_common(8))
    example = people.most_common(1)[0][0]
    raise InvalidInput(
        f"{name} does not say which of its people is you: {listed}", f"name yourself: --author {example!a}"
    )


def _dated(said: Sequence[ChatLine], how: ChatReading) -> bool | None:
    """Gives every message its moment. Returns whether months come first, None where the dates say it themselves."""
    parts = [[int(part) for part in re.split(r"[./-]", one.date)] for one in said]
    dotted = said[0].date.count(".") == 2
    year_first = len(re.split(r"[./-]", said[0].date)[0]) == 4
    over_first = any(part[0] > 12 for part in parts)
    over_second = any(part[1] > 12 for part in parts)
    american = any(one.american for one in said) and not any(one.date.startswith("0") for one in said)
    month_first = not dotted and not year_first and (over_second or (not over_first and american))
    for one, (first, second, third) in zip(said, parts, strict=True):
        hours, minutes, *seconds = (int(part) for part in re.split(r"[:.]", one.clock))
        if one.half and hours <= 12:
            hours = hours % 12 + (12 if one.half == "p" else 0)
        try:
            if how.form is not None:
                day = datetime.strptime(one.date, how.form)
            elif year_first:
                day = datetime(first, second, third)
            else:
                year = third + 2000 if third < 100 else third
                day = datetime(year, first, second) if month_first else datetime(year, second, first)
            one.moment = day.replace(hour=hours, minute=minutes, second=seconds[0] if seconds else 0, tzinfo=UTC)
        except ValueError:
            one.moment = how.now
    decided = dotted or year_first or over_first or over_second or how.form is not None
    return None if decided else month_first


def _item(run: list[ChatLine], before: list[str], how: ChatReading, source: str) -> Iterator[Entry]:
    """The item of messages that the person sent one after another."""
    if not run:
        return
    text = "\n".join(text for one in run if (text := _text(one)))
    if not text:
        yield Skipped(run[0].number, MEDIA)
        return
    item = HistoryItem(
        user_id=how.user,
        input="\n".join(before)[-MAX_TEXT:],
        output=text,
        kind=how.kind,
        created_at=run[0].moment,
        source=source,
    )
    yield Numbered(run[0].number, item)


def _text(message: ChatLine) -> str:
    """What was said, without what stands for a picture, and without Signal's quotations and reactions."""
    kept = []
    for line in message.text.split("\n"):
        bare = _EDITED.sub("", line[-MAX_TEXT:].strip()) if line.endswith(">") else line.strip()
        short = len(bare) < 300
        if short and (_LEFT_OUT.search(bare) or _PICTURE.match(bare)):
            continue
        if bare.startswith(">") or (short and bare.startswith("(- ") and bare.endswith(" -)")):
            continue
        kept.append(bare)
    return "\n".join(kept).strip()
