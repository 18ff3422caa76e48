"""Simulated feedback on users whose own weights are known."""

from __future__ import annotations

import pytest

from edge_ttp.lab.bench import adapting, simulated_feedback
from lab.bench.test_adapting import STOCK, simulated


@pytest.mark.slow
def test_feedback_of_every_kind_starts_at_stock_and_labels_teach_most() -> None:
    tested = adapting.split(simulated(10, 28))
    points = simulated_feedback.simulate(STOCK, tested)
    assert len(points) == len(simulated_feedback.KINDS) * (simulated_feedback.ROUNDS + 1)
    last = {point.kind: point for point in points if point.round == simulated_feedback.ROUNDS}
    assert all(point.gain == 0 for point in points if point.round == 0)
    assert last["edit"].gain > last["prefer"].gain > 0
    assert last["accept/reject"].share > last["accept/reject"].online
    assert last["copied/regenerated"].gain > -0.03
