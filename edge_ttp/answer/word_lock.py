"""The words of a text that every version of it holds, in their order: a grammar that drawing follows.

Between them stand small words of the language alone (answer/small_words.py), points, commas and line ends. So no fact
is lost, none is added, and no word that says something: by construction, not by checking. Small words that are given
stay as well, since `off` and `up`, `you` and `I`, `was` and `is` are not the same; articles and the like may go. Left
to the policy is what makes a manner: more small words, cases, points, fillers, contractions, the user's own word for a
neutral one, the user's own first and last lines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache

from edge_ttp.answer.facts import facts_in
from edge_ttp.answer.small_words import CONTRACTED, DROPPABLE, FILLERS, FUNCTION, NEUTRAL
from edge_ttp.policy.json_grammar import START, MadeGrammar

MOST_BETWEEN = 3
"""Small words between two locked ones, at most; as many may stand behind a sign among them."""
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_INNER, _FINAL = r",| [-–—]|;|:", r"[.!?…]|[!?.]{2,3}"
_FIRST_PERSON = re.compile(r"i(?:'\w+)?")
_SPECIAL = re.compile(r"([\\.^$|?*+()\[\]{}/\"\-])")


@dataclass(frozen=True)
class Locked:
    """One word or fact that stands in every version."""

    said: str
    ways: tuple[str, ...]
    """How it may be written, `said` first."""
    begins_line: bool = False


def locked_words(text: str, language: str | None, own: Collection[str] = ()) -> list[Locked]:
    """What every version of `text` holds. `own`: words of the user, lower case, that may stand for neutral ones."""
    coloured = _coloured(language or "")
    found: list[Locked] = []
    for line in text.splitlines():
        first, at = len(found), 0
        for start, end, ways in _held(line, language):
            found += _words(line[at:start], language, coloured, own)
            found.append(Locked(line[start:end], ways))
            at = end
        found += _words(line[at:], language, coloured, own)
        if len(found) > first > 0:
            found[first] = replace(found[first], begins_line=True)
    return found


def lock(
    text: str,
    language: str | None,
    *,
    own: Collection[str] = (),
    openings: Sequence[str] = (),
    closings: Sequence[str] = (),
) -> MadeGrammar | None:
    """The grammar of the versions of `text`; None where its language has no list of small words, or nothing is locked.

    `openings` and `closings`: lines that may stand before and behind it.
    """
    if language is None or language not in FUNCTION:
        return None
    words = locked_words(text, language, own)
    if not words:
        return None
    small = between(language, own)
    low, high = ("|".join(sorted({_quoted(cased(one)) for one in small})) for cased in (str, _capital))
    lines = [
        f"LOW: / ({low})/",
        f"HIGH: / ({high})/",
        f"LEAD: /({low}|{high})/",
        f"LINE: /\\n({low}|{high})/",
        f"INNER: /{_INNER}/",
        f"FINAL: /{_FINAL}/",
        f"few: LOW{{0,{MOST_BETWEEN}}}",
        "pair: LOW{0,2}",
        "gap: few | pair INNER few | pair FINAL | pair FINAL HIGH few",
        "turn: gap | pair (INNER | FINAL)? LINE few",
        "lead: LEAD few INNER? few",
    ]
    start = []
    for number, word in enumerate(words):
        ways = "|".join(_quoted(one) for one in word.ways)
        lines.append(f"W{number}: / ({ways})/")
        if number == 0:
            lines.append(f"HEAD: /({ways})/")
            start.append("(HEAD | lead W0)")
        elif word.begins_line:
            lines.append(f"L{number}: /\\n({ways})/")
            start.append(f"(turn W{number} | pair (INNER | FINAL)? L{number})")
        else:
            start.append(f"gap W{number}")
    if openings:
        lines.append(f"OPEN: /({'|'.join(map(_quoted, openings))})/")
    if closings:
        lines.append(f"CLOSE: /({'|'.join(map(_quoted, closings))})/")
    whole = f"start: {'OPEN? ' if openings else ''}{' '.join(start)} few FINAL?{' CLOSE?' if closings else ''}"
    return MadeGrammar(START + "\n".join((whole, *lines)) + "\n")


def _held(line: str, language: str | None) -> list[tuple[int, int, tuple[str, ...]]]:
    """The places of facts, a number's unit with it, and of what can be said for short, with the ways to write each."""
    phrases: list[tuple[int, int, tuple[str, ...]]] = []
    short, long = _phrases(language or "")
    for match in () if short is None else short.finditer(line):
        said = match[0].lower().replace("’", "'")
        other = long[said]
        phrases.append((*match.span(), tuple(dict.fromkeys(way for one in (match[0], other) for way in _cases(one)))))
    words = [match.span() for match in _WORD.finditer(line)]
    taken = [(start, end) for start, end, _ in phrases]
    held: list[tuple[int, int, tuple[str, ...]]] = []
    for fact in facts_in(line):
        start, end, unit = fact.start, fact.end, fact.key.startswith("unit ")
        if fact.kind == "negation":  # n'est, isn't
            start, end = next((span for span in words if span[0] <= start < span[1]), (start, end))
        if start == end or any(start < other_end and other < end for other, other_end in taken):
            continue
        if held and end <= held[-1][1]:
            continue
        if held and start <= held[-1][1] + unit:
            start = held.pop()[0]
            held.append((start, end, (line[start:end],)))
        elif fact.kind in ("link", "mail", "code", "number"):
            held.append((start, end, (line[start:end],)))
        else:
            held.append((start, end, _cases(line[start:end])))
    return sorted([*phrases, *held])


