"""The curves as a picture: what is drawn of a diagnosis, and what is said where nothing can be.

matplotlib is an extra that the tests do not need: what is asked of it is watched. The real one draws in
tests/cli/test_diagnose.py where it is installed.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

from edge_ttp.errors import ExtraMissing, InvalidInput
from edge_ttp.lab.diagnosis.png_picture import picture, require_matplotlib
from tests.lab.diagnosis.conftest import Judge, Judged
from tests.lab.diagnosis.makers import good_model


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """What lines are drawn on."""
    drawn = MagicMock()
    figure = MagicMock()
    figure.add_subplot.return_value = drawn
    figure.savefig.side_effect = lambda file, **_: file.write(b"a picture")
    modules: dict[str, Any] = {
        "matplotlib": {},
        "matplotlib.backends": {},
        "matplotlib.backends.backend_agg": {"FigureCanvasAgg": MagicMock()},
        "matplotlib.figure": {"Figure": lambda **_: figure},
    }
    for name, values in modules.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    return drawn


def test_four_lines_and_the_band_of_the_measured_one(axes: MagicMock, models: dict[str, Judged]) -> None:
    _, found = models["good"]
    assert picture(found) == b"a picture"
    lines = {call.kwargs["label"]: call.args for call in axes.plot.call_args_list}
    assert set(lines) == {"best candidate", "selected", "law", "plain form"}
    assert lines["selected"][0] == list(range(1, 17))
    assert lines["selected"][1] == [point.measured for point in found.curve]
    assert lines["best candidate"][1] == [point.oracle for point in found.curve]
    (band,) = axes.fill_between.call_args_list
    assert band.args[1:] == ([point.low for point in found.curve], [point.high for point in found.curve])


def test_without_a_curve_there_is_no_picture(judged: Judge) -> None:
    _, found = judged(good_model(size=1, users=3, queries=4))
    with pytest.raises(InvalidInput, match="no curve to draw"):
        picture(found)


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match=r"edge-ttp\[plot\]"):
        require_matplotlib()
