"""A keyring in a file, for a test's app: PYTHON_KEYRING_BACKEND names it, EDGE_TTP_TEST_KEYS the file."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class FileKeyring(KeyringBackend):
    """Keeps what it is given in a JSON file. For tests: it guards nothing."""

    priority = 1.0

    def get_password(self, service: str, username: str) -> str | None:
        """What was kept."""
        return self._read().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keeps it."""
        self._write({**self._read(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        """Forgets it."""
        kept = self._read()
        kept.pop(f"{service} {username}")
        self._write(kept)

    def _read(self) -> dict[str, str]:
        path = Path(os.environ["EDGE_TTP_TEST_KEYS"])
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _write(self, kept: dict[str, str]) -> None:
        Path(os.environ["EDGE_TTP_TEST_KEYS"]).write_text(json.dumps(kept))
