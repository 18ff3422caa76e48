from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.history import History
from edge_ttp.schema import Feedback, utc_now

from .conftest import new_generation


def judgment(kind: str, candidate: int = 1, user: str = "ann", name: str = "g1", text: str | None = None) -> Feedback:
    return Feedback(generation_id=name, user_id=user, kind=kind, candidate=candidate, text=text)  # type: ignore[arg-type]


def test_a_generation_comes_back_whole(history: History) -> None:
    generation = new_generation("g1")
    history.record(generation)
    assert history.generation("g1") == generation
    assert history.generation("g1", "ann") == generation


def test_a_generation_with_nothing_optional_comes_back_whole(history: History) -> None:
    bare = new_generation("g1", kind=None, reward=None, notes=())
    unscored = [
        candidate.model_copy(update=dict.fromkeys(("mean", "variance", "aleatoric", "epistemic", "score")))
        for candidate in bare.candidates
    ]
    bare = bare.model_copy(update={"candidates": tuple(unscored)})
    history.record(bare)
    assert history.generation("g1") == bare


def test_256_candidates_are_all_kept(history: History) -> None:
    generation = new_generation("g1", texts=tuple(f"candidate {number}" for number in range(256)))
    history.record(generation)
    assert history.generation("g1") == generation


def test_generations_come_newest_first(history: History) -> None:
    for hour, name in enumerate(["g1", "g2", "g3"]):
        history.record(new_generation(name, created_at=utc_now() + timedelta(hours=hour)))
    history.record(new_generation("other", user="bob"))
    assert [found.generation_id for found in history.generations("ann")] == ["g3", "g2", "g1"]
    assert [found.generation_id for found in history.generations("ann", 2)] == ["g3", "g2"]


def test_another_users_generation_is_out_of_reach(history: History) -> None:
    history.record(new_generation("g1"))
    with pytest.raises(NotFound):
        history.generation("g1", "bob")
    with pytest.raises(NotFound):
        history.generation("g2")
    with pytest.raises(NotFound):
        history.add_feedback(judgment("accept", user="bob"))
    assert history.feedback_for("bob") == []


@pytest.mark.parametrize(
    "fields", [{"candidates": ()}, {"chosen": 3}, {"chosen": -1}, {"n": 2}, {"seed": 2**63}, {"text": "\ud800"}]
)
def test_a_generation_that_does_not_fit_is_refused_whole(history: History, fields: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        history.record(new_generation("g1").model_copy(update=fields))
    assert history.generations("ann") == []


def test_a_bad_last_candidate_leaves_nothing_of_the_generation(history: History) -> None:
    generation = new_generation("g1")
    broken = (*generation.candidates[:2], generation.candidates[2].model_copy(update={"text": "\ud800"}))
    with pytest.raises(InvalidInput):
        history.record(generation.model_copy(update={"candidates": broken}))
    assert history.stats().generations == history.stats().candidates == 0


def test_an_id_is_recorded_once(history: History) -> None:
    history.record(new_generation("g1"))
    with pytest.raises(InvalidInput, match="recorded already"):
        history.record(new_generation("g1", user="bob"))


def test_fewer_candidates_than_planned_are_fine(history: History) -> None:
    generation = new_generation("g1", n=8)
    history.record(generation)
    assert history.generation("g1") == generation


def test_retention_drops_old_generations_with_all_that_hangs_on_them(history: History) -> None:
    now = utc_now()
    history.record(new_generation("old", created_at=now - timedelta(days=10)))
    history.record(new_generation("new", created_at=now - timedelta(days=1)))
    history.record(new_generation("foreign", user="bob", created_at=now - timedelta(days=10)))
    history.add_feedback(judgment("edit", name="old", text="mine"))
    assert history.set_retention("ann", 7) == 1
    assert [found.generation_id for found in history.generations("ann")] == ["new"]
    assert [found.generation_id for found in history.generations("bob")] == ["foreign"]
    assert history.feedback_for("ann") == []
    assert history.stats("ann").candidates == 3
    assert [item.output for item in history.items("ann")] == ["mine"]
    assert history.health(full=True).sound


def test_retention_applies_when_the_next_generation_is_recorded(history: History) -> None:
    assert history.set_retention("ann", 7) == 0
    history.record(new_generation("old", created_at=utc_now() - timedelta(days=8)))
    history.record(new_generation("new", created_at=utc_now()))
    assert [found.generation_id for found in history.generations("ann")] == ["new"]


def test_retention_is_each_users_own_and_can_be_lifted(history: History) -> None:
    assert history.retention("ann") is None
    history.set_retention("ann", 7)
    assert (history.retention("ann"), history.retention("bob")) == (7, None)
    history.set_retention("ann", 30)
    assert history.retention("ann") == 30
    assert history.set_retention("ann", None) == 0
    assert history.retention("ann") is None


@pytest.mark.parametrize("days", [0, -1, 10**9])
def test_impossible_retentions_are_refused(history: History, days: int) -> None:
    with pytest.raises(InvalidInput):
        history.set_retention("ann", days)


def test_a_usual_retention_holds_for_users_who_said_nothing(path: Path) -> None:
    old = utc_now() - timedelta(days=10)
    with History.open(path, retention_days=7) as history:
        for user in ("ann", "bob", "eve"):
            history.record(new_generation(f"{user}-old", user=user, created_at=old))
        assert history.retention("ann") == 7
        assert history.generations("ann") == []
        history.set_retention("bob", 30)
        history.set_retention("eve", None)
        for user in ("bob", "eve"):
            history.record(new_generation(f"{user}-again", user=user, created_at=old))
            assert len(history.generations(user)) == 1
        assert (history.retention("bob"), history.retention("eve")) == (30, None)
    with History.open(path) as history:
        assert history.retention("ann") is None
