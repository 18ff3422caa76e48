"""From the score file to everything that the page shows."""

from __future__ import annotations

import json

import pytest

from edge_ttp.lab.reproduction.findings import Bootstrap
from edge_ttp.lab.reproduction.reproduce import Reproduction, reproduce
from edge_ttp.lab.reproduction.score_file import ScoreFile
from tests.lab.reproduction.makers import score_set


@pytest.mark.slow
def test_figures_are_named_with_what_they_are_of(found: Reproduction) -> None:
    assert found.figure_names("ceiling") == [("small", "ceiling-1.svg"), ("large", "ceiling-2.svg")]
    assert found.figure_names("law") == [("report users", "law-report.svg"), ("everybody", "law-everybody.svg")]


@pytest.mark.slow
def test_as_an_object_it_has_every_finding(found: Reproduction) -> None:
    told = json.loads(json.dumps(found.as_object()))
    assert told["law"]["report"]["forms"]["law"]["r2"] > 0.8
    assert told["law"]["everybody"]["worst"]["n"] in (2, 4, 8)
    assert len(told["ceilings"]) == 4
    assert len(told["quantities"]) == len(found.measured)
    assert {row["by"] for row in told["variance"]} == {"mean", "sd", "epistemic"}


def test_where_users_are_too_few_the_law_is_not_tested_and_the_splits_are_counted() -> None:
    few = score_set("titles", "small", {"sum": 0.8}, queries=45)
    done: list[float] = []
    found = reproduce(
        ScoreFile((few,), {"sum": {"loss": "none"}}), splits=2, bootstrap=Bootstrap(20), advance=done.append
    )
    assert found.law_report is None
    assert found.law_everybody is not None
    assert done == [3, 4]  # of two times two
    assert "law-report.svg" not in found.figures
    assert found.as_object()["law"]["report"] is None
