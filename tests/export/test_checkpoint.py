"""What training leaves comes back as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp.errors import InvalidInput  # noqa: E402
from edge_ttp_export.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from edge_ttp_export.train import predict, train  # noqa: E402
from export.test_train import SETTINGS, pool  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)  # the tensors are small: more threads only wait for each other


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    trained = train([pool(seed) for seed in range(20)], [pool(seed) for seed in range(20, 26)], SETTINGS, str)
    save_checkpoint(tmp_path, trained, {"files": []})
    found = load_checkpoint(tmp_path)
    members = [(pool(50), range(8))]
    torch.testing.assert_close(
        predict(found.network, members)[0][0].difference, predict(trained.network, members)[0][0].difference
    )
    np.testing.assert_allclose(found.covariance, trained.covariance)
    assert found.made["files"] == []
    with pytest.raises(InvalidInput, match="no trained network"):
        load_checkpoint(tmp_path / "nowhere")
