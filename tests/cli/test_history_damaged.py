"""Commands over a history with damaged rows: the rest is printed, the rows are named on stderr, the exit code is 4."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from history.hostile_rows import damage, fill

from edge_ttp.cli.main import run
from edge_ttp.paths import locate

DAMAGE = "UPDATE items SET metadata = 'x' WHERE id = 2; UPDATE generations SET plan = '{}' WHERE id = 'g1'"


@pytest.fixture(autouse=True)
def database(home: Path) -> Path:
    path = locate(home).database
    fill(path)
    damage(path, DAMAGE)
    return path


@pytest.mark.parametrize(
    ("arguments", "named", "printed"),
    [
        (("list",), "items 2", "number 3"),
        (("search", "hello"), "items 2", "number 3"),
        (("export",), "items 2", "number 3"),
        (("export", "--all"), "generations g1", '"record": "generation"'),
        (("export", "--preferences"), "generations g1", "better"),
        (("generations",), "generations g1", "g2"),
    ],
)
def test_the_rest_is_printed_and_the_exit_code_is_4(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: str, printed: str
) -> None:
    assert run(["history", *arguments, "--user", "ann"]) == 4
    said = capsys.readouterr()
    assert printed in said.out
    assert f"left out: {named}: " in said.err
    assert said.err.splitlines()[-1].startswith("edge-ttp: ")
    assert said.err.splitlines()[-1].endswith("set such rows aside: edge-ttp history doctor --repair")


def test_under_json_stdout_is_one_object_and_the_exit_code_is_4(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "list", "--user", "ann", "--json"]) == 4
    said = capsys.readouterr()
    assert 2 not in [item["id"] for item in json.loads(said.out)["items"]]
    assert "left out: items 2: the metadata is not JSON" in said.err


def test_an_export_to_a_file_is_written_and_the_exit_code_is_4(tmp_path: Path) -> None:
    target = tmp_path / "export.jsonl"
    assert run(["history", "export", "--user", "ann", "--output", str(target)]) == 4
    assert len(target.read_text().splitlines()) == 6


def test_another_users_list_is_whole_and_the_exit_code_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "list", "--user", "bob"]) == 0
    assert "left out" not in capsys.readouterr().err


def test_asking_for_the_damaged_answer_itself_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history", "generations", "g1"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
