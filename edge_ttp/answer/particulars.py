"""Particulars of a text: numbers, days, months and names, the same ones in several languages. Rules, no model."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_DAYS = (
    "monday tuesday wednesday thursday friday saturday sunday",
    "mon tue wed thu fri sat sun",
    "montag dienstag mittwoch donnerstag freitag samstag sonntag",
    "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "lunes martes miércoles jueves viernes sábado domingo",
    "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    "segunda terça quarta quinta sexta sábado domingo",
    "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
    "月曜 火曜 水曜 木曜 金曜 土曜 日曜",
)
_MONTHS = (
    "january february march april may june july august september october november december",
    "jan feb mar apr may jun jul aug sep oct nov dec",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "januari februari maart april mei juni juli augustus september oktober november december",
)
_NEAR = (
    "today tomorrow yesterday tonight",
    "heute morgen gestern",
    "aujourd'hui demain hier",
    "hoy mañana ayer",
    "oggi domani ieri",
    "hoje amanhã ontem",
    "vandaag morgen gisteren",
    "今日 明日 昨日",
)
_AMBIGUOUS = frozenset(
    {"may", "march", "mar", "mai", "mei", "august", "sat", "sun", "mon", "wed", "segunda", "quarta", "quinta", "sexta"}
    | {"due", "sei", "once", "hier", "elf", "nove", "acht"}
)
"""Words that also mean something else: they count only with a capital letter."""

_COUNTS = (
    "two three four five six seven eight nine ten eleven twelve",
    "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
    "deux trois quatre cinq six sept huit neuf dix onze douze",
    "dos tres cuatro cinco seis siete ocho nueve diez once doce",
    "due tre quattro cinque sei sette otto nove dieci undici dodici",
)


def _table(rows: Sequence[str], what: str, first: int) -> dict[str, str]:
    """word -> the particular that it names, one for the same day, month or number in every language."""
    return {word: f"{what}{place}" for row in rows for place, word in enumerate(row.split(), first)}


_WORDS = {
    **_table(_COUNTS, "#", 2),
    **_table(_NEAR, "near", 0),
    **_table(_MONTHS, "month", 1),
    **_table(_DAYS, "day", 1),
}
TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")
"""A number, or a word with what hangs on it by an apostrophe."""

_LOOK = 24
"""Characters before a word that are looked at for the end of a sentence."""
_SENTENCE_END = re.compile(r"[.!?:\n\"“”«»\-–—]\s*$")

_CJK = ("月曜", "火曜", "水曜", "木曜", "金曜", "土曜", "日曜", "今日", "明日", "昨日")


@dataclass(frozen=True)
class Particular:
    """One particular where it stands in a text."""

    key: str
    """What tells it from others, whatever the language: `#3`, `day4`, `month3`, `near1`, `name london`."""
    start: int
    end: int


def particulars_in(text: str) -> Iterator[Particular]:
    """Numbers, days, months and names in `text`, in the order of their kinds, every time they stand there."""
    for match in TOKEN.finditer(text):
        shown = match[0]
        word = shown.lower()
        start, end = match.span()
        if shown[0].isdigit():
            yield Particular(f"#{shown.rstrip('.,:')}", start, end)
        elif word in _WORDS and (word not in _AMBIGUOUS or shown[0].isupper()):
            yield Particular(_WORDS[word], start, end)
        elif shown[0].isupper() and len(shown) > 1 and not begins_sentence(text, start):
            yield Particular(f"name {unicodedata.normalize('NFKC', word)}", start, end)
    for word in _CJK:
        for match in re.finditer(word, text):
            yield Particular(_WORDS[word], *match.span())


def particulars(text: str) -> dict[str, str]:
    """Numbers, days, months and names in `text`: what tells each from others -> how it first stands there."""
    found: dict[str, str] = {}
    for one in particulars_in(text):
        found.setdefault(one.key, text[one.start : one.end])
    return found


def begins_sentence(text: str, start: int) -> bool:
    """Whether a sentence begins at `start`, so that a capital letter says nothing."""
    before = text[max(0, start - _LOOK) : start].rstrip(" \t")
    return not before or _SENTENCE_END.search(before) is not None
