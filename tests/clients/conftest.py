"""The first lines of `make test-clients` say which versions it is about."""

from __future__ import annotations

from clients.versions import versions


def pytest_report_header() -> str:
    """Names and versions."""
    return "clients: " + ", ".join(f"{name} {number}" for name, number in versions().items())
