"""Porter's stemmer, as NLTK extends it: the stems that rouge-score computes, without importing NLTK (0.3 s).

Source: M. F. Porter, "An algorithm for suffix stripping", Program 14.3 (1980), with the deviations of NLTK's default
mode (nltk/stem/porter.py, Apache-2.0). A test compares the two on a large vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

_IRREGULAR = {
    "sky": "sky", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news", "innings": "inning",
    "inning": "inning", "outings": "outing", "outing": "outing", "cannings": "canning", "canning": "canning",
    "howe": "howe", "proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}  # fmt: skip

_Rule = tuple[str, str, Callable[[str], bool] | None]


def stem(word: str) -> str:
    """The stem of one lower-case word. Words of one or two letters come back as they are."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _plural(word)
    word = _past_and_gerund(word)
    if word.endswith("y") and len(word) > 2 and _consonants(word[:-1])[-1]:
        word = word[:-1] + "i"
    word = _double_suffix(word)
    word = _first_match(word, _STEP_3)
    word = _first_match(word, _STEP_4)
    return _final_e_and_l(word)


def _consonants(word: str) -> list[bool]:
    """Per letter, whether it is a consonant; y is one at the start and after a vowel."""
    flags: list[bool] = []
    for letter in word:
        if letter == "y":
            flags.append(not flags[-1] if flags else True)
        else:
            flags.append(letter not in "aeiou")
    return flags


def _measure(word: str) -> int:
    """Porter's m: how many times a vowel run is followed by a consonant run."""
    flags = _consonants(word)
    return sum(1 for before, after in pairwise(flags) if after and not before)


def _positive(word: str) -> bool:
    return _measure(word) > 0


def _above_one(word: str) -> bool:
    return _measure(word) > 1


def _ends_short(word: str) -> bool:
    """Porter's *o (consonant, vowel, consonant other than w, x, y), or a two-letter vowel-consonant word."""
    flags = _consonants(word)
    if len(word) == 2:
        return flags == [False, True]
    return flags[-3:] == [True, False, True] and word[-1] not in "wxy"


def _first_match(word: str, rules: Sequence[_Rule]) -> str:
    """The word after the first rule whose suffix it has; unchanged where that rule's condition fails."""
    for suffix, replacement, condition in rules:
        if word.endswith(suffix):
            base = word[: len(word) - len(suffix)]
            return base + replacement if condition is None or condition(base) else word
    return word


def _plural(word: str) -> str:
    if word.endswith("ies") and len(word) == 4:
        return word[:-1]
    return _first_match(word, (("sses", "ss", None), ("ies", "i", None), ("ss", "ss", None), ("s", "", None)))


def _past_and_gerund(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _positive(word[:-3]) else word
    for suffix in ("ed", "ing"):
        base = word[: len(word) - len(suffix)]
        if word.endswith(suffix) and not all(_consonants(base)):
            return _repair(base)
    return word


def _repair(base: str) -> str:
    """What is left of a word without -ed or -ing, as a word again: conflat(e), hop(p), fil(e)."""
    if base.endswith(("at", "bl", "iz")):
        return base + "e"
    if len(base) >= 2 and base[-1] == base[-2] and _consonants(base)[-1]:
        return base if base[-1] in "lsz" else base[:-1]
    return base + "e" if _measure(base) == 1 and _ends_short(base) else base


def _double_suffix(word: str) -> str:
    if word.endswith("alli") and _positive(word[:-4]):
        return _double_suffix(word[:-2])
    if word.endswith("logi") and not word.endswith(_STEP_2_SUFFIXES):
        return word[:-1] if _positive(word[:-3]) else word
    return _first_match(word, _STEP_2)


def _final_e_and_l(word: str) -> str:
    if word.endswith("e"):
        measure = _measure(word[:-1])
        if measure > 1 or (measure == 1 and not _ends_short(word[:-1])):
            word = word[:-1]
    return word[:-1] if word.endswith("ll") and _above_one(word[:-1]) else word


def _table(pairs: str, condition: Callable[[str], bool]) -> tuple[_Rule, ...]:
    """Rules from `suffix:replacement` words."""
    return tuple((*pair.split(":"), condition) for pair in pairs.split())  # type: ignore[misc]


_STEP_2 = _table(
    "ational:ate tional:tion enci:ence anci:ance izer:ize bli:ble alli:al entli:ent eli:e ousli:ous ization:ize "
    "ation:ate ator:ate alism:al iveness:ive fulness:ful ousness:ous aliti:al iviti:ive biliti:ble fulli:ful",
    _positive,
)
_STEP_2_SUFFIXES = tuple(rule[0] for rule in _STEP_2)
_STEP_3 = _table("icate:ic ative: alize:al iciti:ic ical:ic ful: ness:", _positive)
_STEP_4 = (
    *_table("al: ance: ence: er: ic: able: ible: ant: ement: ment: ent:", _above_one),
    ("ion", "", lambda base: _above_one(base) and base[-1] in "st"),
    *_table("ou: ism: ate: iti: ous: ive: ize:", _above_one),
)
