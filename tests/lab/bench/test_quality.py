"""The table that decides, on made-up pools whose answers are known, and on really drawn ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_ttp.cli.main import app
from edge_ttp.lab.bench.quality import OWN_TEXTS, REFERENCE, judge, tasks_trained_on, user_of, utility_rows, voice_rows
from edge_ttp.lab.bench.scored_pools import TUNE
from edge_ttp.reward.model import RewardModel

pytestmark = pytest.mark.slow


def test_every_way_is_told_in_utility_with_paired_differences(made: tuple[Path, Path], reward: RewardModel) -> None:
    folder, pools = made
    done: list[int] = []
    judged = judge(reward, folder, pools, TUNE, advance=done.append)
    assert done[-1] == len(judged.answers) == 24
    rows = {(row.group, row.way): row for row in utility_rows(judged.answers)}
    best, greedy = rows["all", REFERENCE], rows["all", "greedy"]
    assert best.users == 3
    assert best.queries == 24
    assert best.utility > greedy.utility > rows["all", "no history, greedy"].utility
    assert best.over_greedy.mean == pytest.approx(best.utility - greedy.utility)
    assert greedy.over_reference.mean == pytest.approx(greedy.utility - best.utility)
    assert best.over_greedy.low <= best.over_greedy.mean <= best.over_greedy.high
    assert best.over_reference.mean == 0
    assert {"TTP 4", "TTP 16", "consensus 16", "reward-weighted consensus 16", "one answer, T=0.8", "one answer, T=0.4",
            "top recalled output", "first words of the input", "stranger's history, TTP 16"} < {
        way for _, way in rows}  # fmt: skip
    assert ("in training", "greedy") not in rows
    assert rows["not in training", "greedy"].queries == 24
    assert tasks_trained_on(reward) == {
        "acl_title_first",
        "amazon_review_title",
        "huffpost_headline",
        "wine_review",
    }
    assert utility_rows(judged.answers, {"notes"})[-1].group == "notes"
    kept = pools.with_name(f"{pools.name}.{reward.fingerprint}.ways").read_bytes()
    assert judge(reward, folder, pools, TUNE, advance=done.append).answers == judged.answers
    assert pools.with_name(f"{pools.name}.{reward.fingerprint}.ways").read_bytes() == kept  # judged once


def test_voice_is_the_users_where_the_words_are(made: tuple[Path, Path], reward: RewardModel) -> None:
    folder, pools = made
    rows = {
        row.way: row
        for row in voice_rows(judge(reward, folder, pools, TUNE, advance=lambda done: None), folder, TUNE)
        if row.group == "all"
    }
    assert rows[OWN_TEXTS].users == 3
    assert rows[OWN_TEXTS].bag == 8
    assert rows[OWN_TEXTS].voice["n-grams"] > 1
    for verifier in ("n-grams", "learned"):
        own, theirs = rows[OWN_TEXTS].voice[verifier], rows["stranger's history, TTP 16"].voice[verifier]
        assert own > theirs + 1
    lost = rows["stranger's history, TTP 16"].over_reference["n-grams"]
    assert lost.high < 0


@pytest.mark.real
def test_the_commands_judge_and_write_the_page(made: tuple[Path, Path], models_home: Path, tmp_path: Path) -> None:
    folder, pools = made
    given = ["--pools", str(pools), "--data", str(folder)]
    out = tmp_path / "quality.md"
    quality = ["bench", "quality", *given, "--users", "0", "--task", "notes", "--out", str(out), "--json"]
    run = CliRunner().invoke(app, quality)
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert {row["way"] for row in told["voice"]} >= {OWN_TEXTS, REFERENCE}
    assert f"| {REFERENCE} | 24 | 3 |" in out.read_text(encoding="utf-8")
    assert CliRunner().invoke(app, quality).exit_code != 0  # the page is there already
    run = CliRunner().invoke(app, ["bench", "swap", *given, "--json"])
    assert run.exit_code == 0, run.output
    assert len(json.loads(run.stdout)["rows"]) == 4


def test_halves_of_a_user_are_one_user() -> None:
    assert user_of(("notes", "a/0", 3)) == user_of(("notes", "a/1", 4)) == user_of(("notes", "a", 5))
    assert user_of(("notes", "a/b", 3)) == "notes/a/b"
