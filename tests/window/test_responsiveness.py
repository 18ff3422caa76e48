"""`edge-ttp bench window` measures a real window; what it measures is for a quiet machine to say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.window, pytest.mark.real]


def test_lags_and_stops_are_measured_and_nothing_is_kept(display: str, app_home: Path) -> None:
    environment = {**os.environ, "DISPLAY": display, "EDGE_TTP_HOME": str(app_home), "QT_QPA_PLATFORM": "xcb"}
    command = [sys.executable, "-m", "edge_ttp", "bench", "window", "--rounds", "2", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.keys() == {"window_lag_ms", "page_lag_ms", "stop_ms"}
    assert found["stop_ms"]["count"] == 2
    assert found["window_lag_ms"]["count"] > 10
    assert all(one["p50"] <= one["p99"] <= one["max"] for one in found.values())
    from edge_ttp.history import History
    from edge_ttp.paths import locate

    with History.open(locate(app_home).database) as history:
        assert history.generations("me") == []
