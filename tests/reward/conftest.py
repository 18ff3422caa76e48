"""The shipped reward model, loaded once, and a copy of its folder that a test may damage."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from repository import SHIPPED_REWARD

from edge_ttp.reward.model import RewardModel
from edge_ttp.schema import HistoryItem

FILES = ("reward.json", "encoder.onnx", "salience.onnx", "heads.onnx", "tokenizer.json")


@pytest.fixture(scope="session")
def model() -> RewardModel:
    """The shipped model."""
    return RewardModel.load(SHIPPED_REWARD, threads=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped model."""
    copy = tmp_path / "model"
    copy.mkdir()
    for name in FILES:
        shutil.copyfile(SHIPPED_REWARD / name, copy / name)
    return copy


def history_of(outputs: list[str], first_id: int | None = None) -> list[HistoryItem]:
    """One user's items with these outputs, oldest first."""
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return [
        HistoryItem(
            id=None if first_id is None else first_id + index,
            user_id="anna",
            input=f"note {index}",
            output=output,
            created_at=start + timedelta(days=index),
        )
        for index, output in enumerate(outputs)
    ]
