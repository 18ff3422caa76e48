"""The comparison of trained networks: rules with fixed constants, seeds averaged, shares between random and oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")  # the export extra; `make test-export` installs it

from edge_ttp.errors import InvalidInput
from edge_ttp_export import trained_rules
from edge_ttp_export.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_ttp_export.compare import _quantities, compare
from edge_ttp_export.evaluate_run import evaluate_files
from edge_ttp_export.examples import LabelledPool
from edge_ttp_export.losses import Loss
from edge_ttp_export.rule_choices import choose, cut, share_of_headroom
from edge_ttp_export.train import train
from edge_ttp_export.trained_rules import Fixed, Judged, fix_rules, judge
from edge_ttp_export.user_split import tune_half
from tests.export.test_train import SETTINGS, pool

pytestmark = pytest.mark.export

POOLS = [replace(pool(seed), part="report", user_id=f"user {seed % 5}") for seed in range(80, 100)]


def trained(folder: Path, loss: Loss, seed: int) -> Checkpoint:
    settings = replace(SETTINGS, loss=loss, seed=seed, epochs=12)
    found = train([pool(one) for one in range(40)], [pool(one) for one in range(60, 70)], settings, str)
    save_checkpoint(folder, found, {"files": [{"model": "0" * 64}]})
    return load_checkpoint(folder)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Checkpoint]]:
    folder = tmp_path_factory.mktemp("networks")
    return {
        "beta-nll": [trained(folder / "one", "beta-nll", 1), trained(folder / "two", "beta-nll", 2)],
        "mse": [trained(folder / "mse", "mse", 1)],
    }


def test_each_rule_says_what_its_name_does() -> None:
    judged = Judged(np.array([0.2, 0.1, 0.0]), np.array([0.04, 0.01, 0.0]), np.array([0.09, 0.0, 0.0]))
    assert Fixed("mean")(judged).tolist() == [0.2, 0.1, 0.0]
    assert Fixed("lcb", 1.0)(judged) == pytest.approx([-0.1, 0.1, 0.0])
    assert Fixed("noise", -1.0)(judged) == pytest.approx([0.4, 0.2, 0.0])
    assert Fixed("shrink", 0.09)(judged) == pytest.approx([0.15, 0.1, 0.0])


def test_a_share_runs_from_0_for_the_mean_to_1_for_the_best() -> None:
    members = [(one, range(one.size)) for one in POOLS]
    assert share_of_headroom(choose(members, [[one.utility for one in POOLS]])) == pytest.approx(1)
    assert share_of_headroom(choose(members, [[-one.utility for one in POOLS]])) < 0


def test_a_constant_is_judged_on_the_users_that_it_was_not_chosen_on(networks: dict[str, list[Checkpoint]]) -> None:
    found = fix_rules(networks["beta-nll"], POOLS)

    def share(fixed: Fixed, pools: Sequence[LabelledPool]) -> float:
        by_hand = []
        for size in (2, 4, 8):
            members = cut(POOLS, size)
            scores = [[fixed(one) for one in judge(each, members)] for each in networks["beta-nll"]]
            chosen = choose(members, scores)
            users = {one.user_id for one in pools}
            by_hand.append(share_of_headroom({"made": [one for one in chosen["made"] if one.user_id in users]}))
        return float(np.mean(by_hand))

    halves = [[one for one in POOLS if tune_half(one.user_id) == half] for half in (0, 1)]
    assert all(halves)
    for rule in ("lcb", "shrink", "noise"):
        best = [max(trained_rules.RULES[rule], key=lambda fixed, half=half: share(fixed, half)) for half in halves]
        assert found[rule][1] == pytest.approx(np.mean([share(best[0], halves[1]), share(best[1], halves[0])]))
        assert found[rule][0] == max(trained_rules.RULES[rule], key=lambda fixed: share(fixed, POOLS))


def test_seeds_are_no_further_users(networks: dict[str, list[Checkpoint]]) -> None:
    """One network twice tells no more of the users than once: the interval stays as wide."""
    many = [replace(pool(seed), part="report", user_id=f"user {seed}") for seed in range(40, 80)]
    members = [(one, range(one.size)) for one in many]
    scores = [one.mean for one in judge(networks["beta-nll"][0], members)]
    once, twice = (_quantities(members, "mean", [scores] * seeds) for seeds in (1, 2))
    assert (once["seeds"], twice["seeds"]) == (1, 2)
    for end in ("value", "low", "high"):
        assert twice["rho_plus"][end] == pytest.approx(once["rho_plus"][end], abs=0.02)


def test_a_rule_that_is_not_better_by_a_standard_error_is_not_taken(
    networks: dict[str, list[Checkpoint]], monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = Fixed("noise", 50.0)
    monkeypatch.setattr(trained_rules, "RULES", {"mean": (Fixed("mean"),), "noise": (Fixed("noise", 1e-9),)})
    assert fix_rules(networks["beta-nll"], POOLS)["probabilistic"][0] == Fixed("mean")
    monkeypatch.setattr(trained_rules, "RULES", {"mean": (wild,), "noise": (Fixed("mean"),)})
    assert fix_rules(networks["beta-nll"], POOLS)["probabilistic"][0] == Fixed("mean")


def test_a_comparison_has_every_selector_at_every_size(networks: dict[str, list[Checkpoint]]) -> None:
    rules = {name: fixed for name, (fixed, _) in fix_rules(networks["beta-nll"], POOLS).items()}
    found = compare(POOLS, networks, {"made": networks["mse"][0]}, rules, {"policy": "p"})
    selectors = {row["selector"] for row in found["rows"]}
    assert {"first", "sum", "mse", "mean", "lcb", "shrink", "noise", "probabilistic", "oracle", "random"} < selectors
    assert {row["n"] for row in found["rows"]} == {1, 2, 4, 8}
    whole = {row["selector"]: row for row in found["rows"] if row["n"] == 8 and row["task"] == "all"}
    assert whole["oracle"]["share"] == pytest.approx(1)
    assert whole["random"]["share"] == pytest.approx(0)
    assert whole["mean"]["share"] > 0.5 > whole["first"]["share"]
    assert whole["mean"]["share_low"] <= whole["mean"]["share"] <= whole["mean"]["share_high"]
    left_out = next(row for row in found["rows"] if row["selector"] == "task left out" and row["n"] == 8)
    assert left_out["share"] == pytest.approx(whole["mse"]["share"])  # the same network under another name
    by_rival = {one["against"]: one for one in found["paired"] if one["n"] == 8 and one["task"] == "all"}
    assert by_rival["sum"]["low"] > 0
    assert by_rival["mse"]["difference"] == pytest.approx(whole["probabilistic"]["share"] - whole["mse"]["share"])
    grown = {one["task"]: one for one in found["growth"]}
    small = next(
        row for row in found["rows"] if (row["selector"], row["n"], row["task"]) == ("probabilistic", 4, "all")
    )
    assert grown["all"]["change"] == pytest.approx(whole["probabilistic"]["utility"] - small["utility"])
    assert 0 < grown["all"]["low"] < grown["all"]["change"] < grown["all"]["high"]
    assert {one["variant"] for one in found["diagnosis"]} >= {"sum", "mse", "probabilistic"}
    assert all(0 <= one["h"]["value"] <= 1 for one in found["diagnosis"] if one["h"]["value"] is not None)


def test_cuts_are_the_same_at_every_call() -> None:
    again = cut(POOLS, 4)
    assert [rows for _, rows in cut(POOLS, 4)] == [rows for _, rows in again]
    assert len(again) == 4 * len(POOLS)
    assert len(cut(POOLS, 8)) == len(POOLS)
    assert cut(POOLS, 16) == []


def test_networks_without_a_probabilistic_one_are_refused(tmp_path: Path) -> None:
    trained(tmp_path / "mse", "mse", 1)
    with pytest.raises(InvalidInput, match="beta-nll"):
        evaluate_files(None, [], [], str, trained=[tmp_path / "mse"])  # type: ignore[arg-type]
