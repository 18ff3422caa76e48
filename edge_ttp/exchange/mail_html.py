"""The visible text of an HTML mail, with what is quoted marked by `>`.

The page is read as a stream of tags and texts (justhtml, in linear time); no tree is built, nesting counts up to a
limit, and what is hidden or a signature is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MAX_DEPTH = 200
"""Elements inside one another that are kept apart; deeper ones count as their ancestor."""
MAX_QUOTES = 8
"""Deepest mark."""

_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_HIDDEN = frozenset(("script", "style", "head", "title", "template", "noscript", "object", "svg", "math", "select"))
_BLOCKS = frozenset(
    ("p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dl", "dt", "dd", "blockquote",
     "pre", "section", "article", "header", "footer", "center", "form", "address", "tbody", "body", "html")
)  # fmt: skip
_APART = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre"))
"""Blocks with a blank line around them."""
_SIBLINGS = frozenset(("p", "li", "tr", "td", "th", "dt", "dd", "option"))
"""Elements that end where the next of them begins."""

_QUOTES = ("gmail_quote", "yahoo_quoted", "protonmail_quote", "tutanota_quote", "zmail_extra", "moz-forward-container")
_SIGNATURES = (
    "gmail_signature",
    "moz-signature",
    "ms-outlook-mobile-signature",
    "protonmail_signature",
    "yahoo-signature",
)
_RESTS = ("divrplyfwdmsg", "appendonsend", "outlookmessageheader", "stopspelling")
"""Ids and classes that Outlook gives to what stands above the mail that was answered."""
_RULED = re.compile(r"border:none;border-top:solid", re.IGNORECASE)


def text_of_html(html: str, limit: int = 2**20) -> str:
    """The visible text of a page, at most `limit` characters. What is quoted is marked with `>`."""
    # Imported here because most mails have a plain text.
    from justhtml import stream

    page = _Page(limit)
    for event, data in stream(html):
        if event == "start":
            page.begin(*data)
        elif event == "end":
            page.end(str(data))
        elif event == "text":
            page.text(str(data))
        if page.full:
            break
    page.flush()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(page.lines)).strip()


class _Element:
    __slots__ = ("blank", "hidden", "level", "pre", "tag", "waits")

    def __init__(self, tag: str, level: int, hidden: bool, pre: bool) -> None:
        self.tag, self.level, self.hidden, self.pre = tag, level, hidden, pre
        self.waits = False
        """A quotation in which no blockquote was seen yet: what stands above it introduces it."""
        self.blank = False


class _Page:
    def __init__(self, limit: int) -> None:
        self.lines: list[str] = []
        self._stack: list[_Element] = [_Element("", 0, False, False)]
        self._beyond = 0
        """Open elements below the deepest one that is kept apart."""
        self._line: list[str] = []
        self._level = 0
        self._pre = False
        self._spacer = False
        """Whether the line holds a space that has to be seen: alone, it stands for an empty line."""
        self._rest = 0
        """1 below the header of the mail that was answered, which is quoted to its end."""
        self._left = limit

    @property
    def full(self) -> bool:
        return self._left <= 0

    def begin(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        if tag == "br":
            self.flush(keep=True)
            return
        if tag in _VOID:
            if tag == "hr":
                self.flush()
            return
        if tag in _SIBLINGS and self._stack[-1].tag == tag:
            self._close()
        if tag in _BLOCKS:
            self.flush()
        if len(self._stack) > MAX_DEPTH:
            self._beyond += 1
            return
        above = self._stack[-1]
        names = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"[:500].lower()
        style = (attributes.get("style") or "")[:500].replace(" ", "").lower()
        hidden = above.hidden or tag in _HIDDEN or "display:none" in style or any(one in names for one in _SIGNATURES)
        element = _Element(tag, above.level, hidden, above.pre or tag == "pre")
        if any(one in names for one in _RESTS) or _RULED.search(style):
            self._rest = 1
        indented = "border:none" in style and not attributes.get("type")  # by a button of the editor, not a quotation
        if tag == "blockquote" and not indented and not _introduced(above, self._stack):
            element.level = min(above.level + 1, MAX_QUOTES)
        elif any(one in names for one in _QUOTES) and not any(one.waits for one in self._stack[-20:]):
            element.level, element.waits = min(above.level + 1, MAX_QUOTES), True
        element.blank = tag in _APART and "msonormal" not in names and "margin:0" not in style
        if element.blank:
            self._blank()
        self._stack.append(element)

    def end(self, tag: str) -> None:
        if self._beyond:
            self._beyond -= 1
            return
        for back in range(1, min(len(self._stack), 30)):
            if self._stack[-back].tag == tag:
                for _ in range(back):
                    self._close()
                return

    def text(self, text: str) -> None:
        element = self._stack[-1]
        if element.hidden:
            return
        level, self._pre = max(element.level, self._rest), element.pre
        if level != self._level:
            self.flush()
            self._level = level
        if element.pre:
            first, *others = text.split("\n")
            self._line.append(first)
            for other in others:
                self.flush(keep=True)
                self._level = level
                self._line.append(other)
        else:
            self._line.append(_SPACE.sub(" ", text))
        self._spacer = self._spacer or "\u00a0" in text
        self._left -= len(text)

    def flush(self, *, keep: bool = False) -> None:
        """Ends the line; an empty one counts only where it was asked for (`keep`)."""
        text = "".join(self._line)
        text = text.rstrip() if self._pre else text.strip()
        self._line = []
        keep, self._spacer = keep or self._spacer, False
        if text or keep:
            self.lines.append(f"{'>' * self._level} {text}" if self._level else text)
            self._left -= 1

    def _blank(self) -> None:
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def _close(self) -> None:
        element = self._stack.pop()
        if element.tag in _BLOCKS:
            self.flush()
        if element.blank:
            self._blank()
        if element.tag == "blockquote":
            for one in self._stack[-20:]:
                if one.waits:  # what follows stands between quotations, or below them
                    one.waits, one.level = False, one.level - 1


def _introduced(above: _Element, stack: list[_Element]) -> bool:
    """Whether a blockquote is the one that a quotation's introduction leads to, and quotes no deeper than it."""
    return above.level > 0 and any(one.waits for one in stack[-20:])
