"""The search in the background: begun once, said once, off where it is turned off, and stopped while somebody asks."""

from __future__ import annotations

import itertools
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from edge_ttp.lab import format_search
from edge_ttp.lab.format_search import begin, search, wanted
from edge_ttp.lab.search_state import TRIES, SearchState
from edge_ttp.learning.foreground import Foreground
from edge_ttp.paths import Paths, locate
from edge_ttp.registry import DEFAULT_POLICY, Registry
from edge_ttp.system.settings import change_settings


@pytest.fixture
def paths(models_home: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A home with the default policy, in which searches are wanted."""
    monkeypatch.delenv("EDGE_TTP_FORMATS")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("edge_ttp.lab.search_state.device.available_memory", lambda: 2**40)
    return locate(models_home)


class Started:
    """Stands in for the process."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.homes: list[str] = []

    def __call__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.commands.append(command)
        self.homes.append(environment["EDGE_TTP_HOME"])


def test_it_begins_with_the_first_use_is_said_once_and_is_given_up_after_some_tries(paths: Paths) -> None:
    started = Started()
    said = [begin(paths, DEFAULT_POLICY, start=started) for _ in range(3)]
    assert "looked for in the background" in said[0]
    assert "formats off" in said[0]
    assert said[1:] == [""] * 2
    assert len(started.commands) == 3  # none of them ran
    source = Registry(paths).own(DEFAULT_POLICY).sha256
    for _ in range(TRIES):
        SearchState.count_try(paths, DEFAULT_POLICY, source)
    begin(paths, DEFAULT_POLICY, start=started)
    assert len(started.commands) == 3
    assert started.commands[0][1:] == ["-m", "edge_ttp", "models", "fastest", DEFAULT_POLICY, "--when-idle"]
    assert started.homes[0] == str(paths.data.parent)


def test_what_was_found_is_said_once_and_nothing_is_looked_for_again(paths: Paths) -> None:
    started = Started()
    begin(paths, DEFAULT_POLICY, start=started)
    registry = Registry(paths)
    registry.choose(DEFAULT_POLICY, registry.own(DEFAULT_POLICY).format, "nothing is faster")
    assert begin(paths, DEFAULT_POLICY, start=started).endswith("nothing is faster")
    assert begin(paths, DEFAULT_POLICY, start=started) == ""
    assert len(started.commands) == 1


def test_while_one_runs_no_other_is_begun(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    started = Started()

    def look() -> bool:
        begin(paths, DEFAULT_POLICY, start=started)
        return True

    monkeypatch.setattr(format_search, "_step_back", lambda: None)
    monkeypatch.setattr(format_search, "_LOOK_S", 0.0)
    begun: list[bool] = []
    command = [sys.executable, "-c", ""]
    assert search(paths, command, idle=look, quiet_s=0.0, on_begin=lambda: begun.append(True)) == 0
    assert begun == [True]
    assert not started.commands
    assert "background" in begin(paths, DEFAULT_POLICY, start=started)


def test_a_choice_made_by_hand_is_left_alone(paths: Paths) -> None:
    registry, started = Registry(paths), Started()
    registry.choose(DEFAULT_POLICY, registry.own(DEFAULT_POLICY).format, "chosen by hand")
    assert begin(paths, DEFAULT_POLICY, start=started) == ""
    assert not started.commands


@pytest.mark.parametrize("why", ["setting", "environment", "CI", "no such model", "a file", "a format", "no memory"])
def test_it_does_not_begin(paths: Paths, why: str, monkeypatch: pytest.MonkeyPatch, policy_path: Path) -> None:
    name = DEFAULT_POLICY
    if why == "setting":
        change_settings(paths, "formats", "off")
    elif why == "environment":
        monkeypatch.setenv("EDGE_TTP_FORMATS", "off")
    elif why == "CI":
        monkeypatch.setenv("CI", "true")
    elif why == "no such model":
        name = "nobody"
    elif why == "a format":
        name = f"{name}:Q4_1"
    elif why == "a file":
        name = str(policy_path)
    else:
        monkeypatch.setattr("edge_ttp.lab.search_state.device.available_memory", lambda: 0)
    started = Started()
    assert begin(paths, name, start=started) == ""
    assert not started.commands


def test_a_frozen_app_begins_none(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wanted(paths=paths)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert not wanted(paths=paths)


WRITES = """
import pathlib, sys, time
for count in range(10**6):
    pathlib.Path(sys.argv[1]).write_text(str(count))
    time.sleep(0.002)
"""


class Requests(Foreground):
    """Busy as long as `here` is set; sets and clears it by what it sees in the child's file."""

    def __init__(self, path: Path, file: Path) -> None:
        super().__init__(path)
        self.file, self.looks = file, itertools.count()
        self.frozen: list[str] = []
        self.phase = "wait"

    def busy(self) -> bool:
        if self.phase == "wait" and self.file.exists():
            self.phase = "request"  # the child works: a request comes
        elif self.phase == "request":
            self.frozen.append(self.file.read_text())
            if len(self.frozen) >= 6:
                self.phase = "over"
        return self.phase == "request"


def test_the_child_is_stopped_while_a_request_runs_and_ended_when_it_is_turned_off(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "count"
    monkeypatch.setattr(format_search, "_step_back", lambda: None)
    requests = Requests(paths.cache / "foreground.lock", file)
    off: list[str] = []

    def idle() -> bool:
        if requests.phase == "over" and not off and file.read_text() not in ("", requests.frozen[-1]):
            off.append(file.read_text())  # it went on
            change_settings(paths, "formats", "off")
        return True

    monkeypatch.setattr(format_search, "_LOOK_S", 0.0)
    ended = search(paths, [sys.executable, "-c", WRITES, str(file)], foreground=requests, idle=idle, quiet_s=0.0)
    assert ended is None
    assert off
    assert requests.frozen[-1] == requests.frozen[-2] == requests.frozen[-3]  # stopped
    last = file.read_text()
    time.sleep(0.05)
    assert file.read_text() == last  # ended


def test_the_child_is_not_begun_on_a_busy_device_and_its_exit_code_is_the_result(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(format_search, "_step_back", lambda: None)
    monkeypatch.setattr(format_search, "_LOOK_S", 0.0)
    looks = itertools.count()
    ended = search(paths, [sys.executable, "-c", "raise SystemExit(4)"], idle=lambda: next(looks) > 3, quiet_s=0.0)
    assert ended == 4
    assert next(looks) > 4


def test_it_ends_with_its_home(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave() -> bool:
        shutil.rmtree(paths.cache)
        return False

    monkeypatch.setattr(format_search, "_step_back", lambda: None)
    monkeypatch.setattr(format_search, "_LOOK_S", 0.0)
    assert search(paths, [sys.executable, "-c", ""], idle=leave, quiet_s=0.0) is None
    assert not paths.cache.exists()
