"""What History offers to importers: records that belong to an import, and undoing it for one user or all."""

from __future__ import annotations

import pytest

from edge_ttp.errors import NotFound
from edge_ttp.history import Counts, History
from edge_ttp.history.imports import OpenImport

from .conftest import new_item


def test_an_import_gets_its_number_with_the_first_record_that_is_new(history: History) -> None:
    history.add(new_item("known"))
    opened = OpenImport("letters")
    assert history.restore([new_item("known")], opened=opened) == (Counts(0, 1), [])
    assert opened.number is None
    assert history.imports() == []
    history.restore([new_item("new")], opened=opened)
    history.restore([new_item("newer"), new_item("hers", user="eve")], opened=opened)
    assert opened.number is not None
    assert {one.name for one in history.imports()} == {"letters"}
    assert [one.name for one in history.imports("eve")] == ["letters"]


def test_undoing_takes_what_it_brought_to_one_user_or_all_and_tells_whose(history: History) -> None:
    told: list[str | None] = []
    history.on_forgotten(told.append)
    history.add(new_item("known"))
    opened = OpenImport("letters")
    history.restore([new_item("known"), new_item("new"), new_item("hers", user="eve")], opened=opened)
    assert opened.number is not None
    history.undo_import(opened.number, "eve")
    assert {item.output for item in history.items("ann")} == {"new", "known"}
    assert history.count("eve") == 0
    history.undo_import(opened.number)
    assert [item.output for item in history.items("ann")] == ["known"]  # it was there before
    assert told == ["eve", None]
    with pytest.raises(NotFound):
        history.undo_import(opened.number)
