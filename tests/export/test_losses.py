"""The losses against their definitions."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp_export.losses import difference_loss, differences, offset_loss  # noqa: E402
from edge_ttp_export.network import RewardNetwork  # noqa: E402
from edge_ttp_export.train import collate  # noqa: E402
from export.test_train import pool  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


def test_beta_nll_with_beta_zero_is_the_gaussian_likelihood() -> None:
    batch, utility = collate([(pool(1), range(8)), (pool(2, size=5), range(5))])
    heads = RewardNetwork().eval()(batch)
    found = difference_loss("beta-nll", 0.0, heads, utility, batch.pool_mask)
    error = differences(utility, batch.pool_mask) - heads.difference
    variance = torch.exp(heads.log_variance)
    by_hand = (0.5 * (error**2 / variance + torch.log(variance)) * batch.pool_mask).sum(1) / batch.pool_mask.sum(1)
    torch.testing.assert_close(found, by_hand)
    assert offset_loss(heads, utility, batch.pool_mask).shape == (2,)
