"""A history and a clock for every test of the staircase."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from policy.table import FakeClock

from edge_ttp import answer
from edge_ttp.answer import prepare, record, waves
from edge_ttp.history import History


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History.open(tmp_path / "history.db", busy_timeout_s=0.05) as opened:
        yield opened


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock that a request's deadline is measured on, standing still unless moved."""
    clock = FakeClock()
    for part in (answer, prepare, waves, record):
        monkeypatch.setattr(part, "time", SimpleNamespace(monotonic=clock))
    return clock
