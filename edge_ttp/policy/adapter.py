"""LoRA adapters: small changes of a model's weights, kept in GGUF files of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.errors import InvalidInput


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter to sample with, and how strongly it acts. Raises InvalidInput for a scale that is no number."""

    path: Path
    scale: float = 1.0
    """Multiplies the change: 0 is off, 1 as trained."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale):
            raise InvalidInput(f"the adapter's scale {self.scale} is no number", "1 is as trained")
