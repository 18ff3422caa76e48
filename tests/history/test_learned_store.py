"""The part of a history that holds what was learned: everything under its own user and reward model."""

from __future__ import annotations

import numpy as np

from edge_ttp.history import History
from edge_ttp.schema import Candidate

from .conftest import new_generation, new_item
from .test_learning import DRAWN, evidence, judge, layer


def test_what_another_reward_model_left_is_named_and_renewed_where_it_came_from(history: History) -> None:
    item = history.add(new_item("text", given="say"))
    history.calibrate(item, "tiny", DRAWN, evidence())
    history.record(new_generation("g"))
    judge(history, "g", "reject")
    assert history.outdated("ann", "r1") == ([], [])
    calibrated, judged = history.outdated("ann", "r2")
    assert ([one.item.id for one in calibrated], [one.kind for one in judged]) == ([item.id], ["reject"])
    for source, kind in ((calibrated[0], "written"), (judged[0], "reject")):
        history.renew_evidence(source, evidence(5, kind, reward="r2"))
    assert history.outdated("ann", "r2") == ([], [])
    assert len(history.evidence("ann", "r2", 9)[1]) == 2
    history.forget("ann", everything=True)
    history.renew_evidence(calibrated[0], evidence(reward="r3"))  # its source is gone
    assert history.evidence("ann", "r3", 9)[1] == []


def test_evidence_is_given_with_the_texts_that_it_is_about(history: History) -> None:
    item = history.add(new_item("text", given="say"))
    drawn = (*DRAWN, Candidate(text="c", tokens=1, logprob=-3.0))
    history.calibrate(item, "tiny", drawn, evidence())
    (found,) = history.sourced_evidence("ann", "r1", 9)
    assert found.texts == ("a", "b", "c")
    assert history.sourced_evidence("bob", "r1", 9) == []


def test_a_layer_is_of_its_generation(history: History) -> None:
    history.record(new_generation("g"), layer=layer(3))
    history.record(new_generation("h"))
    found = history.layer("g")
    assert found is not None
    np.testing.assert_array_equal(found.features, layer(3).features)
    assert history.layer("h") is None
    assert history.layer("nowhere") is None
