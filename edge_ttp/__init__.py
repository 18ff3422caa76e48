"""edge-ttp: test-time personalization on this device.

The public names, loaded when first used: `import edge_ttp` opens no file, no socket and no model.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it; loading typing would take longer than all the rest of this module
__version__ = "0.1.0"

if TYPE_CHECKING:
    from edge_ttp.aio import AsyncRuntime
    from edge_ttp.errors import (
        Cancelled,
        DeadlineTooShort,
        DownloadFailed,
        EdgeTTPError,
        ExtraMissing,
        HistoryUnavailable,
        InvalidInput,
        ModelUnavailable,
        NotFound,
        OutOfCapacity,
    )
    from edge_ttp.history import History
    from edge_ttp.registry import Registry
    from edge_ttp.runtime import Runtime
    from edge_ttp.runtime.conversation import Conversation
    from edge_ttp.schema import Budget, Candidate, Event, Feedback, Generation, HistoryItem, LoraAdapter, Plan, Sampling
    from edge_ttp.system.confined import freeze_support

_HOMES = {
    "AsyncRuntime": "edge_ttp.aio",
    "Budget": "edge_ttp.schema",
    "Cancelled": "edge_ttp.errors",
    "Candidate": "edge_ttp.schema",
    "Conversation": "edge_ttp.runtime.conversation",
    "DeadlineTooShort": "edge_ttp.errors",
    "DownloadFailed": "edge_ttp.errors",
    "EdgeTTPError": "edge_ttp.errors",
    "Event": "edge_ttp.schema",
    "ExtraMissing": "edge_ttp.errors",
    "Feedback": "edge_ttp.schema",
    "Generation": "edge_ttp.schema",
    "History": "edge_ttp.history",
    "HistoryItem": "edge_ttp.schema",
    "HistoryUnavailable": "edge_ttp.errors",
    "InvalidInput": "edge_ttp.errors",
    "LoraAdapter": "edge_ttp.schema",
    "ModelUnavailable": "edge_ttp.errors",
    "NotFound": "edge_ttp.errors",
    "OutOfCapacity": "edge_ttp.errors",
    "Plan": "edge_ttp.schema",
    "Registry": "edge_ttp.registry",
    "Runtime": "edge_ttp.runtime",
    "Sampling": "edge_ttp.schema",
    "freeze_support": "edge_ttp.system.confined",
}

__all__ = [
    "AsyncRuntime",
    "Budget",
    "Cancelled",
    "Candidate",
    "Conversation",
    "DeadlineTooShort",
    "DownloadFailed",
    "EdgeTTPError",
    "Event",
    "ExtraMissing",
    "Feedback",
    "Generation",
    "History",
    "HistoryItem",
    "HistoryUnavailable",
    "InvalidInput",
    "LoraAdapter",
    "ModelUnavailable",
    "NotFound",
    "OutOfCapacity",
    "Plan",
    "Registry",
    "Runtime",
    "Sampling",
    "__version__",
    "freeze_support",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edge_ttp' has no attribute {name!r}")
