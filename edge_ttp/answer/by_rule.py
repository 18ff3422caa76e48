"""What is made of a text without drawing: the lock that drawing follows, and the versions that are not drawn.

One version is merged of those that were drawn (answer/merging.py), one edited by rule (answer/surface.py). Notes get
their small words back in both (answer/restoring.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from edge_ttp import schema
from edge_ttp.answer.facts import compared
from edge_ttp.answer.merging import Expected, merged
from edge_ttp.answer.restoring import expected_of
from edge_ttp.answer.select import Choice
from edge_ttp.answer.small_words import language_of
from edge_ttp.answer.surface import Habits, edited, edited_words
from edge_ttp.answer.word_lock import Locked, lock, locked_words
from edge_ttp.policy.json_grammar import MadeGrammar

_HABIT = 0.2
"""Share of a user's texts from which an opening or closing line may be drawn."""
_HOW = {
    "drawn": "",
    "merged": "made of what most versions have and of what is usual there",
    "edited": "the text edited by rule, not drawn",
}


@dataclass(frozen=True)
class ByRule:
    """What can be made of one text of one user by rule."""

    given: str
    said: tuple[str, ...]
    """The user's own texts, the newest first."""
    habits: Habits | None
    own: frozenset[str]
    """Keys of names that may be added (facts.signatures)."""
    notes: bool
    """Whether the text is said to be notes."""

    def versions(self, drawn: Sequence[schema.Candidate], *, locked: bool) -> list[schema.Candidate]:
        """The versions that are not drawn, unless one that is says the same.

        `locked`: whether those that were drawn follow the lock.
        """
        whole = [one.text for one in drawn if one.finish_reason == "stop"]
        merge = merged(whole, self._held, self._expected) if locked else None
        found: dict[str, Literal["merged", "edited"]] = {}
        if merge is not None:
            found[edited_words(merge, self.habits)] = "merged"
        found.setdefault(self.edited(), "edited")
        there = {one.text for one in drawn}
        return [
            schema.Candidate(text=text, tokens=0, logprob=0.0, made=made)
            for text, made in found.items()
            if text not in there
        ]

    def edited(self) -> str:
        """The text by rule alone, in milliseconds: notes with their small words, in the user's surface."""
        restored = merged((), self._held, self._expected)
        if restored is not None:
            said = edited(restored, self.habits)
            if compared(self.given, said, own=self.own).sound:
                return said
        return edited(self.given, self.habits)

    def lock(self) -> MadeGrammar | None:
        """The grammar that keeps every word, where the language has one."""
        return lock(
            self.given,
            self._language,
            own=self._own_words,
            openings=[f"{one}{'' if one.endswith(chr(10)) else ' '}" for one in self._usual("openings")],
            closings=[f"\n{one}" for one in self._usual("closings")],
        )

    def _usual(self, which: Literal["openings", "closings"]) -> list[str]:
        found: tuple[tuple[str, float], ...] = () if self.habits is None else getattr(self.habits, which)
        return [one for one, share in found if share >= _HABIT]

    @cached_property
    def _language(self) -> str | None:
        """Of the text: of notes that of the user, since they have few small words to tell by."""
        said, known = language_of(self.given), None if self.habits is None else self.habits.language
        return (known or said) if self.notes else (said or known)

    @cached_property
    def _own_words(self) -> frozenset[str]:
        return frozenset(word for text in self.said for word in text.lower().split())

    @cached_property
    def _held(self) -> list[Locked]:
        return locked_words(self.given, self._language, self._own_words)

    @cached_property
    def _expected(self) -> Expected | None:
        return expected_of(self._held, self._language, self.said)


def agreed(rule: schema.Rule, choice: Choice, versions: Sequence[schema.Candidate], usable: Sequence[bool]) -> Choice:
    """The choice; under consensus the merged version, which agrees with most place by place, where it is `usable`."""
    merge = next((at for at, one in enumerate(versions) if one.made == "merged" and usable[at]), None)
    if rule == "consensus" and merge is not None and merge != choice.index:
        scores = np.array(choice.scores, dtype=np.float64)
        scores[merge] = scores[np.isfinite(scores)].max()
        choice = Choice(
            merge, scores, choice.rule, f"candidate {merge + 1} of {len(versions)} has most places of the others"
        )
    said = _HOW[versions[choice.index].made]
    return replace(choice, reason=f"{choice.reason}; it is {said}") if said else choice
