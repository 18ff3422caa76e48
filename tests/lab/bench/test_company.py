"""bench company: the same requests queued and by turns, on the fake policy."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from fakes import FakePolicy, Models, endless
from registry.makers import gguf, reward_folder

from edge_ttp.cli.main import run
from edge_ttp.lab.bench.company import company
from edge_ttp.runtime import Runtime


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, str]:
    Models(monkeypatch).policy = FakePolicy(table=endless)
    policy = tmp_path / "tiny.gguf"
    policy.write_bytes(gguf())
    return str(policy), str(reward_folder(tmp_path / "judge"))


def test_a_row_for_each_number_of_others_and_every_seed_says_the_same(files: tuple[str, str]) -> None:
    steps: list[float] = []
    with Runtime.open(model=files[0], reward=files[1]) as runtime:
        rows = company(runtime, [1, 3], n=4, tokens=20, rounds=2, advance=steps.append, cancel=threading.Event())
        assert runtime.history.users() == []
    assert [row.others for row in rows] == [1, 3]
    assert all(row.same and min(row.turns_rate, row.queued_rate, row.effort) > 0 for row in rows)
    assert steps == [1, 2, 3, 4]


def test_a_cancel_keeps_the_rows_that_are_whole(files: tuple[str, str]) -> None:
    cancel = threading.Event()
    with Runtime.open(model=files[0], reward=files[1]) as runtime:
        found = company(runtime, [1, 2], n=2, tokens=4, rounds=1, advance=lambda _: cancel.set(), cancel=cancel)
    assert [row.others for row in found] == [1]


def test_the_command_prints_a_table_and_json(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["bench", "company", "--others", "2", "--rounds", "1", "--n", "2", "--tokens", "4", "--model", files[0]]
    assert run([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["others"] == 2
    assert run(asked) == 0
    assert "by turns" in capsys.readouterr().out
    assert run([*asked, "--others", "0"]) == 2