@cache
def _phrases(language: str) -> tuple[re.Pattern[str] | None, dict[str, str]]:
    """What finds long and short forms, and each one's other form."""
    table = CONTRACTED.get(language, {})
    other = {**{short.lower(): long for long, short in table.items()}, **table}
    if not other:
        return None, {}
    ways = "|".join(re.escape(one).replace("'", "['’]") for one in sorted(other, key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{ways})(?![^\W_]|['’])", re.IGNORECASE), other


def between(language: str, own: Collection[str] = ()) -> frozenset[str]:
    """The words that may stand between locked ones: small words, and fillers that the user has."""
    return _small(language) | (FILLERS.get(language, frozenset()) & frozenset(own))


def _words(text: str, language: str | None, coloured: dict[str, tuple[str, ...]], own: Collection[str]) -> list[Locked]:
    free = DROPPABLE.get(language or "", frozenset()) | FILLERS.get(language or "", frozenset())
    found = []
    for word in _WORD.findall(text):
        low = word.lower()
        if low in free:
            continue
        others = [other for other in coloured.get(low, ()) if other in own]
        found.append(Locked(word, tuple(dict.fromkeys(way for one in (word, *others) for way in _cases(one)))))
    return found


def _cases(word: str) -> tuple[str, ...]:
    """As it is, in lower case, with a capital, and in capitals."""
    return tuple(dict.fromkeys((word, word.lower(), _capital(word), word.upper())))


@cache
def _coloured(language: str) -> dict[str, tuple[str, ...]]:
    """Neutral word -> words with a colour that it stands for."""
    found: dict[str, tuple[str, ...]] = {}
    for coloured, neutral in NEUTRAL.get(language, {}).items():
        if " " not in neutral:
            found[neutral] = (*found.get(neutral, ()), coloured)
    return found


@cache
def _small(language: str) -> frozenset[str]:
    """What may stand between locked words: no fact, no negation."""
    found = (one for one in FUNCTION[language] if not facts_in(one))
    return frozenset(
        one[0].upper() + one[1:] if language == "en" and _FIRST_PERSON.fullmatch(one) else one for one in found
    )


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _quoted(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text).replace("\n", "\\n").replace("'", "['’]")
