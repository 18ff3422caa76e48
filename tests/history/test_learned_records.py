"""An export that restores everything, and records of what is learned that cannot be restored."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import jsonl
from edge_ttp.exchange.records import LearnedRecord, Numbered
from edge_ttp.history import History
from edge_ttp.history.importing import store_records
from edge_ttp.schema import Feedback

from .conftest import new_generation, new_item
from .owned import fill


def exported_lines(history: History, user: str | None, *, everything: bool = False) -> list[str]:
    return [jsonl.line_of(record) for record in history.records(user, everything=everything)]


def load(history: History, exported: list[str]) -> None:
    content = "".join(exported).encode()

    def source() -> object:
        stream = io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]
        return jsonl.records(stream, "export", jsonl.LineReading(user=None, fallback="me"))

    report = store_records(history, source, strict=True)  # type: ignore[arg-type]
    assert (report.bad, report.added) == (0, len(exported))


def test_an_export_restores_everything(history: History, tmp_path: Path) -> None:
    history.add_many([new_item("one", metadata={"a": 1}, kind="email"), new_item("zwei ü", user="bob", source="git")])
    for name, user in (("g1", "ann"), ("g2", "bob")):
        history.record(new_generation(name, user=user))
    history.add_feedback(Feedback(generation_id="g1", user_id="ann", kind="edit", candidate=0, text="mine"))
    history.add_feedback(Feedback(generation_id="g2", user_id="bob", kind="prefer", candidate=2))
    exported = exported_lines(history, None, everything=True)
    with History.open(tmp_path / "other.db") as other:
        load(other, exported)
        assert exported_lines(other, None, everything=True) == exported
        assert other.generation("g1") == history.generation("g1")
        assert other.recall("ann", "one", 3) == history.recall("ann", "one", 3)


def test_an_export_of_one_user_holds_nothing_of_others(history: History) -> None:
    history.add_many([new_item("mine"), new_item("yours", user="bob")])
    history.record(new_generation("g2", user="bob"))
    mine, theirs = (
        [json.loads(line) for line in exported_lines(history, user, everything=True)] for user in ("ann", "bob")
    )
    assert [record["output"] for record in mine] == ["mine"]
    assert [record["record"] for record in theirs] == ["item", "generation"]
    assert len(exported_lines(history, "bob")) == 1
    assert exported_lines(history, "eve", everything=True) == []


def test_an_export_of_everything_restores_everything(history: History, tmp_path: Path) -> None:
    for day in range(2):
        fill(history, "ann", day)
    fill(history, "bob")
    history.set_retention("bob", 30_000)
    exported = exported_lines(history, None, everything=True)
    sorts = {json.loads(line)["record"] for line in exported}
    assert sorts == {"item", "generation", "feedback", "layer", "calibration", "evidence", "setting"}
    with History.open(tmp_path / "other.db") as other:
        how = jsonl.LineReading(None, "me")
        report = store_records(
            other,
            lambda: iter(Numbered(at, jsonl.parse(line.encode(), how)) for at, line in enumerate(exported)),
        )
        assert (report.bad, report.added) == (0, len(exported))
        assert exported_lines(other, None, everything=True) == exported
        again = store_records(
            other,
            lambda: iter(Numbered(at, jsonl.parse(line.encode(), how)) for at, line in enumerate(exported)),
        )
        assert (again.added, again.duplicates) == (0, len(exported))
        mine, theirs = (one.evidence("ann", "r1", 9)[1] for one in (history, other))
        assert [one.moment for one in mine] == [one.moment for one in theirs]
        assert all(
            (one.layer.features == two.layer.features).all() and one.kind == two.kind
            for one, two in zip(mine, theirs, strict=True)
        )
        assert other.retention("bob") == 30_000


@pytest.mark.parametrize(
    ("sort", "values"),
    [
        ("layer", {"generation": "none", "reward": "r", "features": "", "noise": ""}),
        ("layer", {}),
        ("calibration", {"item": "zz", "candidates": []}),
        ("calibration", {"item": "00", "candidates": [["a", 1, 1.0]], "created_ms": 1, "model": "m"}),
        ("evidence", {"item": "00"}),
        ("evidence", {"generation": "none", "judgment": "accept", "judged_ms": 1}),
        ("setting", {"name": "other", "value": 3}),
        ("setting", {"name": "retention_days", "value": "x"}),
    ],
)
def test_lines_that_cannot_be_restored_are_named(history: History, sort: str, values: dict[str, object]) -> None:
    counts, refused = history.restore([LearnedRecord(sort, "ann", values)])
    assert counts.added == 0
    assert len(refused) == 1
    with pytest.raises(InvalidInput):
        history.restore([LearnedRecord(sort, "ann", values)], strict=True)
