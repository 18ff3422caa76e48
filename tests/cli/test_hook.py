"""`edge-ttp hook`: what is printed of the hooks of a real repository, and that running one never fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from desk.test_git_hook import git, staged

from edge_ttp.cli.main import run


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def test_hooks_are_put_in_beside_others_and_taken_out_again(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repository / ".git" / "hooks"
    folder.mkdir(exist_ok=True)
    theirs = "#!/bin/sh\necho theirs\n"
    (folder / "post-commit").write_text(theirs)

    def said(*arguments: str) -> str:
        assert run(["hook", *arguments, "--repo", str(repository)]) == 0
        return capsys.readouterr().out

    assert said("status") == (f"{folder}/prepare-commit-msg: not installed\n{folder}/post-commit: not installed\n")
    assert said("install", "--user", "ann") == (
        f"{folder}/prepare-commit-msg: installed\n{folder}/post-commit: installed, beside another hook\n"
    )
    assert "--user ann" in (folder / "prepare-commit-msg").read_text()
    assert json.loads(said("status", "--json"))["hooks"] == [
        {"path": f"{folder}/prepare-commit-msg", "installed": True, "others": False},
        {"path": f"{folder}/post-commit", "installed": True, "others": True},
    ]
    assert said("uninstall").count("not installed") == 2
    assert (folder / "post-commit").read_text() == theirs


def test_where_there_is_no_repository_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hook", "install", "--repo", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_hook_says_what_is_wrong_and_ends_well(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    staged(repository)
    monkeypatch.chdir(repository)
    monkeypatch.setenv("EDGE_TTP_USER", "ann")
    message = repository / "message"
    message.write_text("\n")
    assert run(["hook", "run", "prepare-commit-msg", "--", str(message)]) == 0  # there is no policy in this home
    assert "no suggestion" in capsys.readouterr().err
    assert message.read_text() == "\n"
    assert run(["hook", "run", "prepare-commit-msg", "--", str(message / "none")]) == 0
    assert run(["hook", "run", "post-commit"]) == 0
