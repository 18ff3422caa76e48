"""The reward network: padding, and text terms left out."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp_export.network import RewardNetwork  # noqa: E402
from edge_ttp_export.train import TrainSettings, collate, predict, train  # noqa: E402
from export.test_train import SETTINGS, pool  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


def test_padding_does_not_change_a_pools_heads() -> None:
    network = RewardNetwork().eval()
    small, large = (pool(1, size=4, items=2), range(4)), (pool(2, size=9, items=6), range(9))
    together = predict(network, [small, large])[0][0]
    alone = predict(network, [small])[0][0]
    torch.testing.assert_close(together.difference[0, :4], alone.difference[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(together.phi[0, :4], alone.phi[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(together.offset[0], alone.offset[0], atol=1e-5, rtol=0)


def test_without_text_terms_the_vectors_change_nothing() -> None:
    settings = TrainSettings(**{**vars(SETTINGS), "epochs": 1, "text_terms": False})
    network = train([pool(seed) for seed in range(20)], [pool(seed) for seed in range(20, 26)], settings, str).network
    batch, _ = collate([(pool(30), range(8))])
    found = network(batch).difference
    batch.candidates, batch.outputs = torch.flip(batch.candidates, [1]), torch.flip(batch.outputs, [2])
    torch.testing.assert_close(network(batch).difference, found)
