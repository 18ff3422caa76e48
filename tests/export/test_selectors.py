"""Untrained ways to choose."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp_export.selectors import untrained  # noqa: E402
from export.test_train import pool  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


def test_untrained_rules_see_only_the_candidates_named() -> None:
    one = pool(1)
    rows = [2, 5, 7]
    for name, rank in untrained().items():
        scores = rank(one, rows)
        assert scores.shape == (3,), name
        assert np.isfinite(scores).all(), name
