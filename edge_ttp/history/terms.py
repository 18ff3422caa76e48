"""Words of a text as the index sees them: folded to lower case without accents, English plurals cut, bigrams for CJK.

Words are found here and not by an FTS5 tokenizer, so that what was indexed can be found again whatever Unicode tables
the SQLite at hand was built with. The index itself only splits at spaces.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

MAX_WORD = 64
"""Longer words (keys, base64) are indexed by their first 64 characters."""

# Combining marks are not word characters for `re`; without these blocks, Hindi or decomposed accents would fall apart.
_MARKS = "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
# Scripts written without spaces between words.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_FIRST_KEPT_MARK = "\u0900"
"""Accents and points below are dropped; vowel signs and the like above are letters of their scripts."""
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_WORD = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|(?:[^\W_{_UNSPACED}]|[{_MARKS}])+")


def words(text: str) -> list[str]:
    """The index terms of `text`, in order, repeats included. Holds no space, no underscore and no upper case."""
    if text.isascii():
        return [singular(word)[:MAX_WORD] for word in _ASCII_WORD.findall(text.lower())]
    return [word for word, _, _ in words_at(text)]


def words_at(text: str) -> Iterator[tuple[str, int, int]]:
    """Yields (index term, start, end) for every word, the positions counting characters of `text`."""
    for match in _WORD.finditer(text):
        start, end = match.span()
        folded = _fold(match[0])
        if match["unspaced"] and len(folded) > 1:
            # Two characters at a time, overlapping, as Lucene's CJKBigramFilter does.
            for at in range(len(folded) - 1):
                # Folding may lengthen a word (Thai sara am becomes two characters): the last place stands for the rest.
                first = min(start + at, end - 1)
                yield folded[at : at + 2], first, min(first + 2, end)
        elif folded:
            yield singular(folded)[:MAX_WORD], start, end


def singular(word: str) -> str:
    """`word` without an English plural ending: the S stemmer of Harman 1991, "How effective is suffixing?", table 1."""
    if len(word) < 4 or not word.endswith("s") or not word.isascii():
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith("es") and not word.endswith(("aes", "ees", "oes")):
        return word[:-1]
    return word if word.endswith(("us", "ss")) else word[:-1]


def _fold(word: str) -> str:
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word).casefold()
    bare = "".join(c for c in decomposed if c >= _FIRST_KEPT_MARK or not unicodedata.combining(c))
    # What NFKD makes of a single sign can hold a space or a control character; FTS5 would split there.
    return "".join(c for c in unicodedata.normalize("NFC", bare) if c.isprintable() and c not in ' _"')
