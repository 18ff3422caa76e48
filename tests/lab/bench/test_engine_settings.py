"""Settings of llama.cpp beside the engine's own: real processes on the random model; the command's options."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from policy.tiny import language_model

from edge_ttp.cli.main import run
from edge_ttp.errors import ModelUnavailable
from edge_ttp.lab.bench.engine_rounds import Trying
from edge_ttp.lab.bench.engine_settings import SETTINGS, EngineSetting, measure


@pytest.fixture
def own(tmp_path: Path) -> Trying:
    path = language_model(tmp_path / "tiny.gguf")
    return Trying(str(path), threads=1, prompt=64, rows=(1, 3), steps=2)


def test_a_setting_is_measured_in_a_process_of_its_own_beside_the_engines(own: Trying) -> None:
    wanted = [one for one in SETTINGS if one.name in ("flash-attention", "pool-no-polling")]
    steps: list[float] = []
    rows = measure(own, wanted, rounds=2, advance=steps.append, cancel=threading.Event())
    assert [(row.name, row.rounds, sorted(row.steps)) for row in rows] == [
        ("flash-attention", 2, [1, 3]),
        ("pool-no-polling", 2, [1, 3]),
    ]
    assert all(row.read > 0 and min(row.steps.values()) > 0 and row.spread >= 0 for row in rows)
    assert steps == [1, 2, 3, 4]


def test_a_setting_that_llama_cpp_does_not_live_through_is_said(own: Trying) -> None:
    broken = EngineSetting("gone", "", {"path": own.path + ".missing"})
    with pytest.raises(ModelUnavailable, match="ended under a setting"):
        measure(own, [broken], rounds=1, advance=lambda _: None, cancel=threading.Event())


def test_every_setting_is_one_of_what_is_tried() -> None:
    own = Trying("x", threads=2, prompt=600, rows=(1,), steps=1)
    for one in SETTINGS:
        assert (replace(own, **one.changes) == own) == (not one.changes)
    assert len({one.name for one in SETTINGS}) == len(SETTINGS)


def test_what_cannot_be_meant_is_refused(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run(["bench", "engine", "--only", "faster"]) == 2
    assert "flash-attention" in capsys.readouterr().err
    assert run(["bench", "engine", "--rows", "0"]) == 2
