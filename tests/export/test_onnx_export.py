"""The exported heads are the network."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp.reward.model import HEADS_INPUTS, HEADS_OUTPUTS  # noqa: E402
from edge_ttp.reward.session import Session  # noqa: E402
from edge_ttp_export.minilm import WIDTH  # noqa: E402
from edge_ttp_export.network import COLUMNS, RewardNetwork  # noqa: E402
from edge_ttp_export.onnx_export import export_heads  # noqa: E402
from edge_ttp_export.train import collate  # noqa: E402
from export.test_train import pool  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


@pytest.mark.parametrize(("size", "items"), [(1, 1), (2, 64), (33, 5)])
def test_the_exported_heads_are_the_network(size: int, items: int) -> None:
    network = RewardNetwork().eval()
    network.standardize(torch.randn(200, len(COLUMNS)), torch.randn(200, WIDTH))
    with torch.no_grad():
        network.weights.normal_()
    session = Session(
        export_heads(network).SerializeToString(), name="heads", inputs=HEADS_INPUTS, outputs=HEADS_OUTPUTS, threads=1
    )
    batch, _ = collate([(pool(3, size=size, items=items), range(size))])
    with torch.no_grad():
        heads = network(batch)
    arrays = (
        batch.candidates, batch.source, batch.outputs, batch.inputs, batch.history_mask, batch.features, batch.context,
        batch.words, batch.membership,
    )  # fmt: skip
    found = session.run(dict(zip(HEADS_INPUTS, (one[0].numpy() for one in arrays), strict=True)))
    expected = (
        heads.offset[:, None] + heads.difference, heads.log_variance, heads.phi, heads.distance, heads.offset[:, None],
        heads.offset_log_variance[:, None],
    )  # fmt: skip
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other[0].numpy(), atol=1e-4)
