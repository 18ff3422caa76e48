"""What a caller is told of the candidates: events while they are drawn, and words on those that were cut short."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from edge_ttp.policy.request import Sampled, StepReport
from edge_ttp.schema import Candidate, Event, FinishReason

_CUT_SHORT: dict[FinishReason, str] = {
    "deadline": "the deadline ended",
    "cancelled": "the cancel ended",
    "capacity": "the cache was too small for",
}


def forward(emit: Callable[[Event], None]) -> Callable[[StepReport], None]:
    """What the engine calls after every step, in the caller's events: candidates that ended, then the progress."""

    def tell(report: StepReport) -> None:
        for index, candidate in report.finished.items():
            emit(_ended("finished", index, candidate))
        for index, candidate in report.dropped.items():
            emit(_ended("dropped", index, candidate))
        emit(Event(type="progress", tokens=report.tokens))

    return tell


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
