"""What a person wrote in a mail, apart from what they quoted, their signature and what programs added.

Every step reads each line a bounded number of times and of each line a bounded part, so that a hostile text takes no
longer than another. The reply parsers on PyPI were compared on the same mails (docs/measured/importing.md): each of
them misses some that are common, and takes too long on a text that is made for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_ttp.exchange.mail_words import (
    BEGINS,
    CLOSINGS,
    CONFIDENTIAL,
    DEVICE,
    HEADERS,
    ORIGINAL,
    WROTE,
)
from edge_ttp.exchange.text import plain

MAX_LINES = 10_000
"""Lines of a mail that are read: what a person wrote stands in the first of them."""

_LOOK = 500
"""Characters of a line that are looked at."""
_WRAPPED = 4
"""Lines that one attribution may be broken into."""
_BLOCK = 10
"""Lines that a header block may begin with."""

_MARKS = re.compile(r"^[ \t]*(?:>[ \t]?)+")
_MARK = re.compile(r"^[ \t]*>[ \t]?")
_WROTE = re.compile("|".join(re.escape(word) for word in WROTE), re.IGNORECASE)
_BEGINS = re.compile(r"(?:" + "|".join(re.escape(word) for word in BEGINS) + r")\b|[0-9]|\d", re.IGNORECASE)
_TIME = re.compile(r"\d{1,2}\s?[:.h時时시]\s?\d{2}|\b(?:19|20)\d{2}\b|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
_CLOCK = re.compile(r"\d{1,2}\s?[:.h時时시]\s?\d{2}")
_MAILBOX = re.compile(r"<[^<>\s]{1,200}@[^<>\s]{1,200}>")
_DAY = re.compile(r"\b(?:19|20)\d{2}\b|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
_DIRECTIONS = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
"""Marks of writing direction, which programs put around names."""
_ADDRESS = re.compile(r"<[^<>\s]{1,200}@[^<>\s]{1,200}>\)?\s*[:：]$")
_ORIGINAL = re.compile(
    r"^[ \t]*(?:[-_–—]{2,}\s*(?:" + "|".join(map(re.escape, ORIGINAL)) + r")\s*[-_–—]{2,}"
    r"|(?:Begin forwarded message|Anfang der weitergeleiteten \S+|Début du message \S+|Inicio del mensaje reenviado|"
    r"Inizio messaggio inoltrato|Begin doorgestuurd bericht)\s?[:：])[ \t]*$",
    re.IGNORECASE,
)
_RULE = re.compile(r"^[ \t]*[_]{10,}[ \t]*$|^[ \t]*-{20,}[ \t]*$")
_LIST = re.compile(r"mailing list|unsubscribe|listinfo|abmelden|you received this|google groups", re.IGNORECASE)
_SIGNATURE = re.compile(r"^--[ \u00a0]?$")
_DEVICE = re.compile(r"^\s*(?:" + "|".join(DEVICE) + ")", re.IGNORECASE)
_CONTACT = re.compile(
    r"https?://|www\.|@|\+?\d[\d ()/.-]{6,40}\d|\s[|•·]\s|^\s*(?:tel|phone|mobile?|fax|web|e-?mail|skype)\b\s*[.:]",
    re.IGNORECASE,
)
_PHONE = re.compile(r"\+?\d[\d ()/.-]{6,40}\d")
_LABEL = re.compile(r"^[ \t]*(?:>[ \t]?)*\*{0,2}([^:：*<>]{1,30}?)[ \t]?\*{0,2}[ \t]?(?::\*{0,2}(?:[ \t]|$)|：)")


def _labels() -> dict[str, list[tuple[int, int]]]:
    """Label in lower case -> (language, column of HEADERS), in all languages that have it."""
    found: dict[str, list[tuple[int, int]]] = {}
    for language, row in enumerate(HEADERS):
        for column, labels in enumerate(row):
            for label in labels.replace("\\", "").split("|"):
                found.setdefault(label.lower(), []).append((language, column))
    return found


_KNOWN = _labels()


def written_and_quoted(body: str) -> tuple[str, str]:
    """(what the sender wrote, the mail that they answered), without signatures and marks; either may be empty.

    Quoted are lines with `>`, and everything below an attribution (`On ... wrote:`), a separator (`Original Message`)
    or a block of headers (`From: ... Sent: ...`), each in the languages of mail programs.
    """
    own, quoted = _split(plain(body).split("\n", MAX_LINES)[:MAX_LINES])
    answered = [_MARK.sub("", line) for line in quoted]
    if answered:
        inner, older = _split(_without_top(answered))
        answered = inner if any(line.strip() for line in inner) else [_MARKS.sub("", line) for line in older]
    return _joined(own), _joined(answered)


def _joined(lines: Sequence[str]) -> str:
    """The lines as a text; where something was taken out, one blank line stays."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join("" if line.isspace() else line for line in lines)).strip()


