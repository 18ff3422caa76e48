"""What was really sent against what was suggested: how much was edited, and how much typing that saved.

Judged are answers that the user accepted, edited, or preferred another candidate of; one that was rejected saved
nothing. Distances are Levenshtein's in characters, by rapidfuzz (maintained, in C++).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from edge_ttp.history import History
from edge_ttp.schema import Feedback, Generation

EVERYTHING = "all"
"""The kind under which all kinds are counted together."""


@dataclass(frozen=True)
class Sent:
    """What became of one suggestion."""

    kind: str
    when: datetime
    unedited: bool
    """Whether it was sent as it was suggested, but for space around it."""
    edits: int
    """Characters to type, delete or exchange to make what was sent of what was suggested."""
    length: int
    """Characters of what was sent; 0 where nothing was."""

    @property
    def saved(self) -> int:
        """Keystrokes saved: characters that did not have to be typed, at least 0."""
        return max(0, self.length - self.edits)


@dataclass(frozen=True)
class SentStats:
    """What was sent of one kind in one span of time."""

    kind: str
    since: str
    """Month (2026-11) or day of the span; empty for all time."""
    judged: int
    rejected: int
    unedited: float
    """Share sent as suggested, 0 to 1, of all judged."""
    distance: float
    """Mean edits a character of what was sent, 0 to about 1; over what was sent at all."""
    saved: int
    """Keystrokes saved in all."""
    typed: int
    """Keystrokes that were left to type: edits of what was sent."""


def became(feedback: Feedback, generation: Generation) -> Sent | None:
    """What became of a suggestion by this judgment; None for a sign that says nothing of what was sent."""
    if feedback.kind not in ("accept", "edit", "prefer", "reject"):
        return None
    kind = generation.kind or "text"
    if feedback.kind == "reject":
        return Sent(kind, feedback.created_at, False, 0, 0)
    suggested = generation.text.strip()
    if feedback.kind == "edit":
        sent = (feedback.text or "").strip()
    elif 0 <= feedback.candidate < len(generation.candidates):
        sent = generation.candidates[feedback.candidate].text.strip()
    else:
        return None
    return Sent(kind, feedback.created_at, sent == suggested, edits(suggested, sent), len(sent))


def sent_stats(history: History, user: str, *, by: str = "month", since: datetime | None = None) -> list[SentStats]:
    """One row a kind and span (`by` day or month), oldest first, then the same over all time."""
    sent = [
        one
        for feedback, generation in history.judged_generations(user)
        if (since is None or feedback.created_at >= since) and (one := became(feedback, generation)) is not None
    ]
    if not sent:
        return []
    form = "%Y-%m-%d" if by == "day" else "%Y-%m"
    spans = _rows(sent, lambda one: (one.when.strftime(form), one.kind))
    kinds = _rows(sent, lambda one: ("", one.kind))
    return [*spans, *kinds, _row(EVERYTHING, "", sent)]


def _rows(sent: Iterable[Sent], key: Callable[[Sent], tuple[str, str]]) -> list[SentStats]:
    groups: dict[tuple[str, str], list[Sent]] = {}
    for one in sent:
        groups.setdefault(key(one), []).append(one)
    return [_row(kind, since, groups[since, kind]) for since, kind in sorted(groups)]


def _row(kind: str, since: str, suggestions: list[Sent]) -> SentStats:
    sent = [one for one in suggestions if one.length]
    return SentStats(
        kind=kind,
        since=since,
        judged=len(suggestions),
        rejected=len(suggestions) - len(sent),
        unedited=sum(one.unedited for one in suggestions) / len(suggestions),
        distance=sum(one.edits / one.length for one in sent) / len(sent) if sent else 0.0,
        saved=sum(one.saved for one in suggestions),
        typed=sum(one.edits for one in suggestions),
    )


def edits(one: str, other: str) -> int:
    """Characters to type, delete or exchange to make the other text of the one."""
    from rapidfuzz.distance import Levenshtein

    return int(Levenshtein.distance(one, other))
