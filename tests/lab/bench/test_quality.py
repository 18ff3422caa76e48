"""The table that decides, on made-up pools whose answers are known, and on really drawn ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from repository import SHIPPED_REWARD
from typer.testing import CliRunner

from edge_ttp.cli.main import app
from edge_ttp.errors import InvalidInput
from edge_ttp.lab.bench.drawing import DrawnText
from edge_ttp.lab.bench.halves import Halved, halved_queries
from edge_ttp.lab.bench.quality import OWN_TEXTS, REFERENCE, judge, tasks_trained_on, user_of, utility_rows, voice_rows
from edge_ttp.lab.bench.quality_page import page
from edge_ttp.lab.bench.quality_pools import QualityRecipe, draw
from edge_ttp.lab.bench.quality_ways import WayAnswer, best_single, first_words
from edge_ttp.lab.bench.resumable import Resumable
from edge_ttp.lab.bench.scored_pools import TUNE
from edge_ttp.lab.bench.swapping import OWN, STRANGER, measure
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.registry import DEFAULT_POLICY
from edge_ttp.reward.model import RewardModel
from tests.lab.bench.test_halves import write

N = 16


@pytest.fixture(scope="module")
def reward() -> RewardModel:
    return RewardModel.load(SHIPPED_REWARD, threads=1)


def line(one: Halved) -> dict[str, object]:
    """Greedy says half of the truth, some of those drawn say all of it; strangers' are theirs."""
    written = one.query.item.output
    half = " ".join(written.split()[: len(written.split()) // 2])

    def said(text: str, temperature: float) -> list[object]:
        return DrawnText(text, 9, -9.0, "stop", temperature).as_list()

    drawn = [said(f"{half} number {place}", 0.8) for place in range(N - 4)] + [said(written, 0.8)] * 4
    theirs = [said(f"{one.strangers[0].history[place % 4].output}", 0.8) for place in range(N)]
    return {
        "own": [said(half, 0.0), *drawn, said(half, 0.4)],
        "none": [said("something else", 0.0), said("something else", 0.8)],
        "stranger": [said(theirs[0][0], 0.0), *theirs],  # type: ignore[arg-type]
        "recalled": one.query.history[-1].output,
        "by": 0,
        "seconds": {"own": 1.0},
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus and a file of pools of four of its users."""
    folder = write(tmp_path_factory.mktemp("corpus"))
    pools = folder / "pools"
    with Resumable.append(pools, QualityRecipe("0" * 64, "chat").header()) as state:
        for one in halved_queries(folder, ["notes"], tenths=TUNE, users=4):
            state.write(one.query.key, line(one))
    return folder, pools


def test_every_way_is_told_in_utility_with_paired_differences(made: tuple[Path, Path], reward: RewardModel) -> None:
    folder, pools = made
    done: list[int] = []
    judged = judge(reward, folder, pools, TUNE, advance=done.append)
    assert done[-1] == len(judged.found) == 32
    rows = {(row.group, row.way): row for row in utility_rows(judged.found)}
    best, greedy = rows["all", REFERENCE], rows["all", "greedy"]
    assert best.users == 4
    assert best.queries == 32
    assert best.utility > greedy.utility > rows["all", "no history, greedy"].utility
    assert best.over_greedy.mean == pytest.approx(best.utility - greedy.utility)
    assert greedy.over_reference.mean == pytest.approx(greedy.utility - best.utility)
    assert best.over_greedy.low <= best.over_greedy.mean <= best.over_greedy.high
    assert best.over_reference.mean == 0
    assert {"TTP 4", "TTP 16", "consensus 16", "reward-weighted consensus 16", "one answer, T=0.8", "one answer, T=0.4",
            "top recalled output", "first words of the input", "stranger's history, TTP 16"} < {
        way for _, way in rows}  # fmt: skip
    assert ("in training", "greedy") not in rows
    assert rows["not in training", "greedy"].queries == 32
    assert tasks_trained_on(reward) == {
        "acl_title_first",
        "amazon_review_title",
        "huffpost_headline",
        "wine_review",
    }
    assert utility_rows(judged.found, {"notes"})[-1].group == "notes"
    kept = pools.with_name(f"{pools.name}.{reward.fingerprint}.ways").read_bytes()
    assert judge(reward, folder, pools, TUNE, advance=done.append).found == judged.found
    assert pools.with_name(f"{pools.name}.{reward.fingerprint}.ways").read_bytes() == kept  # judged once


def test_voice_is_the_users_where_the_words_are(made: tuple[Path, Path], reward: RewardModel) -> None:
    folder, pools = made
    rows = {
        row.way: row
        for row in voice_rows(judge(reward, folder, pools, TUNE, advance=lambda done: None), folder, TUNE)
        if row.group == "all"
    }
    assert rows[OWN_TEXTS].users == 4
    assert rows[OWN_TEXTS].bag == 8
    assert rows[OWN_TEXTS].voice["n-grams"] > 1
    for verifier in ("n-grams", "learned"):
        own, theirs = rows[OWN_TEXTS].voice[verifier], rows["stranger's history, TTP 16"].voice[verifier]
        assert own > theirs + 1
    lost = rows["stranger's history, TTP 16"].over_reference["n-grams"]
    assert lost.high < 0


def test_the_page_has_every_way_and_says_how_it_was_made(made: tuple[Path, Path], reward: RewardModel) -> None:
    folder, pools = made
    judged = judge(reward, folder, pools, TUNE, advance=lambda done: None)
    text = page(
        utility_rows(judged.found),
        voice_rows(judged, folder, TUNE),
        {"policy": "p", "reward": "r", "part": "tune", "made": ["32 queries"]},
    )
    for words in ("| TTP 4 | 32 | 4 |", "| top recalled output |", OWN_TEXTS, "- 32 queries", "## Voice"):
        assert words in text


def test_a_swap_of_histories_is_told_with_what_it_could_see(made: tuple[Path, Path], reward: RewardModel) -> None:
    folder, pools = made
    rows = {(row.prompt, row.judge): row for row in measure(reward, folder, pools, TUNE, advance=lambda done: None)}
    assert set(rows) == {(prompt, judge) for prompt in (OWN, STRANGER) for judge in (OWN, STRANGER)}
    assert rows[OWN, OWN].lost.mean == 0
    assert rows[STRANGER, OWN].lost.mean > 0.1
    assert rows[STRANGER, OWN].voice_lost.mean > 1
    assert rows[STRANGER, OWN].detects == pytest.approx(2.8 * rows[STRANGER, OWN].lost.error)
    with pytest.raises(InvalidInput, match="holds ways"):
        measure(reward, folder, pools.with_name(f"{pools.name}.{reward.fingerprint}.ways"), TUNE, advance=print)


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
    assert f"| {REFERENCE} | 32 | 4 |" in out.read_text(encoding="utf-8")
    assert CliRunner().invoke(app, quality).exit_code != 0  # the page is there already
    run = CliRunner().invoke(app, ["bench", "swap", *given, "--json"])
    assert run.exit_code == 0, run.output
    assert len(json.loads(run.stdout)["rows"]) == 4


def test_the_best_single_answer_is_the_rule_that_is_best_on_average() -> None:
    answers = {
        "greedy": {1: WayAnswer(("a",), 0.2), 2: WayAnswer(("a",), 0.2)},
        "one answer, T=0.4": {1: WayAnswer(("a",), 0.9), 2: WayAnswer(("a",), 0.0)},
        "TTP 16": {1: WayAnswer(("a",), 1.0)},
    }
    assert best_single(answers) == "one answer, T=0.4"
    assert best_single({"TTP 16": {}}) is None


def test_halves_of_a_user_are_one_user() -> None:
    assert user_of(("notes", "a/0", 3)) == user_of(("notes", "a/1", 4)) == user_of(("notes", "a", 5))
    assert user_of(("notes", "a/b", 3)) == "notes/a/b"


def test_first_words_are_as_many_as_the_user_usually_writes(tmp_path: Path) -> None:
    query = halved_queries(write(tmp_path), ["notes"], tenths=TUNE, users=1)[0].query
    long = query.item.model_copy(update={"input": " ".join(f"word{place}" for place in range(50))})
    words = first_words(type(query)(query.task, long, query.place, query.history)).split()
    usual = sorted(len(one.output.split()) for one in query.history)
    assert usual[0] <= len(words) <= usual[-1]
    assert words[0] == "word0"


@pytest.mark.real
def test_pools_are_drawn_with_own_no_and_a_strangers_history_and_go_on(models_home: Path, tmp_path: Path) -> None:
    from edge_ttp.paths import locate
    from edge_ttp.registry import Registry

    folder = write(tmp_path / "corpus")
    queries = halved_queries(folder, ["notes"], tenths=TUNE, users=1)[:2]
    located = Registry(locate()).locate(DEFAULT_POLICY, kind="policy")
    recipe = QualityRecipe(located.sha256, "chat", n=2, colder=1, longest=8)
    policy = LlamaPolicy(located.path, threads=2)
    out = tmp_path / "pools"
    try:
        assert draw(policy, queries, out, recipe, advance=lambda done: None, minutes=0) == 0
        assert draw(policy, queries[:1], out, recipe, advance=lambda done: None) == 1
        first = out.read_bytes()
        assert draw(policy, queries, out, recipe, advance=lambda done: None) == 2
    finally:
        policy.close()
    assert out.read_bytes().startswith(first)
    _, held = Resumable.read(out)
    for record in held.values():
        assert [len(record[name]) for name in ("own", "none", "stranger")] == [4, 2, 3]
        assert record["recalled"]
        assert set(record["seconds"]) == {"own", "none", "stranger"}
