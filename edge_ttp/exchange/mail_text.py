"""What a person wrote in a mail: its text without what was quoted, without the signature, without markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_INTRODUCTION = re.compile(
    r"^\s*(?:>*\s*)?(?:On\b.{0,200}\bwrote|Am\b.{0,200}\bschrieb\b.{0,80}|Le\b.{0,200}\ba écrit|"
    r"El\b.{0,200}\bescribió|Il\b.{0,200}\bha scritto|Op\b.{0,200}\bschreef\b.{0,80})\s*:\s*$",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(
    r"^\s*(?:-{2,}\s*(?:Original Message|Ursprüngliche Nachricht|Forwarded message|Message d'origine)\s*-{2,}"
    r"|_{20,})\s*$",
    re.IGNORECASE,
)
_HEADERS = re.compile(r"^\s*\*?(?:From|Von|De|Da)\*?:\s.+$", re.IGNORECASE)
_SENT = re.compile(r"^\s*\*?(?:Sent|Date|Gesendet|Datum|Envoyé|Enviado)\*?:\s.+$", re.IGNORECASE)
_SIGNATURE = re.compile(r"^-- ?$")
_DEVICE = re.compile(r"^\s*(?:Sent from my|Von meinem|Get Outlook for|Envoyé de mon)\b.{0,60}$", re.IGNORECASE)
_MAX_LINE = 10_000
"""Longest line in which introductions are looked for."""


def written_and_quoted(body: str) -> tuple[str, str]:
    """(what the sender wrote, what they quoted), both without signature and `>` marks; either may be empty.

    Quoted are lines with `>`, and everything below an introduction (`On ... wrote:`), a separator (`Original Message`)
    or a block of headers.
    """
    lines = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    own: list[str] = []
    quoted: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if _SIGNATURE.match(line):
            quoted += [each for each in lines[at:] if each.lstrip().startswith(">")]
            break
        length = _introduction(lines, at)
        if length:
            below = [each for each in lines[at + length : at + length + 3] if each.strip()]
            if not (below and below[0].lstrip().startswith(">")):
                quoted += lines[at + length :]
                break
            at += length  # answers may stand between marked lines
            continue
        (quoted if line.lstrip().startswith(">") else own).append(line)
        at += 1
    while own and (not own[-1].strip() or _DEVICE.match(own[-1][:_MAX_LINE])):
        own.pop()
    return "\n".join(own).strip(), _unmarked(quoted)


def _introduction(lines: list[str], at: int) -> int:
    """How many lines from `at` on introduce a quotation: 0 if none does. Long introductions are broken in two."""
    line, following = lines[at][:_MAX_LINE], lines[at + 1][:_MAX_LINE] if at + 1 < len(lines) else ""
    if _INTRODUCTION.match(line) or _SEPARATOR.match(line):
        return 1
    if _HEADERS.match(line) and _SENT.match(following):
        return 1
    return 2 if line.strip() and following.strip() and _INTRODUCTION.match(f"{line} {following}") else 0


def _unmarked(lines: list[str]) -> str:
    bare = [re.sub(r"^\s*(?:>\s?)+", "", line) for line in lines]
    kept = [line for line in bare if not _INTRODUCTION.match(line[:_MAX_LINE])]
    return "\n".join(kept).strip()


class _Text(HTMLParser):
    """Collects the visible text of a page; block elements begin new lines."""

    _HIDDEN = frozenset(("script", "style", "head", "title", "template", "noscript"))
    _BLOCKS = frozenset(("p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "hr"))

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0
        self._quotes = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in self._HIDDEN:
            self._hidden += 1
        elif tag == "blockquote":
            self._quotes += 1
            self.parts.append("\n" + "> " * self._quotes)
        elif tag in self._BLOCKS:
            self.parts.append("\n" + "> " * self._quotes)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag == "blockquote":
            self._quotes = max(0, self._quotes - 1)
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(re.sub(r"\s+", " ", data))


def text_of_html(html: str) -> str:
    """The visible text of a page. What stands in a blockquote is marked with `>`."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = [line.strip() for line in "".join(parser.parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
