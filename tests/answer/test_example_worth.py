from __future__ import annotations

import pytest
from fakes import FakePolicy, rooms
from policy.table import FakeClock

from answer.requests import ask, prompt_length, reading
from edge_ttp.answer import example_worth, generate
from edge_ttp.answer.example_worth import worth, writes_long
from edge_ttp.history import History
from edge_ttp.schema import Budget, HistoryItem, Sampling


@pytest.mark.parametrize("long", [False, True])
def test_more_examples_are_never_worth_less_and_none_is_worth_nothing(long: bool) -> None:
    values = [worth(count, long=long) for count in range(65)]
    assert values[0] == 0
    assert values == sorted(values)
    assert values[4] > 0, "the four that a request shows by default are worth their reading somewhere"
    assert values[8] == values[64], "beyond what was measured nothing is promised"


def test_long_texts_are_those_of_users_whose_median_is_long() -> None:
    assert not writes_long([])
    assert not writes_long([5, 8, 400])
    assert writes_long([200, 300, 4])


def test_under_a_deadline_examples_go_by_the_table_of_the_users_own_length(
    history: History, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example_worth, "SHORT", ((0, 0.0), (4, 1.0)))
    monkeypatch.setattr(example_worth, "LONG", ((0, 0.0), (4, 0.0)))
    for user, words in (("short", 3), ("long", 60)):
        for index in range(6):
            history.add(HistoryItem(user_id=user, input=f"what grows here {index}", output="word " * words))

    def shown(user: str) -> int:
        full = prompt_length(history, user=user)
        tight = Budget(mode="best", deadline_s=0.01 * full + 0.4)
        parts = rooms(history, FakePolicy(clock=clock), costs=reading(0.01))
        return generate(parts, ask(user=user, n=None, sampling=Sampling(max_tokens=8), budget=tight)).plan.examples

    assert shown("short") == 4
    assert shown("long") < 4, "candidates gain more for their seconds than examples that are worth nothing"
