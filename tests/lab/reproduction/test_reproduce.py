"""The reproduction finds what was put into the numbers, and the page says it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from edge_ttp.cli.main import run
from edge_ttp.lab.reproduction.cells import EVERYBODY, REPORT, cells
from edge_ttp.lab.reproduction.document import document
from edge_ttp.lab.reproduction.findings import ALL, Bootstrap, ceilings
from edge_ttp.lab.reproduction.law_test import CONSTANT, CORRECTED, ORDER, PLAIN, SPACED, TRANSFER, law_test
from edge_ttp.lab.reproduction.reproduce import Reproduction, reproduce
from edge_ttp.lab.reproduction.score_file import ScoreFile, write_scores
from tests.lab.reproduction.makers import MADE, SIZES, score_file, score_set

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found() -> Reproduction:
    return reproduce(score_file(), splits=3, bootstrap=Bootstrap(40), advance=lambda done: None)


def test_cells_hold_the_users_asked_for() -> None:
    file = score_file()
    assert len(cells(file, EVERYBODY)) == 4 * 3
    assert {len(cell.pools) for cell in cells(file, REPORT)} == {80}
    cell = cells(file, EVERYBODY)[0]
    half = cell.take(cell.user % 2 == 0)
    np.testing.assert_allclose(half.gain.sum() + cell.take(cell.user % 2 == 1).gain.sum(), cell.gain.sum())
    assert half.pools.users == len(np.unique(half.user))


def test_the_law_beats_its_rivals_where_it_is_true(found: Reproduction) -> None:
    test = found.law_everybody
    assert test is not None
    assert test.points == 2 * 4 * 3 * len(SIZES)
    law = test.forms[SPACED]
    assert law.error < 0.5 * test.forms[CONSTANT].error
    assert law.error < 0.5 * test.forms[ORDER].error
    assert law.r2 > max(0.9, test.forms[CONSTANT].r2, test.forms[ORDER].r2)
    assert law.error < 2 * test.forms[TRANSFER].error
    assert law.r2_low <= law.r2 <= law.r2_high
    for other in (PLAIN, CORRECTED):  # these scores and utilities are Gaussian: all forms are the same
        assert test.forms[other].error == pytest.approx(law.error, abs=0.03)
    assert all(abs(value) < 0.04 for value in (*test.departure.values(), *test.kept.values()))
    assert abs(test.score_skewness) < 0.1


def test_the_law_is_seen_to_fail_where_it_is_false() -> None:
    """A rule that picks at random below N, and by its score at N, has no one share."""
    one = score_set("titles", "small", {"sum": 0.8})
    picked = one.variants["sum"].picked.copy()
    picked[:, 0] = one.utility.mean(axis=1)
    broken = type(one.variants["sum"])(one.variants["sum"].score, picked)
    file = ScoreFile((type(one)(**{**vars(one), "variants": {"sum": broken}}),), {"sum": {"loss": "none"}})
    test = law_test(cells(file, EVERYBODY), splits=3, seed=0)
    assert test is not None
    assert test.worst.n == 2
    assert test.departure[2] < -0.5
    assert abs(test.kept[2]) < 0.1


def test_too_few_queries_give_no_test() -> None:
    few = score_set("titles", "small", {"sum": 0.8}, queries=15)
    assert law_test(cells(ScoreFile((few,), {"sum": {"loss": "none"}}), EVERYBODY), splits=2, seed=0) is None


def test_the_ceiling_of_each_tail_is_told() -> None:
    sets = tuple(score_set(task, "small", {"sum": 0.5}, tail=task == "long") for task in ("long", "short"))
    long, short = ceilings(ScoreFile(sets, {"sum": {}}), Bootstrap(40))
    assert long.fits.better == "exponential"
    assert long.exponential_better > 0.9
    assert long.doublings[-1] / long.doublings[1] == pytest.approx(1.0, abs=0.15)
    assert short.fits.better == "gaussian"
    assert short.doublings[-1] < 0.95 * short.doublings[0]


def test_quantities_and_variance_are_those_of_the_scores(found: Reproduction) -> None:
    whole = {(row.policy, row.variant): row for row in found.measured if row.task == ALL}
    assert len(whole) == 2 * len(MADE)
    for policy in ("small", "large"):
        shares = [whole[policy, name].quantities.share.value for name in MADE]
        assert shares == sorted(shares)
        assert whole[policy, "mse"].quantities.net.value == pytest.approx(0.6, abs=0.04)
    ranked = [row for row in found.ranked if row.policy == "small"]
    assert [(row.way.variant, row.way.by) for row in ranked] == [
        ("mse", "mean"), ("beta-nll", "mean"), ("beta-nll", "sd"), ("beta-nll", "epistemic"),
    ]  # fmt: skip
    assert ranked[0].against.value == 0
    assert ranked[2].way.kappa > 0
    assert ranked[2].share.value > ranked[1].share.value


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
    assert found.as_object()["law"]["report"]["forms"]["law"]["r2"] > 0.8


def test_the_command_writes_the_page_and_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = score_set("titles", "small", {"sum": 0.6}, queries=90)
    write_scores(tmp_path / "scores.npz", ScoreFile((one,), {"sum": {"loss": "none"}}))
    arguments = ["reproduce", "--scores", str(tmp_path / "scores.npz"), "--splits", "2", "--bootstrap", "20"]
    assert run([*arguments, "--out", str(tmp_path)]) == 0
    assert "No variant in the file has a variance" in (tmp_path / "reproduction.md").read_text()
    assert len(list((tmp_path / "reproduction").glob("*.svg"))) == 4
    assert run([*arguments, "--out", str(tmp_path)]) == 2
    assert "add --force" in capsys.readouterr().err
    assert run([*arguments, "--out", str(tmp_path), "--force"]) == 0
    capsys.readouterr()
    assert run([*arguments, "--json", "--out", str(tmp_path / "unused")]) == 0
    assert not (tmp_path / "unused").exists()
    assert set(json.loads(capsys.readouterr().out)) == {"law", "ceilings", "quantities", "variance"}
