"""What training leaves for the export: the network's weights, the last layer's uncertainty, how it came about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from edge_ttp.errors import InvalidInput
from edge_ttp_export.network import RewardNetwork
from edge_ttp_export.train import Trained

NETWORK_FILE = "network.safetensors"
FACTS_FILE = "training.json"


@dataclass(frozen=True)
class Checkpoint:
    """A trained network read back from its folder."""

    network: RewardNetwork
    covariance: npt.NDArray[np.float64]
    usual_distance: float
    signal_variance: float
    made: dict[str, Any]
    """Settings, data fingerprints and the course of the training."""

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """(D,) the last layer's weights."""
        return np.asarray(self.network.weights.detach().numpy(), dtype=np.float64)


def save_checkpoint(folder: Path, trained: Trained, made: dict[str, Any]) -> None:
    """Writes the trained network to `folder`, with `made` (data fingerprints) beside the training's own facts."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(trained.network.state_dict(), str(folder / NETWORK_FILE))
    facts = {
        "covariance": trained.covariance.tolist(),
        "usual_distance": trained.usual_distance,
        "signal_variance": trained.signal_variance,
        "made": {**made, **trained.facts},
    }
    (folder / FACTS_FILE).write_text(json.dumps(facts), encoding="utf-8")


def load_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in `folder`. Raises InvalidInput where there is none."""
    try:
        facts = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
        state = load_file(str(folder / NETWORK_FILE))
    except (OSError, ValueError, SafetensorError) as error:
        raise InvalidInput(f"no trained network in {folder}: {error}", "run `edge-ttp export reward train`") from error
    network = RewardNetwork()
    network.load_state_dict(state)
    network.eval()
    return Checkpoint(
        network=network,
        covariance=np.array(facts["covariance"]),
        usual_distance=float(facts["usual_distance"]),
        signal_variance=float(facts["signal_variance"]),
        made=facts["made"],
    )
