"""The engine's race: whom the caller drops halfway, and that the others are drawn as without it."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ttp.policy.request import Control, Race, StepReport
from edge_ttp.schema import Candidate

from .calls import APART, OPEN, request, restless, said, sample, script, uniform
from .table import TableDecoder


class Judge:
    """Drops the places given for each checkpoint, and keeps what it saw."""

    def __init__(self, *worse: Sequence[int]) -> None:
        self.left, self.seen = list(worse), list[list[Candidate]]()

    def __call__(self, candidates: Sequence[Candidate]) -> Sequence[int]:
        self.seen.append(list(candidates))
        return self.left.pop(0)


def test_who_is_dropped_ends_there_and_the_others_say_what_they_would_have_said() -> None:
    for sampling in (OPEN, APART):
        asked = request(n=6, max_tokens=10, sampling=sampling)
        alone = said(sample(TableDecoder(uniform), asked))
        judge, told = Judge((1, 4), (0,)), list[StepReport]()
        raced = sample(TableDecoder(uniform), asked, Control(race=Race((3, 5), judge), on_step=told.append))
        assert [one.finish_reason for one in raced.candidates] == [
            "raced",
            "raced",
            "length",
            "length",
            "raced",
            "length",
        ]
        assert [one.tokens for one in raced.candidates] == [5, 3, 10, 10, 3, 10]
        assert [said(raced)[place] for place in (2, 3, 5)] == [alone[place] for place in (2, 3, 5)]
        assert [len(seen) for seen in judge.seen] == [6, 6]
        assert {one.tokens for one in judge.seen[0]} == {3}
        assert [one.finish_reason for one in judge.seen[1]].count("raced") == 2
        dropped = {place: one.finish_reason for report in told for place, one in report.dropped.items()}
        assert dropped == {0: "raced", 1: "raced", 4: "raced"}
        assert raced.rows < 6 * 9


def test_whoever_has_finished_stays_and_a_race_may_leave_nobody() -> None:
    asked = request(n=10, max_tokens=12, sampling=APART)
    ends = TableDecoder(restless, ends={0})
    alone = sample(TableDecoder(restless, ends={0}), asked)
    short = [place for place, one in enumerate(alone.candidates) if one.tokens <= 2]
    assert 0 < len(short) < 9
    judge = Judge(range(10))
    raced = sample(ends, asked, Control(race=Race((2,), judge)))
    assert [one.finish_reason for one in raced.candidates] == [
        "stop" if place in short else "raced" for place in range(10)
    ]


def test_one_that_is_alone_does_not_race() -> None:
    judge = Judge()
    raced = sample(TableDecoder(script(1, 2, 3)), request(n=1), Control(race=Race((2,), judge)))
    assert judge.seen == []
    assert raced.candidates[0].finish_reason == "length"
