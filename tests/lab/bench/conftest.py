"""What several of these tests want: less of everything random."""

from __future__ import annotations

import pytest

from edge_ttp.lab.bench import adaptive_n


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less of everything random: these tests ask for signs, not for digits."""
    monkeypatch.setattr(adaptive_n, "ORDERS", 3)
    monkeypatch.setattr(adaptive_n, "TIMED_ORDERS", 2)
    monkeypatch.setattr(adaptive_n, "RESAMPLES", 50)
