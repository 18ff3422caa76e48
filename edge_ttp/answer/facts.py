"""What must stand when a text is said again: numbers, dates, names, links, mail addresses, code, negations.

Numbers, days, months and names come from answer/particulars.py, links and mail addresses from linkify-it-py
(maintained, offline; docs/rewrite.md compares it with others). Names are what a capital letter tells: a text in lower
case holds none, and is compared by its words instead. In doubt a word counts as a fact: what is locked without need
costs a candidate, what is lost without notice costs trust.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from edge_ttp.answer.particulars import TOKEN, particulars_in
from edge_ttp.answer.small_words import FUNCTION, NEGATED, NEGATED_UNSPACED, NEGATIONS, language_of, words_of
from edge_ttp.schema import FactCheck

FactKind = Literal["link", "mail", "code", "number", "date", "name", "negation"]


@dataclass(frozen=True)
class Fact:
    """One fact where it stands in a text."""

    kind: FactKind
    key: str
    """What tells it from others, however it is written: `3pm` and `15:00` are one."""
    shown: str
    start: int
    end: int


def in_words(check: FactCheck) -> str:
    """In words; empty where nothing is lost and nothing added."""
    parts = (("loses", check.missing), ("adds", check.added))
    return " and ".join(f"{verb} {', '.join(repr(one) for one in which)}" for verb, which in parts if which)


_CODE = re.compile(
    r"```.*?```|`[^`\n]+`|\[[A-Z]\d{1,3}\]"  # the last: marks such as ours (answer/masks.py)
    r"|(?<![\w-])--?[a-z][\w-]*(?:=\S+)?(?<![.,;])"  # options of a command
    r"|(?<![\w.])\w{1,60}(?:\.\w{1,60}){0,6}\(\)"
    r"|(?<![\w/])(?:~|\.{1,2})?/[\w.-]+(?:/[\w.-]+)+"  # paths
    r"|(?<![\w./-])[\w-]{1,80}(?:[./][\w-]{1,80}){0,12}\.(?:py|js|ts|c|h|cpp|rs|go|java|rb|sh|sql|json|ya?ml|toml|md|txt|csv|html|css|pdf"
    r"|docx?|xlsx?)\b"
    r"|\b[A-Za-z]\w*_\w+\b|\b[a-z]+[A-Z]\w*\b"  # snake_case, camelCase
    r"|\b[A-Z][A-Z0-9]+-\d+\b|(?<!\w)#\d+\b|\bv?\d+(?:\.\d+){2,}\b|(?<![\w.])@\w+",  # tickets, versions, handles
    re.DOTALL,
)
_TIME = re.compile(
    r"(?<!\d)(?<!\d[.,:])(?P<hour>[01]?\d|2[0-4])(?:(?:[:.](?P<minute>[0-5]\d))?\s{0,2}(?P<half>[ap])(?:\.\s?m\b\.?|m\b)"
    r"|[:h](?P<minute2>[0-5]\d)\b(?:\s{0,2}(?:Uhr|h|uur)\b)?|(?:\.(?P<minute3>[0-5]\d))?\s{0,2}(?:Uhr|uur|o['’]clock)\b|\s?h\b|[時点](?:(?P<minute4>[0-5]?\d)分)?)",
    re.IGNORECASE,
)
_CURRENCIES = {
    "€": "eur", "eur": "eur", "euro": "eur", "euros": "eur", "$": "usd", "usd": "usd", "dollar": "usd",
    "dollars": "usd", "£": "gbp", "gbp": "gbp", "pound": "gbp", "pounds": "gbp", "¥": "yen", "yen": "yen", "円": "yen",
    "%": "percent", "percent": "percent", "prozent": "percent", "procent": "percent",
}  # fmt: skip
_AMOUNT = re.compile(
    r"(?P<before>[€$£¥])\s?\d|\d\s?(?P<after>[€$£¥%円]|(?:eur|euros?|usd|dollars?|gbp|pounds?|yen|percent|prozent|procent)\b)",
    re.IGNORECASE,
)
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
"""Mail addresses on hosts that no list of top-level domains has: those of a company's own network."""
_TITLED = re.compile(r"\b(?:M[rs]|Mrs|Dr|Prof|Sra?|Sig|Mme|Mlle|M)\.\s+([^\W\d_]+)")
"""The point after a title ends no sentence."""
_THOUSANDS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_MORE_NUMBERS = {
    word: number
    for row in (
        "twenty thirty forty fifty sixty seventy eighty ninety hundred",
        "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert",
        "vingt trente quarante cinquante soixante - - - cent",
        "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa cien",
        "venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento",
    )
    for word, number in zip(row.split(), (*range(20, 100, 10), 100), strict=True)
    if word != "-"
}
_NO_NAMES = words_of(
    "i i'm i'll i've i'd ok okay fyi asap ps re fw fwd tbd tbc eod am pm sie ihnen ihr ihre ihren ihrem ihrer ihres "
    "du dir dich dein deine deinen deinem euch euer eure uhr usted ustedes u mr mrs ms dr herr herrn frau"
)
_NO_GERMAN_NAMES = re.compile(
    r"(?:ung|ungen|heit|keit|schaft|tion|tionen|tät|nis|tum|ling|chen|lein|ment|ismus|ei|er)$"
)
_TITLES = words_of("herr herrn frau hallo hi hey liebe lieber dr prof")
_NAMED = words_of("moin an von mit bei für und nach aus in")
"""German words that a name follows without an article: in a language that writes every noun large, the only sign."""
_SAYS = words_of(
    "is was will would can could has had said says asked asks wants needs told thinks and ist hat kommt sagt"
)
"""Words before which the first word of a sentence is a name, or a noun of `_COMMON`."""
_COMMON = words_of(
    "everything everyone everybody something someone somebody anything anyone one all both each another other others "
    "people nothing work things stuff today tomorrow yesterday monday tuesday wednesday thursday friday "
    "saturday sunday january february april june july september october november december "
    "yes please thanks heute morgen gestern alles "
    "etwas jemand niemand"
)
_CLAUSE = re.compile(r"[.!?;:\n。！？、]+|,(?!\d)| [-–—] ")
_LEAD = re.compile(r"[ \t]*(?:no|nope|nein|non|não|nee)[ \t]*", re.IGNORECASE)


def facts_in(text: str) -> list[Fact]:
    """The facts of `text` in their order; they do not overlap."""
    taken = bytearray(len(text))
    found = []
    language = language_of(text)
    for one in (*_code(text), *_links(text), *_times(text), *_amounts(text), *_particulars(text, language)):
        if one.kind == "number" and one.key.startswith("unit "):
            found.append(one)  # beside its number, whatever else stands there
        elif not any(taken[one.start : one.end]):
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
            found.append(one)
    return sorted((*found, *_negations(text, language)), key=lambda one: (one.start, one.end))


def compared(given: str, candidate: str, *, own: Collection[str] = ()) -> FactCheck:
    """What of the facts of `given` a candidate loses, and what it adds. `own`: keys that may be added (a signature)."""
    before, after = facts_in(given), facts_in(candidate)
    return FactCheck(
        missing=tuple(_absent(before, after, candidate)),
        added=tuple(_absent([one for one in after if one.key not in own], before, given)),
    )


def _absent(wanted: Sequence[Fact], there: Sequence[Fact], text: str) -> Iterator[str]:
    """The facts of `wanted` that are not `there`, each once."""
    keys = {one.key for one in there}
    said = _said(text)
    told = set()
    for one in wanted:
        if one.kind == "negation" or one.key in keys or one.key in told:
            continue
        if one.kind in ("name", "date") and said >= _said(one.shown):
            continue  # in another case: a capital letter is not what tells a name in every text
        if one.kind in ("code", "link", "mail") and one.key in _folded(text):
            continue
        told.add(one.key)
        yield one.shown
    negated = [one for one in wanted if one.kind == "negation"]
    lost = len(negated) - sum(one.kind == "negation" for one in there)
    yield from (one.shown for one in negated[: max(0, lost)])


def signatures(texts: Sequence[str]) -> frozenset[str]:
    """Keys of names and links that end two of the user's texts or more: theirs to add."""
    seen: dict[str, int] = {}
    for text in texts:
        last = text.rstrip().rsplit("\n", 1)[-1]
        # A name alone on the last line begins it: the word before makes it one within a sentence.
        for key in {one.key for one in facts_in(f"x {last}") if one.kind in ("name", "link", "mail", "number", "code")}:
            seen[key] = seen.get(key, 0) + 1
    return frozenset(key for key, times in seen.items() if times > 1)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _said(text: str) -> set[str]:
    """The words of a text, folded, without possessives and elisions."""
    return {_bare(match[0]) for match in TOKEN.finditer(text)}


def _bare(word: str) -> str:
    folded = _folded(word).replace("’", "'")
    head, mark, tail = folded.partition("'")
    if not mark:
        return folded
    return tail if len(head) <= 2 and len(tail) > 1 else head


def _code(text: str) -> Iterator[Fact]:
    for match in _CODE.finditer(text):
        yield Fact("code", _folded(match[0].strip("`\n ")), match[0], *match.span())


def _links(text: str) -> Iterator[Fact]:
    for match in _MAIL.finditer(text):
        yield Fact("mail", _folded(match[0]), match[0], *match.span())
    for match in _linkify().match(text) or ():
        mail = match.schema == "mailto:"
        key = _folded(match.url).removeprefix("mailto:").removeprefix("https://").removeprefix("http://").rstrip("/")
        yield Fact("mail" if mail else "link", key, match.raw, match.index, match.last_index)


@cache
def _linkify() -> Any:
    # Compiles its patterns: only when a text is first looked at.
    from linkify_it import LinkifyIt

    return LinkifyIt()


def _times(text: str) -> Iterator[Fact]:
    for match in _TIME.finditer(text):
        hour = int(match["hour"])
        if match["half"]:
            if not 1 <= hour <= 12:
                continue
            hour = hour % 12 + (12 if match["half"].lower() == "p" else 0)
        minute = match["minute"] or match["minute2"] or match["minute3"] or match["minute4"] or "00"
        yield Fact("date", f"time {hour:02}:{minute}", match[0], *match.span())


def _amounts(text: str) -> Iterator[Fact]:
    for match in _AMOUNT.finditer(text):
        unit = match["before"] or match["after"]
        start = match.start("before") if match["before"] else match.start("after")
        yield Fact("number", f"unit {_CURRENCIES[unit.lower()]}", unit, start, start + len(unit))


def _particulars(text: str, language: str | None) -> Iterator[Fact]:
    for one in particulars_in(text):
        shown = text[one.start : one.end]
        if one.key.startswith("#"):
            yield Fact("number", _number(one.key), shown, one.start, one.end)
        elif not one.key.startswith("name "):
            yield Fact("date", one.key, shown, one.start, one.end)
        elif _is_name(text, one.start, shown, language):
            yield Fact("name", f"name {_bare(shown)}", shown, one.start, one.end)
    for match in TOKEN.finditer(text):
        number = _MORE_NUMBERS.get(match[0].lower())
        if number is not None:
            yield Fact("number", f"#{number}", match[0], *match.span())
    yield from _first_words(text)


def _number(key: str) -> str:
    """One key for 1,000 and 1.000 and 1000; for 1.5 and 1,5."""
    digits = key.removeprefix("#")
    if _THOUSANDS.fullmatch(digits):
        return f"#{re.sub('[.,]', '', digits)}"
    whole, mark, part = digits.replace(",", ".").partition(".")
    return f"#{whole.lstrip('0') or '0'}{mark}{part}"


def _is_name(text: str, start: int, shown: str, language: str | None) -> bool:
    if _folded(shown).replace("’", "'") in _NO_NAMES:
        return False
    if language != "de" or shown.isupper():
        return True
    before = TOKEN.findall(text[max(0, start - 40) : start])
    if not before or text[start - 1] not in " \t":
        return False
    last = before[-1]
    if last.lower() in _TITLES:
        return True
    return last.lower() in _NAMED and not _NO_GERMAN_NAMES.search(shown) and len(shown) <= 12


def _first_words(text: str) -> Iterator[Fact]:
    """Names behind a title; and those that begin a sentence, where a verb or an `and` follows."""
    for match in _TITLED.finditer(text):
        yield Fact("name", f"name {_bare(match[1])}", match[1], *match.span(1))
    for match in re.finditer(r"(?:^|[.!?\n][ \t]{0,3})([^\W\d_]+)(?:['’]s)?\s+([^\W\d_]+)", text):
        word, after = match[1], match[2].lower()
        if word[0].isupper() and len(word) > 2 and after in _SAYS and not _is_function(word):
            yield Fact("name", f"name {_bare(word)}", word, *match.span(1))


def _is_function(word: str) -> bool:
    folded = word.lower()
    return folded in _COMMON or any(folded in words for words in (*FUNCTION.values(), *NEGATIONS.values()))


def _negations(text: str, language: str | None) -> Iterator[Fact]:
    """What says no in each clause; a `No,` before such a clause is the same no."""
    start, lead = 0, False
    for end, after in [*(match.span() for match in _CLAUSE.finditer(text)), (len(text), len(text))]:
        clause = text[start:end]
        found = _negation(clause, language)
        if found and _LEAD.fullmatch(clause) and text[end : end + 1] == ",":
            lead, start = True, after
            continue
        if lead and not found:
            yield Fact("negation", "not", "no", start, start)
        for word, at in found:
            yield Fact("negation", "not", word, start + at, start + at + len(word))
        lead, start = False, after


def _negation(clause: str, language: str | None) -> list[tuple[str, int]]:
    """The words that negate a clause, with their places in it.

    One for a clause in languages where a second one only strengthens the first (ne ... pas, no ... nunca).
    """
    if language in ("ja", "zh"):
        return [(match[0], match.start()) for match in NEGATED_UNSPACED.finditer(clause)][:1]
    words = NEGATIONS.get(language or "en", NEGATIONS["en"])
    tokens = re.finditer(r"[^\W\d_]+(?:['’]t\b)?", clause)
    found = [(token[0], token.start()) for token in tokens if token[0].lower() in words or NEGATED.fullmatch(token[0])]
    return found if language in ("en", "de", "nl") else found[:1]
