"""The ladder finds the failures that were put into the numbers, and its page says them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from repository import DOCS, SHIPPED_REWARD

from edge_ttp.cli.main import run as run_command
from edge_ttp.lab.diagnosis.verdict import MATTERS
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
from edge_ttp.lab.reproduction.simulated_modes import COLLAPSE, simulated_scores
from edge_ttp.reward.config import read_config

pytestmark = pytest.mark.slow

SIZES = (2, 4, 8)
COMMITTED = DOCS / "measured" / "reproduction" / "ladder.npz"


def made(*, flipped: float) -> ScoreFile:
    """40 users with two queries, two rungs, three arms; at the bottom squared error's score is turned around on some.

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
    for rung in RUNGS[:2]:
        for arm in ("mse", "bradley-terry", "gaussian"):
            for seed in range(2):
                name = variant(rung, arm, seed)
                facts[name] = {"rung": rung, "loss": arm, "seed": seed}
                likelihood = arm == "gaussian"
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
    rows = {(row.rung, row.arm, row.selection): row for row in ladder(file, resamples=20)}
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


def test_the_command_prints_every_row_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_scores(tmp_path / "ladder.npz", made(flipped=0.2))
    asked = ["reproduce", "--ladder", "--scores", str(tmp_path / "ladder.npz"), "--bootstrap", "20", "--json"]
    assert run_command(asked) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reproduced"]["h"] is True
    assert [one["world"] for one in found["simulated"]] == ["user-level collapse", "query-level hacking", "neither"]
    assert (found["own"], found["encoder"]) == ([], [])
    assert not (tmp_path / "failure-modes.md").exists()


def test_the_committed_ladder_is_whole_and_of_the_shipped_model() -> None:
    file = read_scores(COMMITTED)
    assert COMMITTED.stat().st_size < 2**21
    assert {facts["rung"] for name, facts in file.made.items() if name != SHIPPED} == set(RUNGS)
    assert file.made[SHIPPED]["reward"] == read_config(SHIPPED_REWARD)[1][:16]


def alone(file: ScoreFile, name: str) -> ScoreFile:
    """The file with one network alone."""
    sets = tuple(replace(one, variants={name: one.variants[name]}) for one in file.sets)
    return ScoreFile(sets, {name: file.made[name]})


@pytest.mark.parametrize("name", [*(variant(BOTTOM, arm, 0) for arm in ARMS), SHIPPED])
def test_diagnose_says_in_words_what_the_table_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """`edge-ttp diagnose` on the committed scores of the bottom rung, and the ladder's own row of the same network."""
    file = alone(read_scores(COMMITTED), name)
    row = ladder(file, resamples=60)[0]
    rows = []
    for place, one in enumerate(file.sets):
        score = one.variants[name].score
        rows += [
            {"user_id": f"{place} {user}", "query_id": str(query), "utility": true, "score": said}
            for query, user in enumerate(one.user.tolist())
            for true, said in zip(one.utility[query].tolist(), score[query].tolist(), strict=True)
        ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert run_command(["diagnose", str(tmp_path / "rows.jsonl"), "--bootstrap", "60"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert row.c.value == 0
    assert "No user collapsed" in words
    if name == SHIPPED:
        assert row.h.value < MATTERS
        assert f"Hardly any query is hacked ({row.h.value:.0%}" in words
    else:
        assert row.h.value >= 0.05
        assert f"{row.h.value:.0%} of the other users' queries, weighted by spread, are hacked" in words or (
            row.h.low <= 0 and "Hacked queries cannot be told from none" in words
        )
    assert f"{row.share.value:.0%} of what the best candidate would gain" in words


def test_diagnose_names_collapse_where_the_table_has_it() -> None:
    file = simulated_scores(COLLAPSE, seeds=1)
    for arm, collapsed in (("mse", True), ("gaussian", False)):
        one = alone(file, variant(BOTTOM, arm, 0))
        row = ladder(one, resamples=20)[0]
        said = " ".join(diagnosed(one, variant(BOTTOM, arm, 0), resamples=20))
        assert (row.c.value > 0.05) is collapsed
        assert ("of users collapsed" in said) is collapsed
        assert ("No user collapsed" in said) is not collapsed


@pytest.mark.parametrize("name", ["ladder-rungs.svg", "ladder-bottom.svg"])
def test_the_committed_page_has_its_pictures(name: str) -> None:
    assert f"reproduction/{name}" in (DOCS / "measured" / "failure-modes.md").read_text(encoding="utf-8")
    assert (DOCS / "measured" / "reproduction" / name).exists()
