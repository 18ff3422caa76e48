"""The encoder's origin."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the export extra")

from repository import ROOT  # noqa: E402

from edge_ttp_export.minilm import REQUIREMENT  # noqa: E402

pytestmark = pytest.mark.export


def test_make_installs_the_weights_that_the_code_asks_for() -> None:
    assert f"MINILM ?= {REQUIREMENT}\n" in (ROOT / "Makefile").read_text()
