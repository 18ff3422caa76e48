"""Every rung and arm learns, scores users it has not seen, and an interrupted climb goes on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from edge_ttp.lab.reproduction.ladder import ARMS, RUNGS, SHIPPED, ladder  # noqa: E402
from edge_ttp.lab.reproduction.score_file import Scored, read_scores  # noqa: E402
from edge_ttp.reward.features import FEATURES  # noqa: E402
from edge_ttp_export import rungs as climbing  # noqa: E402
from edge_ttp_export.rungs import SIZE, SIZES, LadderPool, climb, write_ladder  # noqa: E402

pytestmark = pytest.mark.export

torch.set_num_threads(1)


def pool(seed: int) -> LadderPool:
    """Utility is one direction of the candidate's vector, plus noise."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((SIZE, 8)).astype(np.float32)
    utility = np.clip(0.3 + 0.08 * vectors[:, 0] + 0.01 * rng.standard_normal(SIZE), 0, 1)
    ones = np.full((1, SIZE), 0.1)
    return LadderPool(
        task="titles",
        user=f"user {seed % 15}",
        place=seed,
        vectors=vectors,
        source=rng.standard_normal(8).astype(np.float32),
        owner=rng.standard_normal(8).astype(np.float32),
        table=rng.standard_normal((SIZE, len(FEATURES))).astype(np.float32),
        similarity=np.eye(SIZE),
        utility=utility,
        shipped=Scored(utility[None], np.full((1, len(SIZES)), 0.3), ones, ones),
    )


def test_every_rung_and_arm_learns_and_the_file_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climbing, "EPOCHS", 12)
    monkeypatch.setattr(climbing, "FOLDS", 2)
    monkeypatch.setattr(climbing, "cuts", lambda place: [[list(range(n))] for n in SIZES])
    pools = [pool(seed) for seed in range(30)]
    said: list[str] = []
    assert not climb(pools, tmp_path / "work", seeds=1, report=said.append, most=3)
    assert len(said) == 3
    assert climb(pools, tmp_path / "work", seeds=1, report=said.append)
    assert len(said) == len(set(said)) == len(RUNGS) * len(ARMS)  # nothing was trained twice
    model = SimpleNamespace(name="made", fingerprint="f")
    write_ladder(pools, tmp_path / "work", tmp_path / "ladder.npz", model, seeds=1)  # type: ignore[arg-type]
    file = read_scores(tmp_path / "ladder.npz")
    assert file.made[SHIPPED]["reward"] == "f"
    rows = {(row.rung, row.arm): row for row in ladder(file, resamples=20) if row.selection == "mean"}
    for rung in RUNGS:
        for arm in ARMS:
            assert rows[rung, arm].share.value > 0.1, (rung, arm)
