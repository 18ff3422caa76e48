"""Shares of headroom and their resamples."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp_export import rule_choices  # noqa: E402
from edge_ttp_export.rule_choices import RuleChoice, resampled_shares, share_of_headroom  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


def test_a_share_is_a_ratio_of_sums_and_its_resamples_keep_users_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [RuleChoice("a", 1, 0.5, 0.4, 0.6), RuleChoice("a", 2, 0.4, 0.4, 0.4), RuleChoice("b", 1, 0.1, 0.2, 0.4)]
    assert share_of_headroom({"t": made}) == pytest.approx((0.1 + 0 - 0.1) / (0.2 + 0 + 0.2))
    by_query = {round(float(value), 6) for value in resampled_shares({"t": made})}
    assert {0.5, 0.0, -0.5} < by_query  # two users are too few: queries are drawn instead, and more mixtures come up
    monkeypatch.setattr(rule_choices, "FEW_USERS", 2)
    assert {round(float(value), 6) for value in resampled_shares({"t": made})} == {0.5, 0.0, -0.5}
