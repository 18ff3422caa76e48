"""Our own client in TypeScript: built, and tested by node against the real server. Run by `make test-clients`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT
from server.conftest import server_home

pytestmark = [pytest.mark.clients, pytest.mark.real]
__all__ = ["server_home"]


def test_the_javascript_client_passes_its_tests(server_home: Path) -> None:
    environment = {
        **os.environ,
        "EDGE_TTP_HOME": str(server_home),
        "EDGE_TTP_COMMAND": json.dumps([sys.executable, "-m", "edge_ttp"]),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        ["npm", "test"], cwd=ROOT / "clients" / "js", env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# fail 0" in done.stdout
