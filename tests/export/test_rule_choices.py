"""Shares of headroom and their resamples."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp_export import rule_choices  # noqa: E402
from edge_ttp_export.rule_choices import (  # noqa: E402
    RuleChoice,
    corrected,
    describe,
    paired,
    resampled_shares,
    share_of_headroom,
)

pytestmark = pytest.mark.export

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


def test_a_share_is_a_ratio_of_sums_and_its_resamples_keep_users_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [RuleChoice("a", 1, 0.5, 0.4, 0.6), RuleChoice("a", 2, 0.4, 0.4, 0.4), RuleChoice("b", 1, 0.1, 0.2, 0.4)]
    assert share_of_headroom({"t": made}) == pytest.approx((0.1 + 0 - 0.1) / (0.2 + 0 + 0.2))
    by_query = {round(float(value), 6) for value in resampled_shares({"t": made})}
    assert {0.5, 0.0, -0.5} < by_query  # two users are too few: queries are drawn instead, and more mixtures come up
    monkeypatch.setattr(rule_choices, "FEW_USERS", 2)
    assert {round(float(value), 6) for value in resampled_shares({"t": made})} == {0.5, 0.0, -0.5}


def of_users(count: int, chosen: float, queries: int = 1) -> list[RuleChoice]:
    return [RuleChoice(f"user {user}", query, chosen, 0.0, 1.0) for user in range(count) for query in range(queries)]


def test_a_task_with_one_user_counts_as_one_user_and_says_what_its_interval_resamples() -> None:
    by_task = {"titles": of_users(19, 0.2), "wine": of_users(1, 1.0, queries=100)}
    assert share_of_headroom(by_task) == pytest.approx((19 * 0.2 + 1 * 1.0) / 20)
    row = describe(by_task, "all", "mean", 8)
    assert row["utility"] == pytest.approx((19 * 0.2 + 1 * 1.0) / 20)
    assert (row["users"], row["over"]) == (20, "both")
    assert describe(by_task, "wine", "mean", 8)["over"] == "queries"
    assert describe(by_task, "titles", "mean", 8)["over"] == "users"


def test_every_task_has_draws_of_its_own() -> None:
    """Two tasks whose users do alike: were they struck by the same chance, their mean would vary as each does."""
    values = np.random.default_rng(0).random(40)
    choices = [RuleChoice(f"user {place}", 0, value, 0.0, 1.0) for place, value in enumerate(values)]
    alone = resampled_shares({"one": choices})
    together = resampled_shares({"one": choices, "two": choices})
    assert together.std() == pytest.approx(alone.std() / np.sqrt(2), rel=0.1)
    assert (resampled_shares({"one": choices}) == alone).all()


def test_comparisons_are_corrected_for_their_number() -> None:
    rows = [
        {"selector": "model", "task": "all", "n": 8, "against": name, "p": p}
        for name, p in (("a", 0.04), ("b", 0.01), ("c", 0.03), ("d", 0.9), ("e", 0.02), ("f", 0.5))
    ]
    found = {row["against"]: row["p_holm"] for row in corrected(rows)}
    assert found == pytest.approx({"b": 0.06, "e": 0.1, "c": 0.12, "a": 0.12, "f": 1.0, "d": 1.0})
    alone = corrected([{**rows[0], "n": 4}])
    assert alone[0]["p_holm"] == 0.04
    better = paired({"t": of_users(12, 0.5)}, {"t": of_users(12, 0.5)}, "t", "same", 8)
    assert better["p"] == 1.0
