"""OpenAI's own client for JavaScript (npm: openai), unchanged, against a real server. Run by `make test-clients`."""

from __future__ import annotations

import os
import subprocess

import pytest
from repository import ROOT
from server.conftest import server, server_home
from server.serving import Running

pytestmark = [pytest.mark.clients, pytest.mark.real]
__all__ = ["server", "server_home"]

NODE = ROOT / "tests" / "clients" / "node"


def test_the_client_of_npm(server: Running) -> None:
    assert (NODE / "node_modules" / "openai").is_dir(), "make test-clients installs it"
    environment = {**os.environ, "EDGE_TTP_URL": server.url, "EDGE_TTP_TOKEN": server.token}
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", "openai.test.mjs"],
        cwd=NODE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "# fail 0" in done.stdout
    assert "# pass 8" in done.stdout
