"""Every part is looked at, a fault of one does not hide the others, and each has its cure."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge_ttp.errors import HistoryUnavailable, ModelUnavailable
from edge_ttp.history import History
from edge_ttp.lab import doctor
from edge_ttp.lab.doctor import Check, examine
from edge_ttp.paths import locate
from edge_ttp.policy import bindings
from edge_ttp.schema import HistoryItem
from edge_ttp.system.settings import change_settings, settings_file

needs_modes = pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are not checked: their files are large."""
    monkeypatch.setattr(doctor, "_models", lambda _: iter(()))
    monkeypatch.setattr(doctor, "_device", lambda: iter(()))


def checks(home: Path) -> dict[str, Check]:
    return {check.name: check for check in examine(locate(home))}


@pytest.mark.usefixtures("quick")
def test_an_error_in_one_part_is_a_finding_and_the_rest_is_still_looked_at(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> str:
        raise ModelUnavailable("llama.cpp is broken", "build it again")

    monkeypatch.setattr(bindings, "version", broken)
    found = checks(home)
    assert found["llama.cpp"] == Check("llama.cpp", "fail", "llama.cpp is broken", "build it again")
    assert found["history"].status == found["settings"].status == "ok"
    assert found["disk"].detail.startswith("0 files of what was read")


@pytest.mark.usefixtures("quick")
def test_folders_are_named_and_nothing_is_made_of_them(home: Path) -> None:
    found = checks(home)
    assert found["data folder"].detail == f"{locate(home).data} (made when needed)"
    assert found["history"].detail == f"{locate(home).database} (made when needed)"
    assert not locate(home).database.exists()


@pytest.mark.usefixtures("quick")
def test_settings_are_told_with_where_they_come_from(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_TTP_FORMATS")
    assert checks(home)["settings"].detail.startswith("nothing set: the defaults hold (")
    change_settings(locate(home), "mode", "fast")
    monkeypatch.setenv("EDGE_TTP_USER", "ann")
    assert "user=ann (EDGE_TTP_USER), mode=fast" in checks(home)["settings"].detail


@needs_modes
@pytest.mark.usefixtures("quick")
def test_what_others_may_read_is_found_with_the_command_that_closes_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_settings(locate(home), "mode", "fast")
    settings_file(locate(home)).chmod(0o644)
    found = checks(home)["settings"]
    assert (found.status, found.cure) == ("warn", f"chmod 600 '{settings_file(locate(home))}'")
    database = locate(home).database
    with History.open(database) as history:
        history.add(HistoryItem(user_id="ann", input="a", output="b"))
        health = history.health(full=True)
    database.chmod(0o644)
    assert "history privacy" not in checks(home)  # opening it closes it to others
    assert database.stat().st_mode & 0o077 == 0
    open_to_all = replace(health, modes={**health.modes, database.name: "0644"}, private=False)
    monkeypatch.setattr(History, "health", lambda *_, **__: open_to_all)  # as where a mode cannot be changed
    found = checks(home)["history privacy"]
    assert found.status == "fail"
    assert "0644" in found.detail
    assert found.cure == f"chmod 600 {health.path}*"


@pytest.mark.usefixtures("quick")
def test_a_history_that_cannot_be_opened_is_a_finding(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with History.open(locate(home).database):
        pass

    def locked(*_: object, **__: object) -> None:
        raise HistoryUnavailable("it is locked", "wait")

    monkeypatch.setattr(History, "open", locked)
    assert checks(home)["history"] == Check("history", "fail", "it is locked", "wait")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.usefixtures("quick")
def test_a_folder_that_cannot_be_written_is_found(home: Path) -> None:
    home.mkdir()
    home.chmod(0o500)
    assert checks(home)["data folder"].status == "fail"
