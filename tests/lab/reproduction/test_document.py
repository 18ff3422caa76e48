"""The page: claims that hold are said to, and so are those that do not."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from edge_ttp.lab.reproduction.document import document
from edge_ttp.lab.reproduction.law_test import CONSTANT, ORDER, SPACED
from edge_ttp.lab.reproduction.reproduce import Reproduction
from edge_ttp.scaling import Estimate

pytestmark = pytest.mark.slow


def claim(found: Reproduction, name: str) -> str:
    (line,) = [line for line in document(found).splitlines() if line.startswith(f"| {name}")]
    return line


def test_the_law_is_said_to_meet_its_targets_only_where_it_does(found: Reproduction) -> None:
    test = found.law_everybody
    assert test is not None
    for r2, error, words in (
        (0.96, 0.02, "(target 0.95: met), mean error of the share 0.020 (target 0.03: met"),
        (0.94, 0.04, "(target 0.95: missed), mean error of the share 0.040 (target 0.03: missed"),
    ):
        forms = {**test.forms, SPACED: replace(test.forms[SPACED], r2=r2, error=error)}
        told = claim(replace(found, law_everybody=replace(test, forms=forms)), "One law gives any score's curve (every")
        assert words in told
    as_good = {**test.forms, CONSTANT: test.forms[SPACED], ORDER: test.forms[SPACED]}
    told = claim(replace(found, law_everybody=replace(test, forms=as_good)), "One law gives any score's curve (every")
    assert "not better than both trivial rivals" in told


def test_too_few_users_give_no_claim_and_are_said_to_be(found: Reproduction) -> None:
    text = document(replace(found, law_report=None))
    assert "(report users) |" not in text
    assert "Too few queries." in text


def test_a_variance_that_is_worth_nothing_is_not_praised(found: Reproduction) -> None:
    base = found.ranked[0]
    nothing = [
        row if row.against.value == 0 else replace(row, against=Estimate(0.01, -0.02, 0.04)) for row in found.ranked
    ]
    told = claim(replace(found, ranked=nothing), "A learned variance mitigates both")
    assert "0 reach a larger share" in told
    assert "0 a smaller one" in told
    told = claim(replace(found, ranked=[base]), "A learned variance mitigates both")
    assert "No variant in the file has a variance." in told


def test_the_page_says_what_was_found(found: Reproduction) -> None:
    text = document(found)
    for words in ("| One law gives any score's curve (report users) |", "Worst case:", "one constant share",
                  "beta-nll, mean", "every variant"):  # fmt: skip
        assert words in text
    assert sorted(found.figures) == ["ceiling-1.svg", "ceiling-2.svg", "curves-1.svg", "curves-2.svg",
                                     "law-everybody.svg", "law-report.svg"]  # fmt: skip
    for name, (_, drawn) in found.figures.items():
        assert f"(reproduction/{name})" in text
        ElementTree.fromstring(drawn)
