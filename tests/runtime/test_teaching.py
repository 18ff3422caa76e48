"""What a runtime is taught: texts from elsewhere, whose they are, and what it learns from them by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import Models

from edge_ttp.errors import InvalidInput
from edge_ttp.runtime import Runtime
from edge_ttp.schema import HistoryItem, Sampling


def lines(path: Path, *rows: dict[str, str]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_an_import_is_whose_its_lines_say_and_can_be_undone(
    open_runtime: Callable[..., Runtime], tmp_path: Path
) -> None:
    runtime = open_runtime(user="ann")
    file = lines(
        tmp_path / "texts.jsonl",
        {"user_id": "bob", "input": "Lunch?", "output": "Nope, can't."},
        {"input": "Tea?", "output": "Yes please!"},
        {"input": "no output"},
    )
    amounts: list[float] = []
    taken = runtime.import_(file, kind="chat", advance=amounts.append)
    assert (taken.added, taken.bad, taken.duplicates) == (2, 1, 0)
    assert amounts == sorted(amounts)
    assert [item.output for item in runtime.history.items("bob")] == ["Nope, can't."]
    assert [item.output for item in runtime.history.items("ann")] == ["Yes please!"]
    assert runtime.import_(file).duplicates == 2
    assert taken.id is not None
    runtime.history.undo_import(taken.id)
    assert runtime.history.items("ann") == runtime.history.items("bob") == []


def test_a_strict_import_stores_nothing_where_a_record_is_bad(runtime: Runtime, tmp_path: Path) -> None:
    file = lines(tmp_path / "texts.jsonl", {"input": "Tea?", "output": "Yes please!"}, {"input": "no output"})
    taken = runtime.import_(str(file), user="ann", strict=True)
    assert (taken.refused, taken.added) == (True, 0)
    assert runtime.history.items("ann") == []


def test_what_cannot_be_imported_says_what_it_is(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    for wrong in (tmp_path / "picture", tmp_path / "nothing"):
        with pytest.raises(InvalidInput):
            runtime.import_(wrong)
    with pytest.raises(InvalidInput, match="form"):
        runtime.import_(lines(tmp_path / "texts.jsonl", {"output": "x"}), form="runes")


def test_answers_are_listed_newest_first_of_the_user_alone(runtime: Runtime) -> None:
    made = [
        runtime.generate("Tea?", user=user, n=1, seed=seed, sampling=Sampling(max_tokens=4))
        for seed, user in enumerate(("ann", "bob", "ann"), 1)
    ]
    names = [one.generation_id for one in made]
    assert [one.generation_id for one in runtime.generations("ann")] == [names[2], names[0]]
    assert [one.generation_id for one in runtime.generations("ann", limit=1)] == [names[2]]
    assert runtime.generations("nobody") == []


def test_it_learns_from_past_items_until_it_is_told_to_stop(runtime: Runtime, models: Models) -> None:
    for place in range(6):
        runtime.history.add(HistoryItem(user_id="ann", input=f"what grows at {place}", output="fern grape heath"))
    told: list[int] = []
    enough = threading.Event()

    def advance(progress: object) -> None:
        told.append(1)
        enough.set()

    first = runtime.adapt("ann", cancel=enough, on_progress=advance)
    assert first.calibrated == 1  # the item under way is finished and kept
    assert told
    whole = runtime.adapt("ann")
    assert whole.calibrated >= 1
    assert runtime.adapt("nobody").calibrated == 0
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidInput, match="no time"):
            runtime.adapt("ann", for_s=wrong)
