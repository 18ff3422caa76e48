"""Judgments as pairs."""

from __future__ import annotations

import json

import pytest
from history.conftest import new_generation

from edge_ttp.cli.main import run
from edge_ttp.exchange.preferences import preference_lines
from edge_ttp.history import History
from edge_ttp.schema import Feedback, FeedbackKind


def judge(history: History, name: str, kind: FeedbackKind, candidate: int = 1, text: str | None = None) -> None:
    history.add_feedback(Feedback(generation_id=name, user_id="ann", kind=kind, candidate=candidate, text=text))


def pairs(history: History, user: str | None = "ann") -> list[tuple[str, str, str]]:
    found = [json.loads(line) for line in preference_lines(history.judged_generations(user))]
    return [(one["kind"], one["chosen"], one["rejected"]) for one in found]


def test_an_edit_is_chosen_over_what_it_corrects_and_a_preferred_candidate_over_all_others(history: History) -> None:
    history.record(new_generation("g"))
    history.record(new_generation("h"))
    judge(history, "g", "edit", text="better")
    judge(history, "h", "prefer", 2)
    judge(history, "g", "edit", text="best")
    assert pairs(history) == [("prefer", "three", "one"), ("prefer", "three", "two"), ("edit", "best", "two")]
    [line] = [json.loads(line) for line in preference_lines(history.judged_generations("ann"))][-1:]
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
    for name in ("g", "h"):
        history.record(new_generation(name, texts=("same", "same ", "other")))
    judge(history, "g", "prefer", 0)
    judge(history, "h", "edit", 1, text="same")
    assert pairs(history) == [("prefer", "same", "other")]


def test_the_command_exports_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "export", "--preferences"]) == 0
    assert "no judgments that make pairs yet" in capsys.readouterr().err
    assert run(["history", "export", "--preferences", "--all"]) == 2
