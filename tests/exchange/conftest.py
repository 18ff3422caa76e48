"""The history that imports go to and exports come from, as in tests/history."""

from __future__ import annotations

from history.conftest import history, make_generation, make_item, path

__all__ = ["history", "make_generation", "make_item", "path"]
