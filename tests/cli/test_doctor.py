"""`edge-ttp doctor`: what a sound installation looks like, and that each fault is found with its cure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_ttp.budget.device import Gpu
from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.policy import bindings
from edge_ttp.registry import DEFAULT_POLICY
from edge_ttp.schema import HistoryItem


def doctor(capsys: pytest.CaptureFixture[str], code: int) -> dict[str, dict[str, Any]]:
    """The checks by name; the exit code is checked."""
    assert run(["doctor", "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is (code == 0)
    return {check["name"]: check for check in found["checks"]}


def test_a_sound_installation_is_ok_in_every_part(models_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with History.open(locate(models_home).database) as history:
        history.add(HistoryItem(user_id="ann", input="a", output="b"))
    checks = doctor(capsys, 0)
    assert {check["status"] for check in checks.values()} <= {"ok", "warn"}
    assert checks[f"policy {DEFAULT_POLICY}"]["detail"].startswith("verified")
    assert "used by `rewrite` unless --adapter none" in checks["adapter voice-smollm2-135m"]["detail"]
    assert "1 items" in checks["history"]["detail"]
    assert {"llama.cpp", "onnxruntime", "telemetry", "device", "data folder"} <= set(checks)
    assert run(["doctor"]) == 0
    assert "llama-cpp-python" in capsys.readouterr().out


def test_gpus_are_named_with_their_memory(
    models_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor(capsys, 0)["GPU"]["status"] == "ok"
    monkeypatch.setattr(bindings, "gpus", lambda: (Gpu("Fake 1", 4 * 2**30, 3 * 2**30),))
    assert doctor(capsys, 0)["GPU"]["detail"] == "Fake 1, 3.0 of 4.0 GiB free"
    monkeypatch.setattr(bindings, "gpus", tuple)
    assert "the CPU decodes" in doctor(capsys, 0)["GPU"]["detail"]


def test_a_policy_that_is_not_here_is_found_with_its_cure(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    check = doctor(capsys, 1)[f"policy {DEFAULT_POLICY}"]
    assert check["status"] == "fail"
    assert f"edge-ttp models pull {DEFAULT_POLICY}" in check["cure"]
    assert not locate(home).database.exists()
    assert run(["doctor"]) == 1
    assert "-> " in capsys.readouterr().out


def test_a_damaged_history_is_found_and_the_rest_is_still_looked_at(
    models_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locate(models_home).database.write_bytes(b"no database " * 1000)
    checks = doctor(capsys, 1)
    assert checks["history"]["status"] == "fail"
    assert "is not a sound database" in checks["history"]["detail"]
    assert checks[f"policy {DEFAULT_POLICY}"]["status"] == "ok"


def test_a_home_that_is_no_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGE_TTP_HOME", str(tmp_path / "file"))
    checks = doctor(capsys, 1)
    assert checks["data folder"]["status"] == "fail"
