"""What is learned hangs on what it came from: evidence, its count, posteriors that never outlive it."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.history import History
from edge_ttp.history.learned_rows import Layer, StoredEvidence, StoredPosterior
from edge_ttp.schema import Candidate, Feedback, FeedbackKind

from .conftest import new_generation, new_item

DRAWN = (Candidate(text="a", tokens=2, logprob=-1.0), Candidate(text="b", tokens=3, logprob=-2.5))


def layer(seed: int = 0, reward: str = "r1", n: int = 3) -> Layer:
    rng = np.random.default_rng(seed)
    return Layer(reward, rng.normal(size=(n, 4)).astype(np.float32).astype(np.float64), np.full(n, 0.25))


def evidence(seed: int = 0, kind: str = "written", reward: str = "r1", moment: int = 1000) -> StoredEvidence:
    utility = np.array([0.5, 0.25, 0.0]) if kind in ("written", "edit") else None
    return StoredEvidence(kind, layer(seed, reward), moment, utility, 1)


def posterior(version: int, reward: str = "r1") -> StoredPosterior:
    return StoredPosterior(reward, version, 1, 0.75, np.arange(4) / 3, np.eye(4) / 7, "{}")


def judge(history: History, name: str, kind: FeedbackKind, seed: int = 0) -> Feedback:
    text = "as it should be" if kind == "edit" else None
    given = Feedback(generation_id=name, user_id="ann", kind=kind, candidate=1, text=text)
    return history.add_feedback(given, evidence(seed, kind))


def test_evidence_comes_back_as_it_was_newest_first(history: History) -> None:
    for day in range(3):
        item = history.add(new_item(f"text {day}", day=day, given="say"))
        assert history.calibrate(item, "tiny", DRAWN, evidence(day, moment=day))
    version, found = history.evidence("ann", "r1", 10)
    assert version == 3
    assert [one.moment for one in found] == [2, 1, 0]
    np.testing.assert_array_equal(found[0].layer.features, layer(2).features)
    np.testing.assert_array_equal(found[0].layer.noise, layer(2).noise)
    np.testing.assert_array_equal(found[0].utility, evidence().utility)
    assert (found[0].kind, found[0].candidate) == ("written", 1)
    assert len(history.evidence("ann", "r1", 2)[1]) == 2
    assert history.evidence("ann", "r2", 10)[1] == []
    assert history.evidence("nobody", "r1", 10) == (0, [])


def test_an_item_is_calibrated_once_and_only_while_it_is_there(history: History) -> None:
    item = history.add(new_item("text", given="say"))
    assert [one.id for one in history.uncalibrated("ann", 5)] == [item.id]
    assert history.calibrate(item, "tiny", DRAWN, evidence())
    assert not history.calibrate(item, "tiny", DRAWN, evidence())
    assert history.uncalibrated("ann", 5) == []
    gone = item.model_copy(update={"id": 999})
    assert not history.calibrate(gone, "tiny", DRAWN, evidence())
    assert history.evidence("ann", "r1", 10)[0] == 1


def test_items_without_an_input_and_judgments_are_not_calibrated(history: History) -> None:
    history.add(new_item("no input"))
    history.record(new_generation("g"))
    judge(history, "g", "edit")
    wanted = history.add(new_item("own", given="say"))
    assert [one.id for one in history.uncalibrated("ann", 5)] == [wanted.id]


def test_numbers_that_do_not_fit_together_are_refused(history: History) -> None:
    item = history.add(new_item("text", given="say"))
    good = evidence()
    for bad in (
        StoredEvidence("written", Layer("r1", good.layer.features, np.zeros(3)), 0, good.utility),
        StoredEvidence("written", Layer("r1", good.layer.features, np.ones(2)), 0, good.utility),
        StoredEvidence("written", good.layer, 0, np.array([0.1, np.nan, 0.0])),
        StoredEvidence("reject", good.layer, 0, None, 3),
    ):
        with pytest.raises(InvalidInput, match="cannot be stored"):
            history.calibrate(item, "tiny", DRAWN, bad)
    assert history.evidence("ann", "r1", 10) == (0, [])
    assert history.uncalibrated("ann", 5) != []


def test_a_generations_last_layer_is_kept_with_it(history: History) -> None:
    history.record(new_generation("g"), layer=layer(5))
    history.record(new_generation("h"))
    found = history.layer("g")
    assert found is not None
    assert found.reward == "r1"
    np.testing.assert_array_equal(found.features, layer(5).features)
    assert history.layer("h") is history.layer("none") is None


def test_what_was_said_last_outdoes_what_was_seen(history: History) -> None:
    history.record(new_generation("g"))
    kinds: list[tuple[FeedbackKind, str]] = [
        ("copied", "copied"),
        ("accept", "accept"),
        ("regenerated", "accept"),
        ("reject", "reject"),
        ("edit", "edit"),
        ("copied", "edit"),
        ("accept", "accept"),
        ("edit", "edit"),
    ]
    for given, counting in kinds:
        judge(history, "g", given)
        assert [one.kind for one in history.evidence("ann", "r1", 10)[1]] == [counting]
    assert [one.kind for one in history.feedback_for("ann")] == ["regenerated", "copied", "edit"]


def test_a_posterior_is_valid_until_the_evidence_changes(history: History) -> None:
    item = history.add(new_item("text", given="say"))
    history.calibrate(item, "tiny", DRAWN, evidence())
    version, _ = history.evidence("ann", "r1", 10)
    assert history.save_posterior("ann", posterior(version))
    found = history.posterior("ann", "r1")
    assert found is not None
    np.testing.assert_array_equal(found.mean, np.arange(4) / 3)
    np.testing.assert_array_equal(found.covariance, np.eye(4) / 7)
    assert (found.trust, found.evidence, found.version) == (0.75, 1, version)
    assert history.posterior("ann", "r2") is None
    history.record(new_generation("g"))
    judge(history, "g", "reject")
    assert history.posterior("ann", "r1") is None
    assert not history.save_posterior("ann", posterior(version))
    assert history.posterior("ann", "r1") is None


def test_deleting_what_evidence_came_from_deletes_it_and_the_posterior(history: History) -> None:
    item = history.add(new_item("text", given="say"))
    history.calibrate(item, "tiny", DRAWN, evidence())
    history.record(new_generation("g"))
    judge(history, "g", "reject")
    version, _ = history.evidence("ann", "r1", 10)
    history.save_posterior("ann", posterior(version))
    history.set_retention("ann", 1)  # the generation is older
    assert [one.kind for one in history.evidence("ann", "r1", 10)[1]] == ["written"]
    assert history.posterior("ann", "r1") is None


def test_another_reward_model_finds_what_it_has_to_see_again(history: History) -> None:
    item = history.add(new_item("text", given="say"))
    history.calibrate(item, "tiny", DRAWN, evidence())
    history.record(new_generation("g"))
    judge(history, "g", "copied")
    judge(history, "g", "reject")
    assert history.outdated("ann", "r1") == ([], [])
    [calibrated], [judged] = history.outdated("ann", "r2")
    assert (calibrated.item.id, calibrated.candidates, calibrated.model) == (item.id, DRAWN, "tiny")
    assert judged.kind == "reject"
    history.renew_evidence(calibrated, evidence(reward="r2"))
    history.renew_evidence(judged, evidence(kind="reject", reward="r2"))
    assert history.outdated("ann", "r2") == ([], [])
    assert len(history.evidence("ann", "r2", 10)[1]) == 2
    assert history.evidence("ann", "r1", 10)[1] == []


def test_users_are_kept_apart(history: History) -> None:
    item = history.add(new_item("text", given="say"))
    history.calibrate(item, "tiny", DRAWN, evidence())
    history.add(new_item("text", user="bob", given="say"))
    assert history.evidence("bob", "r1", 10) == (0, [])
    assert len(history.uncalibrated("bob", 5)) == 1
    assert history.outdated("bob", "r2") == ([], [])
