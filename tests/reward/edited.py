"""A reward model's folder with other values in its configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "reward.json"
    config = json.loads(path.read_text())
    for key, value in changes.items():
        config[key] = value
    path.write_text(json.dumps(config))
