"""edge-ttp: test-time personalization on this device.

The public names, loaded when first used: `import edge_ttp` opens no file, no socket and no model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from edge_ttp.confined import freeze_support
    from edge_ttp.errors import EdgeTTPError
    from edge_ttp.runtime import Runtime
    from edge_ttp.schema import Budget, Candidate, Event, Feedback, Generation, HistoryItem, LoraAdapter, Plan, Sampling

_HOMES = {
    "Budget": "edge_ttp.schema",
    "Candidate": "edge_ttp.schema",
    "EdgeTTPError": "edge_ttp.errors",
    "Event": "edge_ttp.schema",
    "Feedback": "edge_ttp.schema",
    "Generation": "edge_ttp.schema",
    "HistoryItem": "edge_ttp.schema",
    "LoraAdapter": "edge_ttp.schema",
    "Plan": "edge_ttp.schema",
    "Runtime": "edge_ttp.runtime",
    "Sampling": "edge_ttp.schema",
    "freeze_support": "edge_ttp.confined",
}

__all__ = [
    "Budget",
    "Candidate",
    "EdgeTTPError",
    "Event",
    "Feedback",
    "Generation",
    "HistoryItem",
    "LoraAdapter",
    "Plan",
    "Runtime",
    "Sampling",
    "__version__",
    "freeze_support",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edge_ttp' has no attribute {name!r}")
