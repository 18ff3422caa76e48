"""Where the things lie that tests read from the repository itself."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SHIPPED_REWARD = ROOT / "models" / "reward-minilm-1"
"""The reward model that comes with the package."""
