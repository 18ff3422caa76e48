"""Judgments: each kind for the right candidate, taken back, and what cannot be meant."""

from __future__ import annotations

import pytest
from fakes import FakeReward, Models

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.runtime import Runtime

from .requests import answer


def test_each_kind_of_feedback_is_recorded_for_the_right_candidate(runtime: Runtime) -> None:
    made = answer(runtime)
    other = (made.chosen + 1) % made.n
    accepted = runtime.feedback(made.generation_id, "accept")
    rejected = runtime.feedback(made.generation_id, "reject", user="ann")
    edited = runtime.feedback(made.generation_id, "edit", text="as it should be")
    preferred = runtime.feedback(made.generation_id, "prefer", candidate=other)
    assert [one.candidate for one in (accepted, rejected, edited, preferred)] == [made.chosen] * 3 + [other]
    assert edited.text == "as it should be"
    assert runtime.history.feedback_for("ann") == [preferred]  # the last word counts
    assert runtime.history.items("ann") == []


def test_what_was_said_can_be_taken_back(runtime: Runtime) -> None:
    made = answer(runtime)
    seen = runtime.feedback(made.generation_id, "copied")
    edited = runtime.feedback(made.generation_id, "edit", text="as it should be")
    fingerprint = FakeReward().fingerprint
    assert [one.kind for one in runtime.history.evidence("ann", fingerprint, 9)[1]] == ["edit"]
    assert [(item.input, item.output) for item in runtime.history.items("ann")] == [
        ("what grows here", "as it should be")
    ]
    assert runtime.retract(made.generation_id, user="ann", kind="edit") == (edited,)
    assert runtime.history.items("ann") == []
    assert runtime.history.feedback_for("ann") == [seen]
    assert [one.kind for one in runtime.history.evidence("ann", fingerprint, 9)[1]] == ["copied"]
    assert runtime.retract(made.generation_id) == (seen,)
    assert runtime.history.evidence("ann", fingerprint, 9)[1] == []
    with pytest.raises(NotFound):
        runtime.retract(made.generation_id)


def test_what_was_accepted_is_imitated_next_time(runtime: Runtime, models: Models) -> None:
    made = answer(runtime)
    runtime.feedback(made.generation_id, "edit", text="roses and thorns")
    again = answer(runtime)
    assert again.plan.examples == 1
    assert any(("assistant", "roses and thorns") in messages for messages in models.policy.messages)


def test_feedback_that_cannot_be_meant_is_refused(runtime: Runtime) -> None:
    made = answer(runtime)
    with pytest.raises(NotFound):
        runtime.feedback("000000000000", "accept")
    with pytest.raises(NotFound):
        runtime.feedback(made.generation_id, "accept", user="bob")
    with pytest.raises(InvalidInput, match="prefer needs the candidate"):
        runtime.feedback(made.generation_id, "prefer")
    for candidate in (-1, made.n):
        with pytest.raises(InvalidInput, match="has no candidate"):
            runtime.feedback(made.generation_id, "prefer", candidate=candidate)
    with pytest.raises(InvalidInput, match="an edit needs"):
        runtime.feedback(made.generation_id, "edit")
    with pytest.raises(InvalidInput, match="takes no text"):
        runtime.feedback(made.generation_id, "accept", text="something")
    assert runtime.history.feedback_for("ann") == []
    assert runtime.history.items("ann") == []


def test_there_is_no_feedback_on_what_was_not_stored(runtime: Runtime) -> None:
    made = answer(runtime, store=False)
    with pytest.raises(NotFound):
        runtime.feedback(made.generation_id, "accept")
