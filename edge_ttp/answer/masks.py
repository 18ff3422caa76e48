"""Facts hidden behind marks while a text is said again, and put back afterwards: nothing can change them meanwhile."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_ttp.answer.facts import facts_in

_LETTERS = "FKQXZ"
_BETWEEN = re.compile(r"[ ,./:–-]{0,2}")


@dataclass(frozen=True)
class Masked:
    """A text with marks for its facts."""

    text: str
    letter: str
    originals: tuple[str, ...]
    """What stands behind `[F1]`, `[F2]` ..."""

    def restored(self, candidate: str) -> str | None:
        """The candidate with the facts in their places; None where a mark is lost, or there is one that never was.

        A mark is known however its brackets came out. A fact said twice is no harm.
        """
        seen = {int(match[1]) for match in _marks(self.letter).finditer(candidate)}
        return self.put_back(candidate) if seen == set(range(1, len(self.originals) + 1)) else None

    def put_back(self, candidate: str) -> str:
        """The candidate with the facts in the places of their marks, whether or not all are there."""

        def original(match: re.Match[str]) -> str:
            number = int(match[1])
            return self.originals[number - 1] if 1 <= number <= len(self.originals) else ""

        return _marks(self.letter).sub(original, candidate)


def masked(text: str) -> Masked:
    """`text` with a mark for every fact but negations; facts side by side share one, and so does one said twice."""
    letter = next((one for one in _LETTERS if not _marks(one).search(text)), _LETTERS[-1])
    spans: list[tuple[int, int]] = []
    for fact in facts_in(text):
        if fact.kind == "negation":
            continue
        if spans and fact.start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], fact.end))
        elif spans and _BETWEEN.fullmatch(text[spans[-1][1] : fact.start]):
            spans[-1] = (spans[-1][0], fact.end)
        else:
            spans.append((fact.start, fact.end))
    originals: list[str] = []
    parts, at = [], 0
    for start, end in spans:
        shown = text[start:end]
        if shown not in originals:
            originals.append(shown)
        parts += [text[at:start], f"[{letter}{originals.index(shown) + 1}]"]
        at = end
    return Masked("".join((*parts, text[at:])), letter, tuple(originals))


def _marks(letter: str) -> re.Pattern[str]:
    return re.compile(rf"(?:[\[(<{{⟦【]\s?)?\b{letter}\s?_?(\d{{1,3}})\b(?:\s?[\])>}}⟧】])?")
