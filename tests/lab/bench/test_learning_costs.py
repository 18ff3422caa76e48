"""What learning costs is measured and printed."""

from __future__ import annotations

import pytest

from edge_ttp.lab.bench import learning_costs


def test_costs_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    found = learning_costs.recall_cost(50, 3, queries=5)
    assert 0 < found.p50_ms <= found.p95_ms
    assert found.database_bytes > 0
