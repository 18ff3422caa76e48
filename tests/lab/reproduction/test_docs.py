"""docs/measured/reproduction.md is made from the committed score file, which holds numbers alone."""

from __future__ import annotations

import pytest
from repository import DOCS

from edge_ttp.lab.reproduction.findings import Bootstrap, ceilings
from edge_ttp.lab.reproduction.score_file import PARTS, ScoreFile, read_scores

PAGE = (DOCS / "measured" / "reproduction.md").read_text(encoding="utf-8")
SCORES = DOCS / "measured" / "reproduction" / "scores.npz"


@pytest.fixture(scope="module")
def file() -> ScoreFile:
    return read_scores(SCORES)


def test_the_file_is_small_and_has_every_part(file: ScoreFile) -> None:
    assert SCORES.stat().st_size < 2**21
    for one in file.sets:
        assert set(one.part.tolist()) == set(range(len(PARTS)))
        assert len(set(one.query.tolist())) == len(one)


def test_every_set_and_variant_is_on_the_page(file: ScoreFile) -> None:
    for one in file.sets:
        assert f"| {one.task} | {one.policy} | {len(one)} |" in PAGE
    for name in file.made:
        assert f"| {name} |" in PAGE


def test_the_ceilings_on_the_page_are_those_of_the_file(file: ScoreFile) -> None:
    for one in ceilings(file, Bootstrap(20)):
        fits = one.fits
        shown = f"{fits.exponential.scale:.3f}; {fits.gaussian.scale:.3f} | {fits.exponential.rmse:.4f}"
        assert f"| {one.task} | {one.policy} | {shown} | {fits.gaussian.rmse:.4f} | {fits.better} |" in PAGE


def test_every_figure_on_the_page_exists() -> None:
    names = [part.split(")")[0] for part in PAGE.split("(reproduction/")[1:]]
    assert names
    for name in names:
        assert (DOCS / "measured" / "reproduction" / name).is_file(), name
