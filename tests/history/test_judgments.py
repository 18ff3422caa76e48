"""Judgments: what of them becomes history, what replaces what, and taking them back."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.history import History
from edge_ttp.history.learned_rows import Layer, StoredEvidence
from edge_ttp.schema import Feedback

from .conftest import START, new_generation, new_item


def judgment(kind: str, candidate: int = 1, user: str = "ann", name: str = "g1", text: str | None = None) -> Feedback:
    return Feedback(generation_id=name, user_id=user, kind=kind, candidate=candidate, text=text)  # type: ignore[arg-type]


def test_an_edit_becomes_an_item_in_the_same_moment(history: History) -> None:
    history.record(new_generation("g1"))
    stored = history.add_feedback(judgment("edit", text="what I meant"))
    assert stored.id == 1
    assert history.feedback_for("ann") == [stored]
    [item] = history.items("ann")
    assert (item.input, item.output, item.kind, item.source) == ("say something", "what I meant", "email", "edit")
    assert item.metadata == {"generation_id": "g1", "candidate": 1}


def test_an_accepted_text_becomes_an_item(history: History) -> None:
    history.record(new_generation("g1", kind=None))
    history.add_feedback(judgment("accept"))
    [item] = history.items("ann")
    assert (item.output, item.kind, item.source) == ("two", "text", "accept")


def test_accepting_what_the_user_wrote_before_adds_no_second_item(history: History) -> None:
    own = history.add(new_item("two", given="say something"))
    history.record(new_generation("g1"))
    history.add_feedback(judgment("accept"))
    assert history.items("ann") == [own]
    assert len(history.feedback_for("ann")) == 1


@pytest.mark.parametrize("kind", ["reject", "prefer"])
def test_a_mere_judgment_adds_no_item(history: History, kind: str) -> None:
    history.record(new_generation("g1"))
    history.add_feedback(judgment(kind, candidate=2))
    assert history.count("ann") == 0
    assert history.feedback_for("ann")[0].candidate == 2


def test_accepting_an_empty_answer_adds_no_item(history: History) -> None:
    history.record(new_generation("g1", texts=("", " ")))
    history.add_feedback(judgment("accept"))
    assert history.count("ann") == 0


@pytest.mark.parametrize(
    "feedback",
    [
        judgment("prefer", candidate=3),
        judgment("accept", candidate=-1),
        judgment("edit"),
        judgment("edit", text="  "),
        judgment("edit", text="\ud800"),
        judgment("accept", text="hello"),
    ],
)
def test_feedback_that_does_not_fit_changes_nothing(history: History, feedback: Feedback) -> None:
    history.record(new_generation("g1"))
    with pytest.raises(InvalidInput):
        history.add_feedback(feedback)
    assert history.feedback_for("ann") == []
    assert history.count("ann") == 0


def said(history: History) -> list[tuple[str, int, str | None]]:
    return [(one.kind, one.candidate, one.text) for one in history.feedback_for("ann")]


def texts(history: History) -> list[str]:
    return [item.output for item in history.items("ann")]


def test_a_rejection_takes_the_accepted_text_out_of_the_history(history: History) -> None:
    history.record(new_generation("g1"))
    history.add_feedback(judgment("accept"))
    history.add_feedback(judgment("reject"))
    assert said(history) == [("reject", 1, None)]
    assert texts(history) == []
    assert history.recall("ann", "two", 5) == []
    assert history.health(full=True).sound


def test_of_accept_edit_edit_one_is_left(history: History) -> None:
    history.record(new_generation("g1"))
    history.add_feedback(judgment("accept"))
    history.add_feedback(judgment("edit", text="first thought"))
    history.add_feedback(judgment("edit", text="second thought"))
    assert said(history) == [("edit", 1, "second thought")]
    assert texts(history) == ["second thought"]
    assert history.health(full=True).sound


def test_accepting_twice_counts_once(history: History) -> None:
    history.record(new_generation("g1"))
    for _ in range(2):
        history.add_feedback(judgment("accept"), evidence("accept"))
    assert said(history) == [("accept", 1, None)]
    assert texts(history) == ["two"]
    assert len(history.evidence("ann", "r1", 10)[1]) == 1


def test_what_the_app_saw_stands_beside_what_was_said_once_each(history: History) -> None:
    history.record(new_generation("g1"))
    for kind in ("copied", "accept", "copied", "regenerated", "prefer"):
        history.add_feedback(judgment(kind))
    assert [kind for kind, _, _ in said(history)] == ["copied", "regenerated", "prefer"]


def test_a_replaced_judgment_teaches_no_more(history: History) -> None:
    history.record(new_generation("g1"))
    history.add_feedback(judgment("edit", text="mine"), evidence("edit"))
    history.add_feedback(judgment("reject"), evidence("reject"))
    assert [one.kind for one in history.evidence("ann", "r1", 10)[1]] == ["reject"]


def test_a_judgment_taken_back_leaves_nothing(history: History) -> None:
    history.record(new_generation("g1"))
    history.add_feedback(judgment("edit", text="mine"), evidence("edit"))
    history.add_feedback(judgment("copied"))
    before = history.evidence("ann", "r1", 10)[0]
    assert [one.kind for one in history.retract("g1", "ann")] == ["edit", "copied"]
    version, left = history.evidence("ann", "r1", 10)
    assert (said(history), texts(history), left) == ([], [], [])
    assert version > before  # what was learned with it is void
    assert history.generation("g1").n == 3
    assert history.health(full=True).sound


def test_one_kind_can_be_taken_back(history: History) -> None:
    history.record(new_generation("g1"))
    history.add_feedback(judgment("accept"))
    history.add_feedback(judgment("copied"))
    history.retract("g1", kind="copied")
    assert said(history) == [("accept", 1, None)]
    assert texts(history) == ["two"]


def test_what_was_never_said_cannot_be_taken_back(history: History) -> None:
    history.record(new_generation("g1"))
    history.add_feedback(judgment("accept"))
    for name, user, kind in (("g2", None, None), ("g1", "bob", None), ("g1", "ann", "edit")):
        with pytest.raises(NotFound):
            history.retract(name, user, kind=kind)  # type: ignore[arg-type]
    assert len(said(history)) == 1


def test_what_the_user_wrote_themselves_stays(history: History) -> None:
    own = history.add(new_item("two", given="say something"))
    history.record(new_generation("g1"))
    history.add_feedback(judgment("accept"))
    history.retract("g1")
    assert history.items("ann") == [own]


def test_what_the_user_turns_out_to_have_written_themselves_stays(history: History) -> None:
    history.record(new_generation("g1"))
    history.add_feedback(judgment("accept"))
    history.add(new_item("two", given="say something", source="mail"))  # imported afterwards
    history.retract("g1")
    assert [item.source for item in history.items("ann")] == ["mail"]


def test_a_text_accepted_twice_stays_until_both_are_taken_back(history: History) -> None:
    for hour, name in enumerate(("g1", "g2")):
        history.record(new_generation(name, created_at=START + timedelta(hours=hour)))
        history.add_feedback(judgment("accept", name=name))
    history.retract("g1")
    assert texts(history) == ["two"]
    history.retract("g2")
    assert texts(history) == []


def test_a_judgment_that_cannot_be_leaves_the_one_before(history: History) -> None:
    history.record(new_generation("g1"))
    history.add_feedback(judgment("accept"))
    for wrong in (judgment("edit", text="\ud800"), judgment("edit"), judgment("prefer", candidate=9)):
        with pytest.raises(InvalidInput):
            history.add_feedback(wrong)
    assert said(history) == [("accept", 1, None)]
    assert texts(history) == ["two"]


def evidence(kind: str) -> StoredEvidence:
    utility = np.array([0.5, 0.25, 0.0]) if kind == "edit" else None
    return StoredEvidence(kind, Layer("r1", np.eye(3, 4), np.full(3, 0.25)), 1000, utility, 1)
