"""What is learned, between arrays and rows."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ttp.exchange.records import LearnedRecord
from edge_ttp.history import History
from edge_ttp.history.learned_rows import (
    Floats,
    bytes_of,
    candidates_text,
    drawn_from,
    evidence_from,
    exact_bytes_of,
    layer_from,
    posterior_from,
)
from edge_ttp.schema import Candidate

from .conftest import new_generation
from .owned import fill


def test_damaged_numbers_are_refused(history: History) -> None:
    fill(history, "ann")
    [line] = [one.values for one in history.records("ann", everything=True) if getattr(one, "sort", "") == "layer"]
    history.forget("ann", everything=True)
    history.record(new_generation(line["generation"]))
    for damage in ({"features": "!"}, {"features": "AAAA"}, {"noise": line["noise"] + "AAAA"}, {"features": None}):
        values = {**line, **damage}
        _, refused = history.restore([LearnedRecord("layer", "ann", values)])
        assert len(refused) == 1


def test_candidates_come_back_as_they_were_drawn() -> None:
    drawn = (Candidate(text="a \u2028 b", tokens=2, logprob=-1.5), Candidate(text="", tokens=0, logprob=0))
    assert drawn_from(candidates_text(drawn)) == drawn


@pytest.mark.parametrize(
    "text", ["[]", "{}", "[1]", '[["a", 1]]', '[["a", 1.5, 0]]', "[[3, 1, 0]]", '[["a", 1, NaN]]', None]
)
def test_what_is_no_list_of_candidates_is_refused(text: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        drawn_from(text)


FEATURES, NOISE = np.arange(6.0).reshape(3, 2), np.full(3, 0.5)


def test_a_layer_comes_back_in_32_bits() -> None:
    layer = layer_from("r", bytes_of(FEATURES * (1 + 1e-9)), bytes_of(NOISE), 3)
    np.testing.assert_array_equal(layer.features, FEATURES)
    np.testing.assert_array_equal(layer.noise, NOISE)
    assert layer.features.dtype == np.float64


@pytest.mark.parametrize(
    ("features", "noise", "count"),
    [
        (FEATURES, NOISE, 4),
        (FEATURES.ravel()[:4], NOISE, None),
        (FEATURES, np.array([0.5, 0.0, 0.5]), None),
        (FEATURES, np.array([0.5, np.nan, 0.5]), None),
        (np.full((3, 2), np.inf), NOISE, None),
        (np.zeros(0), np.zeros(0), None),
    ],
)
def test_a_layer_whose_numbers_do_not_fit_is_refused(features: Floats, noise: Floats, count: int | None) -> None:
    with pytest.raises(ValueError, match=r"number|reshape"):
        layer_from("r", bytes_of(features), bytes_of(noise), count)


def row(**changes: object) -> tuple[object, ...]:
    values: dict[str, object] = {
        "kind": "written", "moment": 5, "candidate": 1, "reward": "r",
        "features": bytes_of(FEATURES), "noise": bytes_of(NOISE), "utility": bytes_of(NOISE),
    }  # fmt: skip
    return tuple({**values, **changes}.values())


def test_evidence_comes_back_as_it_was() -> None:
    found = evidence_from(row())
    assert (found.kind, found.moment, found.candidate, found.layer.reward) == ("written", 5, 1, "r")
    assert evidence_from(row(kind="prefer", utility=None)).utility is None


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "guessed"},
        {"candidate": 3},
        {"candidate": -1},
        {"moment": "5"},
        {"moment": True},
        {"utility": None},
        {"utility": bytes_of(NOISE[:2])},
        {"features": "text"},
        {"noise": b"abc"},
        {"reward": 7},
    ],
)
def test_evidence_that_cannot_have_been_stored_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each says what is wrong in words of its own
        evidence_from(row(**changes))


def test_a_posterior_comes_back_to_the_bit() -> None:
    mean, covariance = np.array([1 / 3, 0.1]), np.eye(2) / 7
    values = (4, 9, 0.5, exact_bytes_of(mean), exact_bytes_of(covariance), "{}")
    found = posterior_from("r", values)
    np.testing.assert_array_equal(found.mean, mean)
    np.testing.assert_array_equal(found.covariance, covariance)
    assert (found.version, found.evidence, found.trust) == (4, 9, 0.5)
    for wrong in ((4, 9, 1.5, *values[3:]), (*values[:4], exact_bytes_of(mean), "{}"), (*values[:5], "{")):
        with pytest.raises(ValueError):  # noqa: PT011
            posterior_from("r", wrong)
