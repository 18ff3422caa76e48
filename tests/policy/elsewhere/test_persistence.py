"""Which failures are tried again and for how long, and how many requests run at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edge_ttp.policy.elsewhere.persistence import LEAST_TRIES, Failed, Lanes, Persistence, Refused, trying

HASTY = Persistence(gone_s=0.0, first_wait_s=0.0, longest_wait_s=0.0)


def tried(error: Exception, *, times: int, patience: Persistence = HASTY) -> int:
    """Tries that were made of a block that fails so often."""
    made = 0

    async def work() -> None:
        nonlocal made
        async for attempt in trying(patience):
            with attempt:
                made += 1
                if made <= times:
                    raise error

    asyncio.run(work())
    return made


def test_what_fails_is_tried_again_and_at_least_some_times() -> None:
    assert tried(Failed("busy"), times=0) == 1
    assert tried(Failed("busy"), times=LEAST_TRIES - 1) == LEAST_TRIES
    with pytest.raises(Failed, match="busy"):
        tried(Failed("busy"), times=LEAST_TRIES)


def test_while_the_patience_lasts_it_is_tried_further() -> None:
    assert tried(Failed("busy"), times=20, patience=Persistence(gone_s=600, first_wait_s=0.0)) == 21


@pytest.mark.parametrize("error", [Refused("no", "ask otherwise", status=400), ValueError("a fault of ours")])
def test_what_will_not_be_otherwise_is_not_tried_again(error: Exception) -> None:
    with pytest.raises(type(error)):
        tried(error, times=1)


def test_an_engine_that_says_how_long_to_wait_is_believed_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    tried(Failed("busy", after_s=3.0), times=1, patience=Persistence(longest_wait_s=10))
    tried(Failed("busy", after_s=900.0), times=1, patience=Persistence(longest_wait_s=10))
    tried(Failed("busy"), times=1, patience=Persistence(first_wait_s=0.5, longest_wait_s=10))
    assert slept[:2] == [3.0, 10.0]
    assert 0 <= slept[2] <= 1.0


def test_no_more_run_at_once_than_there_are_lanes() -> None:
    async def work() -> list[int]:
        lanes = Lanes(3)
        running, most = 0, []

        async def one() -> None:
            nonlocal running
            async with lanes.lane():
                running += 1
                most.append(running)
                await asyncio.sleep(0)
                running -= 1

        await asyncio.gather(*(one() for _ in range(12)))
        return most

    assert max(asyncio.run(work())) == 3


def test_a_lane_is_free_again_after_an_error() -> None:
    async def work() -> str:
        lanes = Lanes(1)
        for _ in range(3):
            with pytest.raises(Failed):
                async with lanes.lane():
                    raise Failed("broke off")
        async with lanes.lane():
            return "free"

    assert asyncio.run(work()) == "free"


def test_lanes_are_halved_by_a_crowd_and_come_back_one_by_one() -> None:
    async def work() -> list[Any]:
        lanes = Lanes(16)
        seen = []
        for _ in range(6):
            lanes.narrow()
            seen.append(lanes.most)
        for _ in range(64):
            lanes.went_well()
        seen.append(lanes.most)
        for _ in range(10_000):
            lanes.went_well()
        return [*seen, lanes.most]

    assert asyncio.run(work()) == [8, 4, 2, 1, 1, 1, 3, 16]
