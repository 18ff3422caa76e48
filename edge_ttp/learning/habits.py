"""How somebody writes, in plain words: what their own texts have in common, each habit with a text that shows it.

Counted on the texts alone, without any model: it says what answers are made to look like, in words that the person can
check and contradict. Pure: texts in, small frozen dataclasses out.
"""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NEWEST = 500
"""Texts that are looked at, the newest."""
LEAST = 5
"""Texts below which nothing is said: three texts are no habit."""
MOSTLY = 0.6
"""Share of the texts from which on something is a habit."""
OFTEN = 0.2
"""The same for greetings and closings, of which a person has several."""

_LONGEST_EXAMPLE = 160
_LONGEST_GREETING = 40
_SENTENCE_END = re.compile(r"[.!?]+(?:\s|$)")


@dataclass(frozen=True)
class WritingHabit:
    """One thing that a person's texts have in common."""

    name: str
    """Which one: length, sentences, small_start, no_full_stop, exclamation, question, emoji, paragraphs, greeting,
    closing."""
    value: float
    """What was counted: words for `length` and `sentences`, else the share of the texts, 0 to 1."""
    words: str
    """In a sentence."""
    phrase: str
    """The greeting or closing itself; empty elsewhere."""
    example: str
    """A text of theirs that shows it, shortened."""


def habits(texts: Sequence[str]) -> list[WritingHabit]:
    """The habits of whoever wrote `texts` (newest first), the most telling first; empty below LEAST texts."""
    kept = [text.strip() for text in texts[:NEWEST] if text.strip()]
    if len(kept) < LEAST:
        return []
    found = [_length(kept), _sentences(kept)]
    for name, says, shows in _YES_OR_NO:
        showing = [text for text in kept if shows(text)]
        share = len(showing) / len(kept)
        if share >= MOSTLY:
            found.append(WritingHabit(name, share, says.format(share=_share(share)), "", _example(showing)))
    found += _phrases("greeting", kept, _greeting, "You often begin with “{phrase}” ({share}).")
    found += _phrases("closing", kept, _closing, "You often end with “{phrase}” ({share}).")
    return found


def _length(texts: Sequence[str]) -> WritingHabit:
    counts = [len(text.split()) for text in texts]
    middle = statistics.median(counts)
    nearest = min(texts, key=lambda text: abs(len(text.split()) - middle))
    words = f"Half of your texts have {middle:g} words or fewer."
    return WritingHabit("length", float(middle), words, "", _example([nearest]))


def _sentences(texts: Sequence[str]) -> WritingHabit:
    counts = [
        (len(sentence.split()), sentence)
        for text in texts
        for sentence in _SENTENCE_END.split(text)
        if sentence.strip()
    ] or [(0, "")]
    middle = statistics.median(count for count, _ in counts)
    nearest = min(counts, key=lambda one: abs(one[0] - middle))[1]
    return WritingHabit(
        "sentences", float(middle), f"Your usual sentence has {middle:g} words.", "", _example([nearest])
    )


def _small_start(text: str) -> bool:
    first = next((letter for letter in text if letter.isalpha()), "")
    return first.islower()


def _has_emoji(text: str) -> bool:
    return any(unicodedata.category(letter) == "So" for letter in text) or bool(re.search(r"[:;]-?[)(DP]", text))


_YES_OR_NO: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("small_start", "You begin in small letters ({share}).", _small_start),
    ("no_full_stop", "You end without a full stop ({share}).", lambda text: text[-1] not in ".!?…"),
    ("exclamation", "You use exclamation marks ({share}).", lambda text: "!" in text),
    ("question", "You ask something in most texts ({share}).", lambda text: "?" in text),
    ("emoji", "You use emoji or smileys ({share}).", _has_emoji),
    ("paragraphs", "You write in several lines ({share}).", lambda text: "\n" in text),
)


def _phrases(name: str, texts: Sequence[str], of: Callable[[str], str], says: str) -> list[WritingHabit]:
    said = [(of(text), text) for text in texts]
    counts = Counter(phrase.casefold() for phrase, _ in said if phrase)
    found = []
    for folded, count in counts.most_common(2):
        share = count / len(texts)
        if share < OFTEN:
            break
        showing = [(phrase, text) for phrase, text in said if phrase.casefold() == folded]
        phrase = Counter(one for one, _ in showing).most_common(1)[0][0]
        words = says.format(phrase=phrase, share=_share(share))
        found.append(WritingHabit(name, share, words, phrase, _example([text for _, text in showing])))
    return found


def _greeting(text: str) -> str:
    """The first line of several, or what stands before the first comma or exclamation mark, where it is short."""
    line, _, rest = text.partition("\n")
    begin = line if rest.strip() else re.split(r"[,!]", line, maxsplit=1)[0] if re.search(r"[,!]", line) else ""
    # Names change from mail to mail: the word before them is what is usual.
    word = begin.strip(" ,!.").split(" ")[0]
    return word if word.isalpha() and len(begin) <= _LONGEST_GREETING else ""


def _closing(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if len(lines) > 1 else ""
    return last if len(last) <= _LONGEST_GREETING else ""


def _share(share: float) -> str:
    return f"{share:.0%} of your texts"


def _example(texts: Sequence[str]) -> str:
    """The shortest of the newest few, in one line: it is read beside the words that it shows."""
    chosen = " ".join(min(texts[:20], key=len).split())
    return chosen if len(chosen) <= _LONGEST_EXAMPLE else chosen[: _LONGEST_EXAMPLE - 1].rstrip() + "…"
