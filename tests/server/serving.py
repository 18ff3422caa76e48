"""A real server in a process of its own, over the real policy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx


@dataclass
class Running:
    """A server that was announced."""

    url: str
    token: str
    announced: dict[str, Any]
    process: subprocess.Popen[str]

    def client(self, *, token: bool = True, timeout: float = 120) -> httpx.Client:
        """A client that shows the token."""
        headers = {"authorization": f"Bearer {self.token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout)


@contextmanager
def served(home: Path, *options: str) -> Iterator[Running]:
    """The server over `home`, ended by SIGTERM when the block ends; then it must have ended well."""
    command = [sys.executable, "-m", "edge_ttp", "serve", "--port", "0", "--announce", *options]
    environment = {**os.environ, "EDGE_TTP_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        announced = json.loads(process.stdout.readline())
        yield Running(announced["url"], announced["token"], announced, process)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(30)
