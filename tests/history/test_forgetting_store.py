"""What History offers to those who forget, and to those who keep what has to be forgotten along."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.history import History

from .conftest import new_item
from .owned import fill


def test_only_the_users_own_items_can_be_forgotten_and_one_thing_at_a_time(history: History) -> None:
    number = fill(history, "ann")
    fill(history, "bob")
    with pytest.raises(NotFound):
        history.forget("bob", item_id=number)
    with pytest.raises(InvalidInput):
        history.forget("ann")
    with pytest.raises(InvalidInput):
        history.forget("ann", item_id=number, everything=True)
    assert history.count("ann") == 2


def test_whoever_listens_is_told_whose_texts_went(history: History) -> None:
    told: list[str | None] = []
    history.on_forgotten(told.append)
    number = fill(history, "ann")
    history.add(new_item("words", user="bob"))
    history.forget("ann", item_id=number)
    history.forget("bob", everything=True)
    with pytest.raises(NotFound):
        history.forget("nobody", everything=True)
    assert told == ["ann", "bob"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"item_id": 1, "everything": True},
        {"before": datetime(2026, 1, 1, tzinfo=UTC), "generation_id": "ann-0"},
        {"item_id": "1"},
        {"before": "2026-01-01"},
    ],
)
def test_one_thing_must_be_named(history: History, wrong: dict[str, Any]) -> None:
    fill(history, "ann")
    before = history.count("ann")
    with pytest.raises(InvalidInput):
        history.forget("ann", **wrong)
    assert history.count("ann") == before


def test_files_of_a_user_lie_in_places_of_their_own_and_go_with_them(history: History) -> None:
    fill(history, "ann")
    folders = [history.states_folder(user) for user in ("ann", "bob")]
    assert None not in folders
    assert folders[0] != folders[1]
    typed = history.typed_lines("ann")
    assert typed is not None
    typed.write_text("+a secret\n")
    assert typed.stat().st_mode & 0o077 == 0
    history.forget("ann", everything=True)
    assert not typed.exists()
