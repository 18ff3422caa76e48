"""What a caller is told of the candidates: events while they are drawn, and words on those that were cut short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from edge_ttp.policy.job import Queued
from edge_ttp.policy.request import Sampled, StepReport
from edge_ttp.schema import Candidate, Event, FinishReason

_CUT_SHORT: dict[FinishReason, str] = {
    "deadline": "the deadline ended",
    "cancelled": "the cancel ended",
    "capacity": "the cache was too small for",
}


class Telling:
    """Tells a caller of one request's candidates while they are drawn. Used from one thread."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._texts: dict[int, str] = {}
        self._dropped: set[int] = set()
        self._leader = 0

    def step(self, report: StepReport) -> None:
        """What the engine calls after every step: new text, candidates that ended, then the progress."""
        for index, text in report.texts.items():
            if text:
                self._texts[index] = self._texts.get(index, "") + text
                self._emit(Event(type="delta", candidate=index, text=text))
        for index, candidate in report.finished.items():
            self._emit(_ended("finished", index, candidate))
        for index, candidate in report.dropped.items():
            self._emit(_ended("dropped", index, candidate))
        self._dropped |= report.dropped.keys()
        if self._leader in report.dropped:
            self.lead(min(self._texts.keys() - self._dropped, default=self._leader))
        elif report.texts.get(self._leader):
            self.lead(self._leader)
        self._emit(Event(type="progress", tokens=report.tokens))

    def lead(self, index: int) -> None:
        """From now on the candidate `index` leads."""
        self._leader = index
        if self._texts.get(index):
            self._emit(Event(type="leading", candidate=index, text=self._texts[index]))


def forward_queued(emit: Callable[[Event], None]) -> Callable[[Queued], None]:
    """What the engine calls while the request waits for room, in the caller's events."""

    def tell(queued: Queued) -> None:
        emit(Event(type="queued", position=queued.position, expected_s=queued.expected_s))

    return tell


class FinalText:
    """Hands on the text of the answer alone: as it is drawn where nothing competes with it, else when it is chosen."""

    def __init__(self, on_text: Callable[[str], None], on_event: Callable[[Event], None] | None = None) -> None:
        self._on_text, self._on_event = on_text, on_event
        self._certain: int | None = None

    def __call__(self, event: Event) -> None:
        """Takes an event of the request."""
        if event.type == "selected":
            self._certain = event.candidate
            if event.text:
                self._on_text(event.text)
        elif event.type == "delta" and event.candidate == self._certain and event.text:
            self._on_text(event.text)
        if self._on_event is not None:
            self._on_event(event)


def _ended(kind: Literal["finished", "dropped"], index: int, candidate: Candidate) -> Event:
    return Event(type=kind, candidate=index, finish_reason=candidate.finish_reason, text=candidate.text)


def cut_short(sampled: Sampled, planned: int, *, structured: bool) -> list[str]:
    """What the user should know about candidates that are not complete, of `planned` ones.

    `structured` ones follow a grammar: ended by their length, they are not complete.
    """
    reasons = [one.finish_reason for one in sampled.candidates]
    notes = []
    for reason, words in _CUT_SHORT.items():
        count = reasons.count(reason)
        if count:
            notes.append(f"{words} {count} of {planned} candidates before they were complete")
    if structured and "length" in reasons:
        notes.append(
            f"{reasons.count('length')} of {planned} candidates reached their greatest length before the grammar was "
            "complete: allow more with --max-tokens"
        )
    missing = planned - len(reasons)
    if missing:
        notes.append(f"{missing} of {planned} candidates were not begun")
    return notes
