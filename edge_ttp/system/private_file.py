"""Small files that only their owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from edge_ttp.paths import private_folder


def write_private(path: Path, text: str) -> None:
    """Writes a file of mode 0600, whole or not at all."""
    private_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
