from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest
from history.conftest import new_generation, new_item

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import jsonl
from edge_ttp.exchange.export import lines, private_file
from edge_ttp.exchange.importing import store_records
from edge_ttp.history import History
from edge_ttp.schema import Feedback


def load(history: History, exported: list[str]) -> None:
    content = "".join(exported).encode()

    def source() -> object:
        stream = io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]
        return jsonl.records(stream, "export", jsonl.Reading(user=None, fallback="me"))

    report = store_records(history, source, strict=True)  # type: ignore[arg-type]
    assert (report.bad, report.added) == (0, len(exported))


def test_an_export_restores_everything(history: History, tmp_path: Path) -> None:
    history.add_many([new_item("one", metadata={"a": 1}, kind="email"), new_item("zwei ü", user="bob", source="git")])
    for name, user in (("g1", "ann"), ("g2", "bob")):
        history.record(new_generation(name, user=user))
    history.add_feedback(Feedback(generation_id="g1", user_id="ann", kind="edit", candidate=0, text="mine"))
    history.add_feedback(Feedback(generation_id="g2", user_id="bob", kind="prefer", candidate=2))
    exported = list(lines(history, None, everything=True))
    with History.open(tmp_path / "other.db") as other:
        load(other, exported)
        assert list(lines(other, None, everything=True)) == exported
        assert other.generation("g1") == history.generation("g1")
        assert other.recall("ann", "one", 3) == history.recall("ann", "one", 3)


def test_an_export_of_one_user_holds_nothing_of_others(history: History) -> None:
    history.add_many([new_item("mine"), new_item("yours", user="bob")])
    history.record(new_generation("g2", user="bob"))
    exported = [json.loads(line) for line in lines(history, "ann", everything=True)]
    assert [record["output"] for record in exported] == ["mine"]
    assert [record["record"] for record in (json.loads(line) for line in lines(history, "bob", everything=True))] == [
        "item",
        "generation",
    ]
    assert len(list(lines(history, "bob"))) == 1
    assert list(lines(history, "eve", everything=True)) == []


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "export.jsonl"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError), private_file(target) as file:
        file.write("half\ud800")
    assert target.read_text() == "old"
    with private_file(target) as file:
        file.write("whole ü\n")
        assert target.read_text() == "old"
    assert target.read_bytes() == "whole ü\n".encode()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["export.jsonl"]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"), private_file(tmp_path / "no" / "export.jsonl"):
        pass
    with pytest.raises(InvalidInput, match="cannot be written"), private_file(tmp_path):
        pass
