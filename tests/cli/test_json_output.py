"""JSON on standard output."""

from __future__ import annotations

import json

import pytest

from edge_ttp.cli.output import emit_json


def test_json_is_one_line_without_numbers_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": ("x\ny",), 4: None})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert json.loads(printed) == {"a": None, "b": [None, 1.5], "c": ["x\ny"], "4": None}
