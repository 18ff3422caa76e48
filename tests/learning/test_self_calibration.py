"""Self-calibration: what it may see, what it stores, in which order, and when it stops or makes way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
from fakes import FakePolicy, FakeReward, endless, rooms

from edge_ttp.answer import generate
from edge_ttp.answer.ask import Ask, Rooms
from edge_ttp.history import History
from edge_ttp.learning import self_calibration as calibrating
from edge_ttp.learning.learned import learned
from edge_ttp.learning.self_calibration import Manners, Progress, calibrate
from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import Feedback, HistoryItem

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History.open(tmp_path / "history.db") as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "_IDLE_POLL_S", 0.01)
    monkeypatch.setattr(calibrating, "CANDIDATES", 4)


def fill(history: History, count: int, user: str = "ann") -> list[HistoryItem]:
    return [
        history.add(
            HistoryItem(
                user_id=user,
                input=f"ask number{day}",
                output=f"apple birch day{day}",
                created_at=START + timedelta(day),
            )
        )
        for day in range(count)
    ]


def with_reward(history: History, policy: FakePolicy | None = None, **fields: str) -> Rooms:
    return rooms(history, policy or FakePolicy(), FakeReward(**fields))  # type: ignore[arg-type]


def test_every_item_is_answered_with_earlier_items_only_in_view(history: History) -> None:
    items = fill(history, 5)
    fill(history, 3, "bob")
    policy = FakePolicy()
    found = calibrate(with_reward(history, policy), "ann", Manners())
    assert (found.calibrated, found.left, found.stopped) == (5, 0, "everything")
    prompts = [" ".join(text for _, text in messages) for messages in policy.messages]
    for item in items:
        [own] = [prompt for prompt in prompts if prompt.rstrip().endswith(item.input) or f"{item.input}\n" in prompt]
        later = [other.output for other in items if other.created_at >= item.created_at]
        assert not any(text in own for text in later)
    reward = cast(FakeReward, with_reward(history).reward)
    assert all(request.n == 4 for request in policy.requests)
    assert history.evidence("bob", reward.fingerprint, 9) == (0, [])
    assert len(history.evidence("ann", reward.fingerprint, 9)[1]) == 5
    assert found.learned.evidence == 5


def test_profiles_hold_earlier_items_only(history: History) -> None:
    fill(history, 4)
    where = with_reward(history)
    reward = cast(FakeReward, where.reward)
    calibrate(where, "ann", Manners())
    sizes = {len(profile) for profile in reward.profiles}
    assert sizes == {0, 1, 2, 3}


def test_a_second_call_goes_on_where_the_first_stopped(history: History) -> None:
    fill(history, 4)
    stop = threading.Event()

    def after_two(at: Progress) -> None:
        if at.calibrated == 2:
            stop.set()

    first = calibrate(with_reward(history), "ann", Manners(cancel=(stop,)), advance=after_two)
    assert (first.calibrated, first.left, first.stopped) == (2, 2, "cancelled")
    second = calibrate(with_reward(history), "ann", Manners())
    assert (second.calibrated, second.left, second.stopped) == (2, 0, "everything")
    assert calibrate(with_reward(history), "ann", Manners()).calibrated == 0


def test_the_newest_items_come_first_beyond_the_window(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "WINDOW", 1)
    items = fill(history, 4)
    stop = threading.Event()
    calibrate(with_reward(history), "ann", Manners(cancel=(stop,)), advance=lambda _: stop.set())
    assert [one.id for one in history.uncalibrated("ann", 9)] == [one.id for one in reversed(items[:3])]


def test_the_deadline_ends_it(history: History) -> None:
    fill(history, 3)
    found = calibrate(with_reward(history), "ann", Manners(deadline=time.monotonic() - 1))
    assert (found.calibrated, found.stopped) == (0, "time")


def test_a_request_interrupts_an_item_which_is_done_again_afterwards(history: History) -> None:
    fill(history, 2)
    busy, interrupted = threading.Event(), threading.Event()

    class Interrupted(FakePolicy):
        def sample(self, request, control, **options):  # type: ignore[no-untyped-def]
            if not interrupted.is_set():
                interrupted.set()
                busy.set()
                assert control.cancel.wait(60)
                threading.Timer(0.05, busy.clear).start()
            return super().sample(request, control, **options)

    found = calibrate(with_reward(history, Interrupted()), "ann", Manners(busy=busy.is_set))
    assert found.yielded == 1
    assert (found.calibrated, found.stopped) == (2, "everything")


def test_a_busy_device_is_not_waited_for_without_anything_to_do(history: History) -> None:
    found = calibrate(with_reward(history), "nobody", Manners(idle=lambda: False))
    assert (found.calibrated, found.stopped) == (0, "everything")


def test_it_waits_for_an_idle_device_between_items(history: History) -> None:
    fill(history, 2)
    answers = iter([False, False, True, True])
    asked: list[bool] = []

    def idle() -> bool:
        asked.append(next(answers))
        return asked[-1]

    found = calibrate(with_reward(history), "ann", Manners(idle=idle))
    assert found.calibrated == 2
    assert asked == [False, False, True, True]


def test_it_ends_when_items_teach_too_little(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "LEAST_NATS", 1e9)
    fill(history, 9)
    found = calibrate(with_reward(history), "ann", Manners())
    assert (found.calibrated, found.stopped) == (calibrating.PATIENCE, "learned")


def test_an_item_that_is_too_long_is_passed_over(history: History) -> None:
    fill(history, 2)
    history.add(HistoryItem(user_id="ann", input="word " * 3000, output="apple", created_at=START + timedelta(9)))
    found = calibrate(with_reward(history), "ann", Manners())
    assert (found.calibrated, found.passed_over, found.left, found.stopped) == (2, 1, 1, "everything")


def test_examples_are_left_out_where_the_context_is_short(history: History) -> None:
    fill(history, 6)
    found = calibrate(with_reward(history, FakePolicy(context=110)), "ann", Manners())
    assert found.calibrated == 6


def test_another_reward_model_sees_the_stored_candidates_again_without_the_policy(history: History) -> None:
    fill(history, 3)
    policy = FakePolicy()
    calibrate(with_reward(history, policy), "ann", Manners())
    asked = generate(with_reward(history), Ask(prompt="what grows", user="ann", n=4, seed=1))
    history.add_feedback(Feedback(generation_id=asked.generation_id, user_id="ann", kind="prefer", candidate=2))
    drawn = len(policy.requests)
    other = with_reward(history, policy, fingerprint="second")
    found = calibrate(other, "ann", Manners())
    assert (found.renewed, found.calibrated) == (4, 0)
    assert len(policy.requests) == drawn
    assert found.learned.evidence == 4
    assert history.evidence("ann", "fake-fingerprint", 9)[1] == []
    kinds = sorted(one.kind for one in history.evidence("ann", "second", 9)[1])
    assert kinds == ["prefer", "written", "written", "written"]


def test_evidence_seen_again_by_the_same_model_is_the_same(history: History) -> None:
    fill(history, 3)
    where = with_reward(history)
    first = calibrate(where, "ann", Manners()).learned
    with history._connections.writing() as db:
        db.execute("DELETE FROM evidence")
    again = calibrate(where, "ann", Manners())
    assert again.renewed == 3
    assert again.learned.weights.mean.tobytes() == first.weights.mean.tobytes()
    assert again.learned.weights.covariance.tobytes() == first.weights.covariance.tobytes()


def test_a_user_without_history_is_done_at_once(history: History) -> None:
    found = calibrate(with_reward(history), "nobody", Manners())
    assert (found.calibrated, found.stopped, found.learned.evidence) == (0, "everything", 0)
    assert learned(history, "nobody", cast(RewardModel, FakeReward())).trust == 0


def test_candidates_cut_short_by_a_cancel_are_not_kept(history: History) -> None:
    fill(history, 1)
    stop = threading.Event()

    def stopping(seen: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """Sets the flag in the middle of decoding, as a request that comes then does, and decodes on once it is seen.

        On the engine's thread: what is told of a step is heard while the next ones are computed.
        """
        if len(seen) > len(policy.requests[-1].prompt):
            stop.set()
            cancel = policy.controls[-1].cancel
            assert isinstance(cancel, threading.Event)
            assert cancel.wait(60)
        return endless(seen)

    policy = FakePolicy(table=stopping)
    found = calibrate(with_reward(history, policy), "ann", Manners(cancel=(stop,)))
    assert (found.calibrated, found.left, found.stopped) == (0, 1, "cancelled")
