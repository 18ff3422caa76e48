"""Recognizes an old answer given again to another question: "Thursday works" when Wednesday was asked about.

What ties an answer to its question are particulars: numbers, days, months, names. A candidate that says again what the
user once wrote is stale where it holds a particular that belongs to that earlier time and not to this request. Rules,
in several languages; pure text, no model.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

ALIKE = 0.85
"""Share of words in the same order, beyond which a candidate repeats an earlier text."""

LONGEST = 120
"""Words of a text that are compared: a longer one is hardly ever repeated as a whole."""

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
_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")
_SENTENCE_END = re.compile(r"[.!?:\n\"“”«»\-–—]\s*$")


def stale(candidate: str, request: str, history: Sequence[tuple[str, str]]) -> str | None:
    """What a candidate wrongly keeps of an earlier answer that it repeats, in words as they stand; None where nothing.

    `history`: inputs and outputs of the user. A repeated text without particulars ("Sounds good, thanks!") is the
    user's way to say it, and is left alone; so is one whose particulars the request has too, and one that the user
    gives whatever is asked (the same particular in answers to several different inputs: a signature, an address).
    """
    words = _folded(candidate)
    if not words:
        return None
    mine = particulars(candidate)
    asked = particulars(request)
    if not mine.keys() - asked.keys():
        return None
    habits = _habits(history)
    for given, written in history:
        if not _alike(words, _folded(written)):
            continue
        then = particulars(given)
        if then.keys() == asked.keys():
            continue  # the same was asked
        old = particulars(written)
        kept = [shown for key, shown in mine.items() if key in old and key not in asked and key not in habits]
        # It belongs to that time where that input has it too, or where this request asks about another of its kind.
        tied = [
            shown
            for key, shown in mine.items()
            if shown in kept and (key in then or any(_kind(key) == _kind(other) for other in asked))
        ]
        if tied:
            return tied[0]
    return None


def particulars(text: str) -> dict[str, str]:
    """Numbers, days, months and names in `text`: what tells each from others -> how it stands there."""
    found: dict[str, str] = {}
    for match in _TOKEN.finditer(text):
        shown = match[0]
        word = shown.lower()
        if shown[0].isdigit():
            found.setdefault(f"#{shown.rstrip('.,:')}", shown)
        elif word in _WORDS and (word not in _AMBIGUOUS or shown[0].isupper()):
            found.setdefault(_WORDS[word], shown)
        elif shown[0].isupper() and len(shown) > 1 and not _begins_sentence(text, match.start()):
            found.setdefault(f"name {unicodedata.normalize('NFKC', word)}", shown)
    for row in ("月曜", "火曜", "水曜", "木曜", "金曜", "土曜", "日曜", "今日", "明日", "昨日"):
        if row in text:
            found.setdefault(_WORDS[row], row)
    return found


def _kind(key: str) -> str:
    return re.split(r"[\d ]", key, maxsplit=1)[0]


def _habits(history: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Particulars that stand in two answers or more to inputs that lack them: the user's own, whatever is asked."""
    seen: dict[str, int] = {}
    for given, written in history:
        for key in particulars(written).keys() - particulars(given).keys():
            seen[key] = seen.get(key, 0) + 1
    return frozenset(key for key, times in seen.items() if times > 1)


def _begins_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t")
    return not before or _SENTENCE_END.search(before) is not None


def _folded(text: str) -> list[str]:
    return [match[0].lower() for match in _TOKEN.finditer(text[: 16 * LONGEST])][:LONGEST]


def _alike(one: Sequence[str], other: Sequence[str]) -> bool:
    if not other or not 0.5 <= len(one) / len(other) <= 2:
        return False
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE
