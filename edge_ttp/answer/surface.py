"""A text in the user's own surface, edited by rule: cases, contractions, final points, emoji, first and last lines.

Every word that says something stays where it is, and so does every fact: what is done here changes how small words are
written and what stands around the text, at rates counted in the user's own texts. It takes milliseconds and no model.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edge_ttp.answer.facts import compared, facts_in, signatures
from edge_ttp.answer.small_words import CLOSINGS, CONTRACTED, GREETINGS, NEUTRAL, language_of

LEAST_TEXTS = 4
"""Texts of a user below which nothing is known of their habits."""
_LOOKED_AT = 60
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE = re.compile(r"(\A|[.!?…]+[\"')\]]*\s+|\n+)(\s*)([^\W\d_])")
_END = re.compile(r"([.!?…]*)([\s\"')\]]*)\Z")
_EMOJI = re.compile(
    "[\U0001f300-\U0001faff\u2600-\u27bf][\ufe0f\U0001f3fb-\U0001f3ff]?|(?<![^\\s])(?:[:;=]-?[)(DPp]|xD|<3|\\^\\^)(?!\\w)"
)
_ALONE = r"(?=$|[\s,;:!?'’]|\.(?!\w))"
"""What follows the English word I: i.e. is another."""


@dataclass(frozen=True)
class Habits:
    """How often a user does what readers notice first; rates from 0 to 1."""

    language: str | None
    texts: int
    lower_starts: float
    """Of sentences that begin with a small letter."""
    titles: float
    """Of texts that have a capital at most of their words."""
    points: Mapping[str, float]
    """Of what ends a text: `.`, `!`, `...`, nothing."""
    small_i: float
    """Of the English word I."""
    contracted: Mapping[str, float]
    """Of long forms that could be short ones, by the long form."""
    words: Mapping[str, str]
    """Lower case -> the case that the user mostly gives a word in the middle of a sentence, where it is another."""
    coloured: Mapping[str, str]
    """Neutral word -> the user's own word for it."""
    openings: tuple[tuple[str, float], ...]
    """Greetings that name nobody, the commonest first, and in how many of the texts they stand."""
    closings: tuple[tuple[str, float], ...]
    """Last lines, signatures with them, likewise."""
    emoji: tuple[tuple[str, float], ...]
    """Signs that end texts, likewise."""
    signed: frozenset[str] = field(default=frozenset(), repr=False)
    """Keys of names that may be added (facts.signatures)."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Habits | None:
        """The habits in a user's texts, the newest first; None where they are too few to tell."""
        looked = [text.strip() for text in texts[:_LOOKED_AT] if text.strip()]
        if len(looked) < LEAST_TEXTS:
            return None
        language = language_of("\n".join(looked))
        bodies = [_body(text) for text in looked]
        joined = "\n".join(bodies)
        starts = [match[3].islower() for body in bodies for match in _SENTENCE.finditer(body)]
        small, large = (len(re.findall(rf"\b{one}{_ALONE}", joined)) for one in "iI")
        return cls(
            language=language,
            texts=len(looked),
            lower_starts=_share(starts),
            titles=_share([_is_title(body) for body in bodies]),
            points=_points(bodies),
            small_i=small / max(1, small + large) if language == "en" else 0.0,
            contracted=dict(_contracted(joined, language)),
            words=_cases(bodies),
            coloured=_coloured(joined, language),
            openings=_repeated([_greeting(text) for text in looked]),
            closings=_repeated([last[0].strip("\n") if (last := CLOSINGS.search(text)) else "" for text in looked]),
            emoji=_repeated([signs[-1] if (signs := _EMOJI.findall(text[-12:])) else "" for text in looked]),
            signed=signatures(looked),
        )


def edited(text: str, habits: Habits | None) -> str:
    """`text` as this user would write it, as far as its surface goes; as it is where nothing is known of them.

    The same text is edited in the same way each time. A step that would lose or add a fact is left out.
    """
    given = text.strip()
    if habits is None or not given:
        return given
    draw = random.Random(given)
    body = given
    for step in (_with_words, _with_cases, _with_end, _with_emoji, _with_lines):
        changed = step(body, habits, draw)
        if changed != body and compared(given, changed, own=habits.signed).sound:
            body = changed
    return body


def edited_words(text: str, habits: Habits | None) -> str:
    """`text` in the user's own contractions and words for neutral ones; all else as it is."""
    if habits is None:
        return text
    changed = _with_words(text, habits, random.Random(text))
    return changed if compared(text, changed, own=habits.signed).sound else text


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else 0.0


def _body(text: str) -> str:
    """A text without its greeting and closing."""
    return CLOSINGS.sub("", GREETINGS.sub("", text)).strip() or text


def _is_title(text: str) -> bool:
    words = [word for word in _WORD.findall(text) if len(word) > 3]
    return len(words) > 2 and sum(word[0].isupper() for word in words) > 0.8 * len(words)


def _points(bodies: Sequence[str]) -> dict[str, float]:
    """Rates of what ends texts, questions left out."""
    ends = Counter(_mark(_EMOJI.sub("", body).rstrip()) for body in bodies)
    del ends["?"]
    total = sum(ends.values())
    return {mark: count / total for mark, count in ends.most_common()} if total else {}


def _mark(text: str) -> str:
    end = _END.search(text)
    mark = end[1] if end else ""
    if "?" in mark:
        return "?"
    if len(mark) > 1 or mark == "…":
        return "!" if "!" in mark else "..."
    return mark


def _contracted(text: str, language: str | None) -> Iterator[tuple[str, float]]:
    low = text.lower().replace("’", "'")
    for long, short in CONTRACTED.get(language or "", {}).items():
        long_count = len(re.findall(rf"\b{long}\b", low))
        short_count = len(re.findall(rf"\b{re.escape(short.lower())}\b", low))
        if long_count + short_count > 1:
            yield long, short_count / (long_count + short_count)


def _cases(bodies: Sequence[str]) -> dict[str, str]:
    """Words that the user writes with capitals in the middle of a sentence, twice or more and mostly."""
    seen: dict[str, Counter[str]] = {}
    for body in bodies:
        if _is_title(body):
            continue
        first = {match.start(3) for match in _SENTENCE.finditer(body)}
        for match in _WORD.finditer(body):
            if match.start() not in first:
                seen.setdefault(match[0].lower(), Counter())[match[0]] += 1
    found = {}
    for low, ways in seen.items():
        way, count = ways.most_common(1)[0]
        if way != low and count > 1 and 2 * count > ways.total() and low != "i":
            found[low] = way
    return found


def _coloured(text: str, language: str | None) -> dict[str, str]:
    """Of every neutral word, the one with a colour that the user says more often than it."""
    said = Counter(word.lower() for word in _WORD.findall(text))
    found: dict[str, str] = {}
    for coloured, neutral in NEUTRAL.get(language or "", {}).items():
        best = said[found[neutral]] if neutral in found else said[neutral]
        if " " not in neutral and said[coloured] > max(1, best):
            found[neutral] = coloured
    return found


def _greeting(text: str) -> str:
    """The greeting of a text, where it names nobody and so fits any text."""
    found = GREETINGS.match(text)
    if found is None:
        return ""
    behind = " ".join(found[0].split()[1:])  # the first word has a capital because it is the first one
    if any(fact.kind in ("name", "number", "date") for fact in facts_in(f"x {behind}")):
        return ""
    return found[0].rstrip(" ")


def _repeated(said: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """What came twice or more, with its share of all that was looked at."""
    counts = Counter(one for one in said if one)
    return tuple((one, count / len(said)) for one, count in counts.most_common(3) if count > 1)


def _taken(rate: float, draw: random.Random) -> bool:
    return draw.random() < rate


def _with_words(text: str, habits: Habits, draw: random.Random) -> str:
    for long, rate in habits.contracted.items():
        short = CONTRACTED[habits.language or ""][long]
        if _taken(rate, draw):
            text = _said(text, rf"{long}(?=\s+\w)", short)
        elif rate < 0.5 and not short.endswith("'s"):  # which stands for `has` as well
            text = _said(text, re.escape(short).replace("'", "['’]"), long)
    for neutral, own in habits.coloured.items():
        text = _said(text, neutral, own)
    return text


def _said(text: str, pattern: str, word: str) -> str:
    """`word` in place of what the pattern finds, with the case of its first letter."""

    def like(match: re.Match[str]) -> str:
        return word[:1].upper() + word[1:] if match[0][:1].isupper() else word

    return re.sub(rf"\b{pattern}\b", like, text, flags=re.IGNORECASE)


def _with_cases(text: str, habits: Habits, draw: random.Random) -> str:
    kept = [(fact.start, fact.end) for fact in facts_in(text) if fact.kind in ("code", "link", "mail")]

    def outside(match: re.Match[str]) -> bool:
        return not any(start <= match.start() < end for start, end in kept)

    def word(match: re.Match[str]) -> str:
        return habits.words.get(match[0], match[0]) if outside(match) else match[0]

    text = _WORD.sub(word, text)
    if habits.language == "en":
        mine, other = ("i", r"\bI") if _taken(habits.small_i, draw) else ("I", r"\bi")
        text = re.sub(other + _ALONE, lambda match: mine if outside(match) else match[0], text)
    if _taken(habits.titles, draw):
        return _WORD.sub(lambda match: match[0][:1].upper() + match[0][1:] if outside(match) else match[0], text)
    low = _taken(habits.lower_starts, draw)
    names = {way.lower() for way in habits.words}

    def start(match: re.Match[str]) -> str:
        first = match[3]
        rest = _WORD.match(text, match.start(3))
        if any(begin <= match.start(3) < end for begin, end in kept):
            return match[0]
        if low:
            word = rest[0] if rest else first
            named = word.lower() in names or word[1:] != word[1:].lower() or re.split("['’]", word)[0] == "I"
            return match[0] if named else f"{match[1]}{match[2]}{first.lower()}"
        return f"{match[1]}{match[2]}{first.upper()}"

    return _SENTENCE.sub(start, text)


def _with_end(text: str, habits: Habits, draw: random.Random) -> str:
    now = _mark(text)
    if now == "?" or not habits.points:
        return text
    wanted = draw.choices(list(habits.points), weights=list(habits.points.values()))[0]
    if now == wanted or wanted not in ("", ".", "!", "...") or (now and now not in (".", "!", "...")):
        return text
    return _END.sub(lambda match: wanted + match[2], text, count=1)


def _with_emoji(text: str, habits: Habits, draw: random.Random) -> str:
    if _EMOJI.search(text):
        return text
    sign = _drawn(habits.emoji, draw)
    return f"{text} {sign}" if sign else text


def _with_lines(text: str, habits: Habits, draw: random.Random) -> str:
    opening = None if GREETINGS.match(text) else _drawn(habits.openings, draw)
    closing = None if CLOSINGS.search(text) else _drawn(habits.closings, draw)
    if opening:
        text = f"{opening}{'' if opening.endswith(chr(10)) else ' '}{text}"
    return f"{text}\n{closing}" if closing else text


def _drawn(rates: Sequence[tuple[str, float]], draw: random.Random) -> str | None:
    """One of what the user does, as often as they do it; None as often as they do not."""
    at = draw.random()
    for one, rate in rates:
        if at < rate:
            return one
        at -= rate
    return None
