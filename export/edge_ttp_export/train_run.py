"""One training from files to a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from edge_ttp_export.checkpoint import save_checkpoint
from edge_ttp_export.examples import load_pools
from edge_ttp_export.graphs import ReaderFolders
from edge_ttp_export.losses import Loss
from edge_ttp_export.train import TrainSettings, train


def run_training(
    files: Sequence[Path],
    data: Sequence[Path],
    reader: ReaderFolders,
    out: Path,
    *,
    loss: str,
    beta: float,
    epochs: int,
    seed: int,
    text_terms: bool,
    use_salience: bool,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Trains on the train users' pools of `files`, writes the checkpoint to `out`, returns the training's facts."""
    pools, _, headers = load_pools(files, data, reader.graphs().runtime(), report)
    settings = TrainSettings(
        loss=cast(Loss, loss), beta=beta, seed=seed, epochs=epochs, text_terms=text_terms, salience=use_salience
    )
    train_pools = [pool for pool in pools if pool.part == "train"]
    tune_pools = [pool for pool in pools if pool.part == "tune"]
    trained = train(train_pools, tune_pools, settings, report)
    save_checkpoint(out, trained, {"files": headers, **reader.fingerprints()})
    return trained.facts
