"""How far a search for a format is: kept in the cache, and nothing where it cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_ttp.errors import OutOfCapacity
from edge_ttp.lab import search_state
from edge_ttp.lab.search_state import SearchState, check_room
from edge_ttp.paths import Paths, locate


@pytest.fixture
def paths(home: Path) -> Paths:
    return locate(home)


def test_a_state_that_cannot_be_read_or_is_of_another_file_counts_as_none(paths: Paths) -> None:
    SearchState("one", ("Q8_0",), 2, ("begun",)).write(paths, "x")
    assert SearchState.read(paths, "x", "one").tries == 2
    assert SearchState.read(paths, "x", "two") == SearchState("two")
    (paths.cache / "formats" / "x.json").write_text('{"source": "one", "tries": []}')
    assert SearchState.read(paths, "x", "one") == SearchState("one")


def test_without_room_no_search_is_begun(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    check_room(paths, 1)
    with pytest.raises(OutOfCapacity, match="of the disk"):
        check_room(paths, 2**60)
    monkeypatch.setattr(search_state.device, "available_memory", lambda: 10)
    with pytest.raises(OutOfCapacity, match="of memory"):
        check_room(paths, 100)
