"""One user's own evidence for programs: plain JSON, unknown numbers None, nothing of other users."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from edge_ttp.history import History
from edge_ttp.lab.diagnosis.own_report import own_report
from edge_ttp.learning.evidence import judged as evidence_of
from edge_ttp.reward.model import RewardModel
from edge_ttp.reward.posterior import Weights
from tests.lab.diagnosis.test_own_evidence import STOCK, answer, edit, layer_of, texts_of


@dataclass
class Judge:
    """What a report asks of a reward model."""

    fingerprint: str = "r"
    stock: Weights = field(default_factory=lambda: STOCK)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History.open(tmp_path / "history.db") as opened:
        for number in range(9):
            opened.record(answer(number), layer=layer_of(number))
            opened.add_feedback(edit(number), evidence_of(edit(number), layer_of(number), texts_of(number)))
        yield opened


def report(history: History, user: str) -> dict[str, object]:
    return own_report(history, cast(RewardModel, Judge()), user, resamples=20)


def test_edits_become_queries_and_justify_candidates(history: History) -> None:
    told = report(history, "ann")
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    own, counts = told["own"], told["counts"]
    assert isinstance(own, dict)
    assert isinstance(counts, dict)
    assert (own["answers"], own["judged"], own["kinds"]) == (9, 9, {"edit": 9})
    assert own["record"]["queries"] == counts["queries"] == 9
    assert own["record"]["rho"] > 0.6
    assert f"N = {own['n']} is justified" in str(told["verdict"])
    assert own["preferred_rank"] is None  # nothing was preferred
    assert "An edit starts from the answer that was shown" in " ".join(cast(list[str], told["limits"]))


def test_another_users_report_has_nothing_of_it(history: History) -> None:
    told = report(history, "bob")
    own, c = told["own"], told["c"]
    assert isinstance(own, dict)
    assert isinstance(c, dict)
    assert (own["answers"], own["record"]["queries"], c["value"], told["queries"]) == (0, 0, None, [])
    assert "lazy dog" not in json.dumps(told)


def test_the_same_seed_says_the_same(history: History) -> None:
    assert report(history, "ann") == report(history, "ann")
