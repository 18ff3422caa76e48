"""The ladder finds the failures that were put into the numbers, and its page says them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from repository import DOCS, SHIPPED_REWARD
from typer.testing import CliRunner

from edge_ttp.cli.main import app
from edge_ttp.lab.reproduction.ladder import (
    ARMS,
    BOTTOM,
    RUNGS,
    SELECTIONS,
    SHIPPED,
    diagnosed,
    ladder,
    reproduced,
    variant,
)
from edge_ttp.lab.reproduction.ladder_page import ladder_page
from edge_ttp.lab.reproduction.score_file import Scored, ScoreFile, ScoreSet, read_scores, write_scores
from edge_ttp.reward.config import read_config

SIZES = (2, 4, 8)
COMMITTED = DOCS / "measured" / "reproduction" / "ladder.npz"


def made(*, flipped: float) -> ScoreFile:
    """40 users with two queries; on the bottom rung the score of squared error is turned around on some queries.

    The likelihood knows: its scores are right, and its variance is large where noise was added to them.
    """
    rng = np.random.default_rng(3)
    queries, size = 80, SIZES[-1]
    utility = np.clip(0.3 + 0.08 * rng.standard_normal((queries, size)), 0, 1)
    right = utility - utility.mean(axis=1, keepdims=True) + 0.03 * rng.standard_normal(utility.shape)
    sign = np.where(rng.random(queries) < flipped, -1.0, 1.0)[:, None]

    def scored(score: np.ndarray, spread: np.ndarray | None = None) -> Scored:
        picks = np.stack([utility[np.arange(queries), score[:, :n].argmax(axis=1)] for n in SIZES], axis=1)
        return Scored(score, picks, spread, spread)

    variants, facts = {}, {}
    for rung in RUNGS:
        for arm in ARMS:
            for seed in range(2):
                name = variant(rung, arm, seed)
                facts[name] = {"rung": rung, "loss": arm, "seed": seed}
                likelihood = arm in ("gaussian", "beta-nll")
                broken = rung == BOTTOM and not likelihood
                variants[name] = scored(
                    right * sign if broken else right, np.full_like(right, 0.01) if likelihood else None
                )
    variants[SHIPPED], facts[SHIPPED] = scored(right, np.full_like(right, 0.01)), {"reward": "x"}
    user = np.repeat(np.arange(40), 2)
    one = ScoreSet("titles", "small", SIZES, user, np.arange(queries), np.full(queries, 1), utility, variants)
    return ScoreFile((one,), facts)


def test_hacking_is_found_where_it_was_put_and_what_mends_it_is_told() -> None:
    file = made(flipped=0.3)
    rows = {(row.rung, row.arm, row.selection): row for row in ladder(file, resamples=40)}
    plain = rows[BOTTOM, "mse", "mean"]
    assert plain.h.value > 0.15
    assert plain.c.value == 0
    assert rows[BOTTOM, "gaussian", "mean"].h.value < 0.05
    assert rows[BOTTOM, "gaussian", "mean"].over_mse.low > 0
    assert rows[BOTTOM, "mse", "mean"].over_mse.value == 0
    assert rows["differences", "mse", "mean"].share.value > plain.share.value
    assert len(plain.by_seed) == plain.seeds == 2
    assert {selection for _, arm, selection in rows if arm == "mse"} == {"mean"}
    assert {selection for rung, arm, selection in rows if (rung, arm) == (BOTTOM, "gaussian")} == set(SELECTIONS)
    assert reproduced(list(rows.values())) == {"c": False, "h": True}
    text = ladder_page(file, list(rows.values())).text
    assert "Hacking of the standard model with squared error appears" in text
    assert "Collapse of the standard model with squared error is **not reproduced" in text
    assert "gaussian by mean" in text
    assert "are hacked" in " ".join(diagnosed(file, variant(BOTTOM, "mse", 0)))
    assert "Hardly any query is hacked" in " ".join(diagnosed(file, SHIPPED))
    assert "> " in text


def test_the_command_writes_the_page_and_its_pictures(tmp_path: Path) -> None:
    write_scores(tmp_path / "ladder.npz", made(flipped=0.2))
    asked = ["reproduce", "--ladder", "--scores", str(tmp_path / "ladder.npz"), "--bootstrap", "20"]
    run = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "out")])
    assert run.exit_code == 0, run.output
    assert "every seed" in (tmp_path / "out" / "failure-modes.md").read_text(encoding="utf-8").lower()
    assert (tmp_path / "out" / "reproduction" / "ladder-rungs.svg").exists()
    run = CliRunner().invoke(app, [*asked, "--json"])
    assert json.loads(run.stdout)["reproduced"]["h"] is True


def test_the_committed_ladder_is_whole_and_of_the_shipped_model() -> None:
    file = read_scores(COMMITTED)
    assert COMMITTED.stat().st_size < 2**21
    assert {facts["rung"] for name, facts in file.made.items() if name != SHIPPED} == set(RUNGS)
    assert file.made[SHIPPED]["reward"] == read_config(SHIPPED_REWARD)[1][:16]


@pytest.mark.parametrize("name", ["ladder-rungs.svg", "ladder-bottom.svg"])
def test_the_committed_page_has_its_pictures(name: str) -> None:
    assert f"reproduction/{name}" in (DOCS / "measured" / "failure-modes.md").read_text(encoding="utf-8")
    assert (DOCS / "measured" / "reproduction" / name).exists()