def _split(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """(lines of the sender's own, lines that they quoted, marks and all)."""
    attributions = _attributions(lines)
    first = min(attributions, default=len(lines))
    own: list[str] = []
    quoted: list[str] = []
    below = 0  # own lines above the last quotation
    at = 0
    while at < len(lines):
        line = lines[at][:_LOOK]
        if _SIGNATURE.match(line):
            quoted += [each for each in lines[at:] if _is_marked(each)]
            break
        if _ORIGINAL.match(line) or _is_headers(lines, at):
            quoted += lines[at:]
            below = len(own)
            break
        if _RULE.match(line):
            following = _next(lines, at + 1)
            if following < len(lines) and (_is_headers(lines, following) or _ORIGINAL.match(lines[following][:_LOOK])):
                quoted += lines[following:]
                below = len(own)
                break
            if any(_LIST.search(each[:_LOOK]) for each in lines[at + 1 : at + 6]):
                break
        if at in attributions:
            end = attributions[at]
            following = _next(lines, end)
            if not (following < len(lines) and _is_marked(lines[following])):
                quoted += lines[at:]
                below = len(own)
                break
            at, below = end, len(own)  # answers may stand between marked lines
            continue
        if _is_marked(line) and not (at < first < len(lines) and _introduces(own)):
            quoted.append(lines[at])
            below = len(own)
        else:
            own.append(lines[at])
        at += 1
    if below and all(_is_contact(each) for each in own[below:] if each.strip()):
        del own[below:]  # what programs or a signature leave below a quotation
    return _without_end(own), quoted


def _is_contact(line: str) -> bool:
    """Whether it is a line of a signature; an address of a page alone may be what the sender wants to say."""
    return _CONTACT.search(line[:_LOOK]) is not None and not line.lstrip().startswith("http")


def _is_marked(line: str) -> bool:
    return line[:_LOOK].lstrip().startswith(">")


def _introduces(own: Sequence[str]) -> bool:
    """Whether the sender's last line announces a quotation of their own."""
    last = next((line.rstrip() for line in reversed(own[-4:]) if line.strip()), "")
    return last.endswith((":", "：")) or _is_marked(last)


def _next(lines: Sequence[str], at: int) -> int:
    """The first line from `at` on that is not blank, looking a few lines ahead."""
    for number in range(at, min(at + 4, len(lines))):
        if lines[number].strip():
            return number
    return len(lines)


def _attributions(lines: Sequence[str]) -> dict[int, int]:
    """First line -> the line after the last, for each attribution: `On Monday at 9:12, Ann <a@b> wrote:`."""
    ends: dict[int, int] = {}
    for last, line in enumerate(lines):
        text = _MARKS.sub("", line[:_LOOK]).rstrip() if line.strip() not in (">:", "> :") else ">:"
        text = text.translate(_DIRECTIONS) if not text.isascii() else text
        if text.startswith("---") and text.endswith("---") and _WROTE.search(text) and _TIME.search(text):
            ends[last] = last + 1
            continue
        if not text.endswith((":", "：")) or len(line) > _LOOK:
            continue
        following = _next(lines, last + 1)
        quote_follows = following < len(lines) and _is_marked(lines[following]) and not _is_marked(line)
        begin = _begin(lines, last, text, quote_follows)
        if begin is not None:
            ends[begin] = last + 1
    return ends


def _begin(lines: Sequence[str], last: int, text: str, quote_follows: bool) -> int | None:
    """The first line of the attribution whose last line is `last`; None if that ends none."""
    joined, weak = text, None
    for first in range(last, max(-1, last - _WRAPPED), -1):
        if first < last:
            above = _MARKS.sub("", lines[first][:_LOOK]).translate(_DIRECTIONS).strip()
            if not above or len(joined) + len(above) > _LOOK:
                break
            joined = f"{above} {joined}"
        wrote = _WROTE.search(joined) is not None
        if _BEGINS.match(joined) and (wrote or _ADDRESS.search(joined)):
            if _TIME.search(joined) and ("@" in joined or _CLOCK.search(joined) or quote_follows):
                return first
            if quote_follows and wrote and weak is None:
                weak = first
    if weak is not None:
        return weak
    wrote = _WROTE.search(text) is not None
    if len(text) < 300 and _CLOCK.search(text) and (_MAILBOX.search(text) or (quote_follows and _DAY.search(text))):
        return last  # who and when, in whatever language
    dated = _TIME.search(text) is not None and ("@" in text or (_CLOCK.search(text) and _DAY.search(text)))
    if wrote and len(text) < 200 and (dated or quote_follows or _named(text)):
        return last
    return None


def _named(text: str) -> bool:
    """Whether it is `Name <address> wrote:` and no more."""
    return "<" in text[:80] and "@" in text and len(text) < 160 and not text[:1].islower()


def _is_headers(lines: Sequence[str], at: int) -> bool:
    """Whether a block of mail headers begins here: who, when, and to whom or about what, in one language.

    Some programs say when before they say who.
    """
    languages = {language for language, column in _label(lines[at]) if column == 0}
    if not languages and at + 1 < len(lines):
        when = {language for language, column in _label(lines[at]) if column == 1}
        languages = when & {language for language, column in _label(lines[at + 1]) if column == 0}
    if not languages:
        return False
    seen: dict[int, set[int]] = {language: {0} for language in languages}
    for line in lines[at : at + _BLOCK]:
        for language, column in _label(line):
            if language in seen:
                seen[language].add(column)
    return any({1, 2} <= columns or {1, 3} <= columns or {2, 3} <= columns for columns in seen.values())


def _label(line: str) -> list[tuple[int, int]]:
    match = _LABEL.match(line[:100])
    return [] if match is None else _KNOWN.get(match[1].strip().lower(), [])


def _without_top(lines: list[str]) -> list[str]:
    """A quoted mail without the attribution, separator or headers that stand above it."""
    at = _next(lines, 0)
    attributions = _attributions(lines[: _BLOCK + 4])
    if at in attributions:
        return lines[attributions[at] :]
    if at < len(lines) and _ORIGINAL.match(lines[at][:_LOOK]):
        at = _next(lines, at + 1)
        if at in attributions:  # of Proton, below its line of dashes
            return lines[attributions[at] :]
    following = _next(lines, at + 1)
    if following < len(lines) and _TIME.search(lines[at][:_LOOK]) and _is_headers(lines, following):
        at = following  # `Message du 03/03/25 09:12` above the headers
    if at < len(lines) and _is_headers(lines, at):
        end = at
        for number in range(at, min(at + _BLOCK, len(lines))):
            if not lines[number].strip() and number > at + 1:
                break
            if _LABEL.match(lines[number][:100]):
                end = number + 1
        return lines[end:]
    return lines[at:]


def _without_end(lines: list[str]) -> list[str]:
    """The lines without what telephones, signatures and law departments add below."""
    lines = list(lines)
    _drop_blank(lines)
    while lines and (_DEVICE.match(lines[-1][:120]) and len(lines[-1]) < 120):
        lines.pop()
        _drop_blank(lines)
    closing = next(
        (at for at in range(len(lines) - 1, max(-1, len(lines) - 15), -1) if _closes(lines[at])),
        None,
    )
    if closing is not None:
        name = _next(lines, closing + 1)
        rest = _next(lines, name + 1)
        if rest < len(lines) and _is_footer(lines[rest]):
            del lines[rest:]
    begin = _last_paragraph(lines)
    if begin and any(CONFIDENTIAL.search(line[:_LOOK]) for line in lines[begin:]) and len("".join(lines[begin:])) > 40:
        del lines[begin:]
    begin = _last_paragraph(lines)
    if begin and _is_card(lines[begin:]):
        del lines[begin:]
    _drop_blank(lines)
    return lines


def _is_card(lines: Sequence[str]) -> bool:
    """Whether a paragraph is a name with telephone numbers and addresses below it, and no sentence."""
    short = [line[:_LOOK].strip() for line in lines]
    contacts = sum(_CONTACT.search(line) is not None for line in short)
    has_number = any(_PHONE.search(line) for line in short)
    return (
        contacts >= 2 and has_number and len(short) <= 10 and not any(line.endswith((".", "!", "?")) for line in short)
    )


def _closes(line: str) -> bool:
    return line.strip(" \t,.!~-")[:40].lower() in CLOSINGS


def _is_footer(line: str) -> bool:
    return bool(_CONTACT.search(line[:_LOOK]) or CONFIDENTIAL.search(line[:_LOOK])) and not line.lower().startswith("p")


def _last_paragraph(lines: Sequence[str]) -> int:
    """Where the last paragraph begins, if it is one of the last 30 lines; else 0."""
    for at in range(len(lines) - 1, max(0, len(lines) - 30), -1):
        if not lines[at].strip():
            return at + 1
    return 0


def _drop_blank(lines: list[str]) -> None:
    while lines and not lines[-1].strip():
        lines.pop()
