"""Bytes of unknown encoding as text, and text without what editors leave in it."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 262_144
"""Bytes that an encoding is guessed from."""

_WESTERN = frozenset("àâäáãåæçéèêëíìîïñóòôöõøœúùûüßÀÂÄÁÃÅÆÇÉÈÊËÍÌÎÑÓÒÔÖÕØŒÚÙÛÜ€£§°«»„“”‚‘’–—…·•¿¡´\u00a0²³½ªº×®©™")

_UNLIKELY = ["cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"]
_UNLIKELY += ["mac_cyrillic", "mac_greek", "mac_turkish", "utf_7"]
_UNLIKELY += ["utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le"]
"""Encodings of mainframes, of old Macs where Windows has one for the same letters, and those that come with a mark."""

# Codecs of Python that are no encodings of files: quadratic, or they interpret what they read.
_NEVER = frozenset(("punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"))


@dataclass(frozen=True)
class Decoded:
    """A text and what it was decoded by."""

    text: str
    encoding: str
    guessed: bool
    """Nothing said so: it was told by the bytes."""


def decoded(data: bytes, declared: str | None = None) -> Decoded:
    """`data` as text: by its byte order mark, as `declared`, as UTF-8, else by the likeliest encoding.

    What cannot be decoded becomes U+FFFD. The mark is left out.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return Decoded(data.decode(encoding, errors="replace").removeprefix("\ufeff"), encoding, False)
    for name in (known_encoding(declared), "utf-8"):
        if name is not None:
            try:
                return Decoded(data.decode(name), name, False)
            except (UnicodeError, ValueError):
                pass
    guess = likely_encoding(data[:_SAMPLE])
    return Decoded(data.decode(guess, errors="replace"), guess, True)


def known_encoding(name: str | None) -> str | None:
    """The codec that an encoding's name means; None for a name that means none which files are written in."""
    if not name or len(name) > 40:
        return None
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError, UnicodeError):
        return None
    is_text = getattr(found, "_is_text_encoding", True)
    return found.name if is_text and found.name.replace("-", "_") not in _NEVER else None


def likely_encoding(data: bytes) -> str:
    """The likeliest encoding of bytes that are not UTF-8: cp1252 where it gives Western words, else as
    charset-normalizer says, which needs more bytes than a short text has to tell cp1252 from its cousins.
    """
    if _is_western(data):
        return "cp1252"
    # Imported here because most files are UTF-8.
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_exclusion=_UNLIKELY).best()
    if best is not None and _is_half_width(str(best)):
        # Nobody writes whole texts so; in KOI8 the same bytes are Cyrillic letters.
        return "koi8-r"
    return "cp1252" if best is None else str(best.encoding)


def _is_half_width(text: str) -> bool:
    """Whether most of what is not ASCII in a text are the narrow kana that old Japanese tills print."""
    foreign = [character for character in text if not character.isascii()]
    return sum("\uff61" <= one <= "\uff9f" for one in foreign) > len(foreign) / 2


def _is_western(data: bytes) -> bool:
    """Whether `data` as cp1252 has accents and signs of Western languages, in words of mostly plain letters."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    foreign = [character for character in text if not character.isascii()]
    letters = sum(character.isalpha() for character in text)
    accents = sum(character.isalpha() for character in foreign)
    return accents <= max(1, letters / 2) and sum(one in _WESTERN for one in foreign) >= 0.95 * len(foreign)


def plain(text: str) -> str:
    """`text` with Unix line ends, without a byte order mark and without NUL."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
