"""A missed gate stops the export, with its number."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp_export.export_gates import Gate, GateFailed, check, spearman  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


def test_a_missed_gate_stops_the_export_with_its_number() -> None:
    check([Gate("good", 0.5, 1.0), Gate("also good", 0.99, 0.98, at_least=True)])
    with pytest.raises(GateFailed, match=r"rank is 0\.9, allowed is 0\.98"):
        check([Gate("rank", 0.9, 0.98, at_least=True)])


def test_rank_correlation_counts_ties_by_mean_rank() -> None:
    assert spearman(np.array([1.0, 2, 3]), np.array([10.0, 20, 30])) == pytest.approx(1)
    assert spearman(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    assert spearman(np.array([1.0, 1, 2]), np.array([1.0, 2, 3])) == pytest.approx(0.8660254)
    assert spearman(np.array([1.0, 1]), np.array([1.0, 2])) == 0
