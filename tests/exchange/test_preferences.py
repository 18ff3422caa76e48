"""Judgments as pairs, and an export that restores everything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from history.conftest import new_generation
from history.test_forgetting import fill

from edge_ttp.cli.main import run
from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import importing, jsonl
from edge_ttp.exchange.export import lines
from edge_ttp.exchange.preferences import preference_lines
from edge_ttp.history import History
from edge_ttp.history.learning_lines import LearnedRecord
from edge_ttp.schema import Feedback, FeedbackKind


def judge(history: History, name: str, kind: FeedbackKind, candidate: int = 1, text: str | None = None) -> None:
    history.add_feedback(Feedback(generation_id=name, user_id="ann", kind=kind, candidate=candidate, text=text))


def pairs(history: History, user: str | None = "ann") -> list[tuple[str, str, str]]:
    found = [json.loads(line) for line in preference_lines(history, user)]
    return [(one["kind"], one["chosen"], one["rejected"]) for one in found]


def test_an_edit_is_chosen_over_what_it_corrects_and_a_preferred_candidate_over_all_others(history: History) -> None:
    history.record(new_generation("g"))
    judge(history, "g", "edit", text="better")
    judge(history, "g", "prefer", 2)
    judge(history, "g", "edit", text="best")
    assert pairs(history) == [("prefer", "three", "one"), ("prefer", "three", "two"), ("edit", "best", "two")]
    [line] = [json.loads(line) for line in preference_lines(history, "ann")][-1:]
    assert set(line) == {"prompt", "chosen", "rejected", "user_id", "kind", "generation_id", "created_at"}
    assert line["prompt"] == "say something"


def test_an_accepted_answer_is_chosen_over_rejected_ones_for_the_same_prompt(history: History) -> None:
    history.record(new_generation("a"))
    history.record(new_generation("b", texts=("x", "y")))
    history.record(new_generation("c", texts=("z", "w"), prompt="something else"))
    judge(history, "a", "reject")
    judge(history, "c", "regenerated", 1)
    judge(history, "b", "accept", 1)
    assert pairs(history) == [("accept", "y", "two")]
    assert pairs(history, "bob") == []
    assert pairs(history, None) == pairs(history)


def test_equal_texts_make_no_pair(history: History) -> None:
    history.record(new_generation("g", texts=("same", "same ", "other")))
    judge(history, "g", "prefer", 0)
    judge(history, "g", "edit", 1, text="same")
    assert pairs(history) == [("prefer", "same", "other")]


def test_an_export_of_everything_restores_everything(history: History, tmp_path: Path) -> None:
    for day in range(2):
        fill(history, "ann", day)
    fill(history, "bob")
    history.set_retention("bob", 30_000)
    exported = list(lines(history, None, everything=True))
    sorts = {json.loads(line)["record"] for line in exported}
    assert sorts == {"item", "generation", "feedback", "layer", "calibration", "evidence", "setting"}
    with History.open(tmp_path / "other.db") as other:
        how = jsonl.Reading(None, "me")
        report = importing.store_records(
            other,
            lambda: iter(importing.Numbered(at, jsonl.parse(line.encode(), how)) for at, line in enumerate(exported)),
        )
        assert (report.bad, report.added) == (0, len(exported))
        assert list(lines(other, None, everything=True)) == exported
        again = importing.store_records(
            other,
            lambda: iter(importing.Numbered(at, jsonl.parse(line.encode(), how)) for at, line in enumerate(exported)),
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


def test_damaged_numbers_are_refused(history: History) -> None:
    fill(history, "ann")
    [line] = [json.loads(one) for one in history.learning_lines("ann") if '"record": "layer"' in one]
    history.forget("ann", everything=True)
    history.record(new_generation(line["generation"]))
    for damage in ({"features": "!"}, {"features": "AAAA"}, {"noise": line["noise"] + "AAAA"}, {"features": None}):
        values = {**line, **damage}
        _, refused = history.restore([LearnedRecord("layer", "ann", values)])
        assert len(refused) == 1


def test_the_command_exports_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "export", "--preferences"]) == 0
    assert "no judgments that make pairs yet" in capsys.readouterr().err
    assert run(["history", "export", "--preferences", "--all"]) == 2
