"""The ladder's page: what appears, what mends it, and what is said not to."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from edge_ttp.lab.reproduction.ladder import BOTTOM, LadderRow, ladder, reproduced
from edge_ttp.lab.reproduction.ladder_page import ladder_page
from edge_ttp.lab.reproduction.score_file import ScoreFile
from edge_ttp.scaling import UNKNOWN, Estimate
from tests.lab.reproduction.test_ladder import made

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def file() -> ScoreFile:
    return made(flipped=0.0)


@pytest.fixture(scope="module")
def rows(file: ScoreFile) -> list[LadderRow]:
    return ladder(file, resamples=20)


def bottom(rows: list[LadderRow], **by_arm: Estimate) -> list[LadderRow]:
    """The rows with these differences from squared error on the bottom rung, by mean; none elsewhere."""
    return [
        replace(row, over_mse=by_arm.get(row.arm, Estimate(0.0, -0.1, 0.1)) if row.selection == "mean" else UNKNOWN)
        if row.rung == BOTTOM and row.arm != "mse"
        else row
        for row in rows
    ]


def test_what_gains_and_what_loses_is_listed_where_chance_does_not_explain_it(
    file: ScoreFile, rows: list[LadderRow]
) -> None:
    text = ladder_page(file, bottom(rows, gaussian=Estimate(0.1, 0.05, 0.2))).text
    assert "share over squared error is gained by gaussian by mean (+0.10) by more than chance." in text
    assert "It is lost by" not in text
    text = ladder_page(file, bottom(rows, gaussian=Estimate(-0.1, -0.2, -0.05))).text
    assert "gained by no other loss and by no use of the variance by more than chance" in text
    assert "- It is lost by gaussian by mean (-0.10)." in text


def test_its_pictures_are_whole_and_every_row_is_in_its_tables(file: ScoreFile, rows: list[LadderRow]) -> None:
    made_page = ladder_page(file, rows)
    for name, picture in made_page.pictures.items():
        assert f"(reproduction/{name})" in made_page.text
        ElementTree.fromstring(picture)
    seeds = made_page.text.split("## Every seed")[1]
    assert seeds.count("\n| ") == len(rows) + 2


def test_what_does_not_appear_is_said_not_to(file: ScoreFile, rows: list[LadderRow]) -> None:
    assert reproduced(rows) == {"c": False, "h": False}
    page = ladder_page(file, rows)
    assert page.text.count("not reproduced on these data") == 2
    assert set(page.pictures) == {"ladder-rungs.svg", "ladder-bottom.svg"}
