"""Every export command looks at where it shall write before it works, and writes over nothing that must stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ttp.cli.main import run
from edge_ttp.paths import locate

pytestmark = pytest.mark.export

READS = ("--encoder", "none", "--salience", "none")
FILES = ("--pools", "none", "--data", "none")
TO_A_FILE = {
    "scores": ("scores", *FILES, *READS, "--trained", "a=none"),
    "rows": ("rows", *FILES),
}
TO_A_FOLDER = {
    "encoder": ("reward", "encoder", "--data", "none"),
    "salience": ("reward", "salience", "--data", "none", "--encoder", "none"),
    "train": ("reward", "train", *FILES, *READS),
}


def refused(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["export", *arguments, "--json"]) == 2
    error: str = json.loads(capsys.readouterr().out)["error"]["message"]
    return error


@pytest.mark.parametrize("name", TO_A_FILE)
def test_a_file_is_not_written_over(name: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, history = tmp_path / "there", locate(home).database
    there.write_text("mine")
    history.parent.mkdir(parents=True)
    history.write_text("mine too")
    assert "there already" in refused((*TO_A_FILE[name], "--out", str(there)), capsys)
    assert "is the history itself" in refused((*TO_A_FILE[name], "--out", str(history), "--force"), capsys)
    assert (there.read_text(), history.read_text()) == ("mine", "mine too")


@pytest.mark.parametrize("name", TO_A_FOLDER)
def test_a_folder_is_not_written_over(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "there already" in refused((*TO_A_FOLDER[name], "--out", str(tmp_path)), capsys)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_model_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("reward", "onnx", *FILES, *READS, "--trained", "none", "--name", "one", "--out", str(tmp_path))
    (tmp_path / "one.toml").write_text("mine")
    assert "there already" in refused(arguments, capsys)
    assert (tmp_path / "one.toml").read_text() == "mine"


def test_pools_are_not_appended_to_a_history(
    home: Path, tmp_path: Path, policy_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, history = tmp_path / "notes.jsonl", locate(home).database
    lines = [{"user_id": "a", "order": order, "input": "in", "output": "out"} for order in range(9)]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    history.parent.mkdir(parents=True)
    history.write_text("mine")
    arguments = ("pools", "--data", str(data), "--model", str(policy_path), "--out", str(history))
    assert "is the history itself" in refused(arguments, capsys)
    assert history.read_text() == "mine"
