"""The real models that hostile inputs are given to."""

from __future__ import annotations

import os
from pathlib import Path

from edge_ttp.paths import locate

MODELS_HOME = Path(os.environ.get("EDGE_TTP_TEST_MODELS", Path(__file__).parents[2] / ".edge-ttp"))


def default_policy() -> Path:
    """The default policy's GGUF file, which `make models` pulls."""
    found = sorted((locate(MODELS_HOME).models / "smollm2-135m-instruct").glob("*.gguf"))
    if not found:
        raise FileNotFoundError(f"the default policy is not below {MODELS_HOME}: run `make models`")
    return found[0]
