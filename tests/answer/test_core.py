"""The stable core: what it covers, that it is the same everywhere, and how seldom it changes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge_ttp.answer.core import choose_core, epoch
from edge_ttp.schema import HistoryItem


def item(number: int, output: str, *, kind: str = "note", given: str = "a request") -> HistoryItem:
    return HistoryItem(id=number, user_id="ada", input=given, output=output, kind=kind)


def history(count: int = 30) -> list[HistoryItem]:
    mails = [item(at, f"Dear Bob,\nthe report number {at} is done.\nBest, Ada", kind="email") for at in range(count)]
    chats = [item(count + at, f"ok see you at {at}!", kind="chat") for at in range(count)]
    return [one for pair in zip(mails, chats, strict=True) for one in pair]


def test_a_core_covers_every_kind_and_keeps_the_order() -> None:
    items = history()
    core = choose_core(items, 4)
    assert len(core) == 4
    assert {one.kind for one in core} == {"email", "chat"}
    assert list(core) == [one for one in items if one in core]


def test_the_same_items_give_the_same_core() -> None:
    first, again = ([one.id for one in choose_core(history(), 6)] for _ in range(2))
    assert first == again


def test_items_without_an_output_and_very_long_ones_are_no_examples() -> None:
    items = [item(1, " "), item(2, "word " * 2000), item(3, "short"), item(4, "also short")]
    assert {one.id for one in choose_core(items, 2)} == {3, 4}
    assert {one.id for one in choose_core(items, 3)} == {2, 3, 4}
    assert choose_core(items, 0) == choose_core([], 4) == choose_core(items[:1], 4) == ()


@given(st.integers(0, 100_000))
def test_an_epoch_leaves_out_at_most_a_third_and_only_grows(count: int) -> None:
    assert 0 <= epoch(count) <= count
    assert count < 4 or 3 * epoch(count) + 3 > 2 * count - 3
    assert epoch(count) <= epoch(count + 1)


def test_a_history_of_five_hundred_has_had_a_dozen_cores() -> None:
    changes = sum(epoch(one) != epoch(other) for one, other in pairwise(range(501)))
    assert 8 <= changes <= 13
