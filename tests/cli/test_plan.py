"""`edge-ttp plan` over invented models: what is explained and printed."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from fakes import BYTES_PER_TOKEN, Models
from fakes.command import model_files

from edge_ttp.budget.planner import BATTERY_CANDIDATES, HOT_CANDIDATES, SAVER_CANDIDATES
from edge_ttp.cli.main import run
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.schema import HistoryItem


class Plan:
    """`edge-ttp plan --json` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], files: list[str]) -> None:
        self._capsys, self._files = capsys, files

    def __call__(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        assert run(["plan", *arguments, *self._files, "--user", "ann", "--json"]) == code
        found: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return found


@pytest.fixture
def plan(capsys: pytest.CaptureFixture[str], tmp_path: Path, models: Models) -> Plan:
    return Plan(capsys, model_files(tmp_path))


def power(monkeypatch: pytest.MonkeyPatch, percent: int, plugged: bool) -> None:
    battery = SimpleNamespace(percent=percent, power_plugged=plugged)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)


def heat(monkeypatch: pytest.MonkeyPatch, degrees: float) -> None:
    reading = SimpleNamespace(current=degrees, high=95.0)
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: {"coretemp": [reading]}, raising=False)


def test_a_plan_is_explained_without_drawing_or_recording_anything(plan: Plan, models: Models, home: Path) -> None:
    found = plan("what grows here", "--deadline", "2")
    assert found["plan"]["n"] >= 1
    assert found["plan"]["bound_by"] in ("value", "deadline", "max_candidates")
    curve = found["curve"]
    assert [point["n"] for point in curve] == sorted({point["n"] for point in curve})
    assert found["plan"]["n"] in [point["n"] for point in curve]
    assert all(later["seconds"] > point["seconds"] for point, later in pairwise(curve))
    assert all(later["gain"] > point["gain"] for point, later in pairwise(curve))
    assert {"deadline", "value", "max_candidates"} <= set(found["limits"])
    assert found["calibration"]["queries"] == 0
    assert models.policy.requests == []
    with History.open(locate(home).database) as history:
        assert history.generations("ann") == []


def test_without_a_prompt_the_plan_is_for_one_like_the_newest_item(plan: Plan, models: Models, home: Path) -> None:
    with History.open(locate(home).database) as history:
        history.add(HistoryItem(user_id="ann", input="what grows where the wall was", output="elder"))
    plan()
    assert models.policy.messages[-1][-1] == ("user", "what grows where the wall was")


def test_the_memory_limit_is_named_where_it_binds(plan: Plan) -> None:
    found = plan("what grows here", "--max-tokens", "8", "--mode", "best", "--memory", str(60 * BYTES_PER_TOKEN))
    assert found["plan"]["bound_by"] == "memory"
    assert found["limits"]["memory"] == found["plan"]["n"]


def test_battery_and_heat_change_the_plan_as_documented(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ("what grows here", "--max-tokens", "8", "--mode", "best")
    mains = plan(*request)
    assert (mains["energy"], mains["hot"]) == ("mains", False)
    power(monkeypatch, 60, False)
    battery = plan(*request)
    power(monkeypatch, 10, False)
    saver = plan(*request)
    power(monkeypatch, 10, True)
    assert plan(*request)["plan"]["n"] == mains["plan"]["n"]
    assert battery["price"] == pytest.approx(2 * mains["price"])
    assert saver["price"] == pytest.approx(4 * mains["price"])
    assert (battery["limits"]["energy"], saver["limits"]["energy"]) == (BATTERY_CANDIDATES, SAVER_CANDIDATES)
    assert saver["plan"]["n"] <= SAVER_CANDIDATES < battery["plan"]["n"] <= BATTERY_CANDIDATES < mains["plan"]["n"]
    heat(monkeypatch, 96.0)
    hot = plan(*request)
    assert (hot["hot"], hot["limits"]["heat"]) == (True, HOT_CANDIDATES)
    assert hot["plan"]["n"] <= HOT_CANDIDATES
    assert hot["price"] == pytest.approx(2 * mains["price"])
    heat(monkeypatch, 94.0)
    assert plan(*request)["plan"]["n"] == mains["plan"]["n"]


def test_the_callers_own_energy_wins_over_the_devices(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    power(monkeypatch, 10, False)
    assert plan("what grows here", "--energy", "mains")["energy"] == "mains"
    assert plan("what grows here", "--energy", "wind", code=2)["error"]["code"] == "invalid_input"


def test_a_plan_reads_as_words_and_a_table(capsys: pytest.CaptureFixture[str], tmp_path: Path, models: Models) -> None:
    assert run(["plan", "what grows here", *model_files(tmp_path), "--user", "ann", "--deadline", "2"]) == 0
    shown = capsys.readouterr()
    assert "bound by" in shown.out
    assert "expected gain" in shown.out
    assert "limits on N: " in shown.out
    assert "no evidence yet: the population's" in shown.out
    assert "no history yet for 'ann'" in shown.err


def test_a_plan_with_nothing_to_judge_by_lists_that_limit(plan: Plan) -> None:
    found = plan("what grows here", "--select", "first")
    assert (found["plan"]["n"], found["plan"]["bound_by"]) == (1, "no_reward")
    assert found["limits"]["no_reward"] == 1
    assert "no_reward" not in plan("what grows here", "--select", "consensus")["limits"]


def test_a_plan_takes_every_option_of_drawing(plan: Plan) -> None:
    assert plan("what grows here", "--max-tokens", "9")["plan"]["max_tokens"] == 9
    assert plan("what grows here", "--json-schema", '{"type": "boolean"}')["plan"]["max_tokens"] >= 256


def test_words_come_before_numbers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, models: Models, home: Path
) -> None:
    files = model_files(tmp_path)
    assert run(["plan", "what grows here", "--user", "ann", *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("This would draw ")
    assert ": " in lines[0]
    assert lines[1] == "No text of this user stands in the prompt: the answer will not sound like them."
    assert "unknown yet" in lines[2]
    assert next(number for number, line in enumerate(lines) if line.startswith("in numbers: ")) > 2
    with History.open(locate(home).database) as history:
        history.add(HistoryItem(user_id="ann", input="what is near", output="a pond"))
    assert run(["plan", "what grows here", "--user", "ann", "--max-candidates", "1", *files]) == 0
    out = capsys.readouterr().out
    assert out.startswith("This would draw one candidate")
    assert "1 text of this user stands in the prompt" in out
