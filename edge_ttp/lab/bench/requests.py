"""What the default request does with eight kinds of it: examples, how answers end, agreement with what was written.

The histories are made up, and small enough to read. Only the public API is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from math import sqrt
from statistics import stdev
from typing import Any

from edge_ttp.reward.utility import utility
from edge_ttp.runtime import Runtime
from edge_ttp.schema import HistoryItem

Advance = Callable[[int], None]

APART = 1000
"""Seeds of the runs are so far apart: neighbours draw all but one of their candidates from the same streams, and would
be one run counted twice."""

_REPLIES = (
    ("Can we meet on Monday at 9?", "monday 9 works, see you there"),
    ("Did you get the keys?", "yep got them, thanks a lot"),
    ("Lunch on Thursday?", "thursday works, usual place?"),
    ("Is the heating on again?", "yep, since this morning"),
    ("Can you bring the ladder?", "sure, will do"),
    ("How was the trip?", "long but lovely, tell you soon"),
)
_LETTER = (
    "Hello there,\n\nI'm writing about {0}, because it has been on my mind since Tuesday and nobody has called me back."
    " I know everybody is busy, and I don't want to make a fuss, but three weeks is a long time.\n\nHere is what"
    " happened. First I rang the number on the notice, and a kind person promised to look into it. Then I wrote twice,"
    " and got an automatic reply saying that my message matters. I'm sure it does! Still, {0} has not changed.\n\nSo"
    " please let me know by Friday which day suits you, and I'll be at home, with coffee.\n\nThanks a lot,\nJo"
)
_LETTERS = tuple(
    (f"Write to the office about {one}", _LETTER.format(one))
    for one in ("the broken heating", "the noisy neighbours", "the missing parcel", "the dark stairs", "the wet cellar")
)
_COMMITS = (
    ("-    return a\n+    return a or b", "fix: fall back to b where a is empty"),
    ("+import logging\n+log = logging.getLogger(__name__)", "feat: log through the module's own logger"),
    ("-timeout = 5\n+timeout = 30", "fix: wait 30 s before giving up"),
    ("+def test_empty_list():\n+    assert total([]) == 0", "test: an empty list has a total of 0"),
    ("-print(x)\n", "chore: remove a forgotten print"),
)


@dataclass(frozen=True)
class Case:
    """One kind of request, with the history that it comes with."""

    kind: str
    history: tuple[tuple[str, str], ...]
    prompt: str
    reference: str | None = None
    """What this user would have written, where that can be said."""


CASES = (
    Case("short reply", _REPLIES, "Can we meet on Friday at 10?", "friday 10 works, see you there"),
    Case("letter", _LETTERS, "Write to the office about the leaking roof", _LETTER.format("the leaking roof")),
    Case("commit message", _COMMITS, "-retries = 1\n+retries = 3", "fix: try 3 times before giving up"),
    Case("list", _REPLIES, "Give me a list of five things to pack for a weekend by the sea"),
    Case("long answer", _REPLIES, "Describe a walk by the sea in 150 words"),
    Case(
        "document",
        _REPLIES,
        "The town library opens at 9 on weekdays and at 11 on Saturdays. It is closed on Sundays and in August.\n\n"
        "When does the library open on Saturdays?",
        "at 11 on saturdays",
    ),
    Case("second language", _REPLIES, "Kannst du mir am Samstag beim Umzug helfen?"),
    Case("no history", (), "What is a good way to learn to swim?"),
)


@dataclass(frozen=True)
class CaseRow:
    """What came of one kind of request, means over its runs."""

    kind: str
    examples: float
    of: int
    """Examples that a prompt shows at most, fewer where the history has fewer."""
    n: float
    finish: tuple[str, ...]
    """How the answers of the runs ended."""
    tokens: float
    utility: float | None
    error: float | None
    """Standard error of the utility over the runs; None for a single one."""
    seconds: float
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure(runtime: Runtime, *, runs: int = 3, advance: Advance = lambda _: None) -> Iterator[CaseRow]:
    """A row for each of CASES; every run draws candidates of its own. The histories go into the runtime's store."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number, case in enumerate(CASES, 1):
        user = case.kind.replace(" ", "-")
        runtime.history.add_many(
            HistoryItem(user_id=user, input=given, output=written, created_at=start + timedelta(hours=place))
            for place, (given, written) in enumerate(case.history)
        )
        seeds = range(0, runs * APART, APART)
        yield _row(case, [runtime.generate(case.prompt, user=user, seed=seed, store=False) for seed in seeds])
        advance(number)


def _row(case: Case, made: Sequence[Any]) -> CaseRow:
    chosen = [one.candidates[one.chosen] for one in made]
    agreement = [utility(one.text, case.reference) for one in made] if case.reference is not None else None
    return CaseRow(
        kind=case.kind,
        examples=_mean([one.plan.examples for one in made]),
        of=min(4, len(case.history)),
        n=_mean([one.n for one in made]),
        finish=tuple(one.finish_reason for one in chosen),
        tokens=_mean([one.tokens for one in chosen]),
        utility=None if agreement is None else _mean(agreement),
        error=None if agreement is None or len(agreement) < 2 else stdev(agreement) / sqrt(len(agreement)),
        seconds=_mean([one.timings.total_s for one in made]),
        notes=tuple(dict.fromkeys(note for one in made for note in one.notes)),
    )


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values))
