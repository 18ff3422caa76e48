"""`edge-ttp device`: what is measured, shown, kept and left open; the numbers in round units."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from fakes import Models
from fakes.command import model_files

from edge_ttp.budget import device
from edge_ttp.budget.cost import KNOTS, Speed
from edge_ttp.budget.device_profile import Profile
from edge_ttp.cli.device import facts
from edge_ttp.cli.main import run

ONE = Speed(0.01, 0.004, 1e-9, tuple(0.03 + 0.006 * rows for rows in KNOTS), 2e-6)
PROFILE = Profile({1: ONE}, {1: ONE, 2: ONE.scaled(0.5)}, score_parts=(0.03, 0.004), load_s=1.5, calls=7)


def test_a_profile_is_told_in_tokens_a_second_and_seconds_a_step() -> None:
    told = json.loads(json.dumps(facts(PROFILE)))
    assert list(told["threads"]) == ["1", "2"]
    assert told["threads"]["1"]["prompt_tps"] == pytest.approx(256 / ONE.prefill_s(256))
    assert told["threads"]["2"]["prompt_tps"] == pytest.approx(2 * told["threads"]["1"]["prompt_tps"])
    assert told["threads"]["1"]["step_s"]["4"] == pytest.approx(0.054)
    assert told["threads"]["1"]["row_s_per_1000_cached"] == pytest.approx(0.002)
    assert told["best_threads"] == {"prefill": 2, "decode": 2}
    assert told["score_s"] == {"each_time": 0.03, "each_candidate": 0.004}
    assert (told["load_s"], told["bytes_per_candidate"], told["calls"]) == (1.5, None, 7)


def test_the_device_is_measured_shown_and_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, models: Models, home: Path
) -> None:
    files = model_files(tmp_path)
    assert run(["device", "show"]) == 0
    assert "nothing was measured yet" in capsys.readouterr().err
    assert run(["device", "profile", *files[:2], "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert set(measured["best_threads"]) == {"prefill", "decode"}
    assert measured["calls"] == 0
    assert models.policy.measured >= 1
    assert run(["device", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert list(shown["profiles"].values()) == [measured]
    assert shown["device"]["cores"] >= 1
    assert run(["device", "show"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("cores ")
    assert "prompt t/s" in text


def test_a_measurement_in_the_background_is_a_process_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    started: list[list[str]] = []

    def start(command: list[str], **options: object) -> SimpleNamespace:
        assert options["start_new_session"] is True
        started.append(command)
        return SimpleNamespace(pid=2**22 + 1)  # no process has this number

    monkeypatch.setattr(subprocess, "Popen", start)
    assert run(["device", "profile", "--model", "some", "--background", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"started": 2**22 + 1}
    assert started[0][1:] == ["-m", "edge_ttp", "device", "profile", "--model=some"]


def test_what_a_machine_does_not_tell_is_left_open(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    for name in ("sensors_battery", "sensors_temperatures"):
        monkeypatch.delattr(psutil, name, raising=False)

    def fail(percpu: bool = False) -> None:
        raise OSError

    monkeypatch.setattr(psutil, "cpu_times", fail)
    monkeypatch.setattr(device, "gpus", tuple)
    assert run(["device", "show"]) == 0
    text = capsys.readouterr().out
    assert "kept busy by others: unknown" in text
    assert "no sensor" in text
