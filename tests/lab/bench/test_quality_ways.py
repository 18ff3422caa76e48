"""Ways to answer: which text each would give, on pools whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ttp.lab.bench.halves import halved_queries
from edge_ttp.lab.bench.quality_ways import (
    SHARPNESS,
    WayAnswer,
    best_single,
    chosen,
    first_words,
    weighted_consensus,
)
from edge_ttp.lab.bench.scored_pools import TUNE
from edge_ttp.reward.model import EncodedPool, Scores
from edge_ttp.reward.utility import utility
from edge_ttp.schema import Candidate
from tests.lab.bench.test_halves import write


def scores(mean: list[float], similarity: list[list[float]], *, familiar: bool = True) -> Scores:
    size = len(mean)
    flat: Any = np.full(size, 1e-6)
    return Scores(
        mean=np.array(mean), aleatoric=flat, epistemic=flat, variance=2 * flat, similarity=np.array(similarity),
        features=np.zeros((size, 2)), offset=0.0, offset_variance=0.0, familiar=familiar,
    )  # fmt: skip


def pool(*texts: str) -> EncodedPool:
    drawn = tuple(Candidate(text=text, tokens=3, logprob=-place - 1.0) for place, text in enumerate(texts))
    return type("Pool", (), {"candidates": drawn})()  # type: ignore[return-value]


APART = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.9], [0.0, 0.9, 1.0]]
"""The second and third candidate say nearly the same."""


def test_a_familiar_user_is_answered_by_score_and_another_by_consensus() -> None:
    three = pool("a", "b", "c")
    assert chosen(scores([0.9, 0.1, 0.2], APART), three) == 0
    assert chosen(scores([0.9, 0.1, 0.2], APART, familiar=False), three) in (1, 2)
    assert chosen(scores([0.1, 0.9, 0.2], APART), three, "first") == 0


def test_consensus_is_weighed_by_what_is_good() -> None:
    """Two that agree outvote a third, unless the third is better by much more than SHARPNESS."""
    assert weighted_consensus(scores([0.5, 0.5, 0.5], APART)) in (1, 2)
    trio = [[1.0, 0.6, 0.0], [0.6, 1.0, 0.5], [0.0, 0.5, 1.0]]
    assert weighted_consensus(scores([0.5, 0.5, 0.5], trio)) == 1
    lifted = scores([0.5, 0.5 + 20 * SHARPNESS, 0.5], trio)
    assert weighted_consensus(lifted) == 0  # the likest to the only one that counts


def test_an_answer_of_several_texts_is_worth_their_mean() -> None:
    made = WayAnswer.of(["fern and heath", "nothing"], "fern and heath")
    assert made.utility == pytest.approx((1 + utility("nothing", "fern and heath")) / 2)


def test_the_best_single_answer_is_the_rule_that_is_best_on_average() -> None:
    answers = {
        "greedy": {1: WayAnswer(("a",), 0.2), 2: WayAnswer(("a",), 0.2)},
        "one answer, T=0.4": {1: WayAnswer(("a",), 0.9), 2: WayAnswer(("a",), 0.0)},
        "TTP 16": {1: WayAnswer(("a",), 1.0)},
    }
    assert best_single(answers) == "one answer, T=0.4"
    assert best_single({"TTP 16": {}}) is None


def test_first_words_are_as_many_as_the_user_usually_writes(tmp_path: Path) -> None:
    query = halved_queries(write(tmp_path), ["notes"], tenths=TUNE, users=1)[0].query
    long = query.item.model_copy(update={"input": " ".join(f"word{place}" for place in range(50))})
    words = first_words(type(query)(query.task, long, query.place, query.history)).split()
    usual = sorted(len(one.output.split()) for one in query.history)
    assert usual[0] <= len(words) <= usual[-1]
    assert words[0] == "word0"
