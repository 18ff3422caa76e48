"""docs/measured/reproduction.md is made from the committed score file, which holds numbers alone."""

from __future__ import annotations

import pytest
from repository import DOCS, SHIPPED_REWARD

from edge_ttp.lab.reproduction.findings import Bootstrap, ceilings
from edge_ttp.lab.reproduction.ladder import SHIPPED
from edge_ttp.lab.reproduction.score_file import PARTS, ScoreFile, joined, read_scores
from edge_ttp.reward.config import read_config

PAGE = (DOCS / "measured" / "reproduction.md").read_text(encoding="utf-8")
NUMBERS = DOCS / "measured" / "reproduction"
SHIPPED_SCORES, LOSSES = NUMBERS / "scores.npz", NUMBERS / "four-losses.npz"


@pytest.fixture(scope="module")
def file() -> ScoreFile:
    return joined([read_scores(SHIPPED_SCORES), read_scores(LOSSES)])


def test_the_files_are_small_and_have_every_part(file: ScoreFile) -> None:
    assert SHIPPED_SCORES.stat().st_size + LOSSES.stat().st_size < 2**21
    for one in read_scores(LOSSES).sets:
        assert set(one.part.tolist()) == set(range(len(PARTS)))
    assert {part for one in read_scores(SHIPPED_SCORES).sets for part in one.part.tolist()} == {
        PARTS.index("tune"),
        PARTS.index("report"),
    }
    for one in file.sets:
        assert len(set(one.query.tolist())) == len(one)


def test_the_scores_are_those_of_the_shipped_model() -> None:
    found = read_scores(SHIPPED_SCORES)
    shipped = [facts["reward"] for facts in found.made.values() if "reward" in facts]
    assert len(shipped) == 2, "by its mean and by the default rule"
    assert set(shipped) == {read_config(SHIPPED_REWARD)[1][:16]}
    assert found.made[SHIPPED]["name"] == read_config(SHIPPED_REWARD)[0].name
    pools = sum(len(one) for one in found.sets)
    assert f"scored on {pools} pools" in " ".join(PAGE.split())


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
