"""The walls: which room may import which. docs/architecture.md says it in words; test_house.py holds it."""

from __future__ import annotations

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "errors": (),
    "paths": ("errors",),
    "system": ("errors", "paths"),
    "schema": ("errors", "system"),
    "samples": (),
    "scaling": ("errors",),
    "registry": ("errors", "paths", "system"),
    "budget.load": (),
    "budget.timed": (),
    "budget.device": ("schema", "budget.load"),
    "exchange": ("errors", "schema"),
    "history": ("errors", "paths", "system", "schema", "exchange"),
    "reward": ("errors", "system", "schema"),
    "policy": ("errors", "paths", "system", "schema", "registry", "budget.device", "budget.timed"),
    "learning": ("errors", "paths", "schema", "scaling", "history", "reward"),
    "budget": ("errors", "paths", "schema", "scaling", "learning", "budget.device", "budget.load", "budget.timed"),
    "answer": ("errors", "schema", "history", "reward", "policy", "learning", "budget"),
    "learning.self_calibration": ("errors", "schema", "history", "reward", "policy", "learning", "answer"),
}
"""Room -> the rooms that it may import, itself apart; the rooms from the lowest to the highest.

The root's own modules count as rooms. A module may stand on a floor of its own: the policy too asks what the device
is (budget.device) and says what it takes in the budget's words (budget.timed), and self-calibration asks `answer` like
any caller.
"""

ABOVE = (
    "runtime",
    "aio",
    "adapters",
    "desk",
    "lab",
    "server",
    "app",
    "cli",
    "__main__",
)
"""The rooms above them, from the lowest to the highest: each may import whatever is lower."""

MIRRORS = ("cli", "server")
"""Rooms whose modules may be named after the rooms and modules that they show."""

NEVER = ("torch", "transformers", "optimum", "edge_ttp_export")
"""What edge_ttp imports nowhere."""

ONLY_IN = {
    "llama_cpp": "edge_ttp.policy.bindings",
    "onnxruntime": "edge_ttp.reward.session",
    "sqlite3": "edge_ttp.history",
    "sqlite_utils": "edge_ttp.history",
    "sqlcipher3": "edge_ttp.history",
}
"""A library -> the one room or module that touches it."""

LONGEST = 400
"""Lines of a module, at most."""
