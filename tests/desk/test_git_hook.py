"""Real git, the real hooks, the fake models: suggestions, feedback, worktrees, other hooks, failures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import Models
from fakes.command import model_files

from edge_ttp.cli.main import run
from edge_ttp.desk import git_hook
from edge_ttp.errors import InvalidInput
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.runtime import Runtime
from edge_ttp.schema import HistoryItem


def git(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**os.environ, "GIT_EDITOR": "true", "GIT_CONFIG_GLOBAL": os.devnull, **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "Ann")
    git(folder, "config", "user.email", "ann@example.org")
    return folder


def staged(folder: Path, name: str = "a.txt") -> None:
    (folder / name).write_text(f"{name}\n")
    git(folder, "add", name)


def program(tmp_path: Path) -> str:
    """A command that stands for edge-ttp and writes down how it was called, from a folder with a space."""
    script = tmp_path / "some where" / "called.py"
    script.parent.mkdir(exist_ok=True)
    calls = str(tmp_path / "calls")
    script.write_text(f"import sys\nopen({calls!r}, 'a').write(' '.join(sys.argv[1:4]) + '\\n')\nsys.exit(1)\n")
    return f"'{sys.executable}' '{script}'"


def test_the_hooks_are_called_and_a_failing_one_stops_no_commit(repository: Path, tmp_path: Path) -> None:
    git_hook.install(repository, command=program(tmp_path))
    staged(repository)
    git(repository, "commit", "-q", "-m", "one")
    assert (tmp_path / "calls").read_text() == "hook run prepare-commit-msg\nhook run post-commit\n"


def test_other_hooks_go_on_and_stay(repository: Path, tmp_path: Path) -> None:
    hook = repository / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    theirs = f"#!/bin/sh\necho theirs >> '{tmp_path}/calls'\n"
    hook.write_text(theirs)
    hook.chmod(0o755)
    for _ in range(2):
        states = git_hook.install(repository, command=program(tmp_path))
    assert [(one.installed, one.others) for one in states] == [(True, False), (True, True)]
    assert hook.read_text().count(git_hook.BEGIN) == 1
    staged(repository)
    git(repository, "commit", "-q", "-m", "one")
    assert (tmp_path / "calls").read_text().splitlines()[-2:] == ["hook run post-commit", "theirs"]
    states = git_hook.uninstall(repository)
    assert [one.installed for one in states] == [False, False]
    assert hook.read_text() == theirs
    assert not (hook.parent / "prepare-commit-msg").exists()


def test_a_hook_that_is_no_shell_script_is_left_alone(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/usr/bin/env python3\nprint(1)\n")
    with pytest.raises(InvalidInput, match="no shell script"):
        git_hook.install(repository)
    assert not (hook.parent / "prepare-commit-msg").exists()
    assert hook.read_text() == "#!/usr/bin/env python3\nprint(1)\n"


def test_no_repository_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hook", "install", "--repo", str(tmp_path)]) == 2
    assert "not a git repository" in capsys.readouterr().err


def test_a_suggestion_stands_in_the_message_and_what_is_committed_is_feedback(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Models(monkeypatch)
    _, policy, _, reward = model_files(tmp_path)
    worktree = tmp_path / "beside"
    staged(repository)
    git(repository, "commit", "-q", "-m", "one")
    git(repository, "worktree", "add", "-q", str(worktree))
    staged(worktree, "b.txt")
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text("\n# Please enter the commit message\n")
    with Runtime.open(model=policy, reward=reward, user="ann") as runtime:
        with pytest.raises(InvalidInput, match="no commit messages of ann"):
            git_hook.suggest(runtime, worktree, message, "", user="ann")
        assert message.read_text() == "\n# Please enter the commit message\n"
        runtime.history.add(HistoryItem(user_id="ann", input="1 file changed", output="Add a", kind="commit"))
        made = git_hook.suggest(runtime, worktree, message, "", user="ann")
        assert made is not None
        assert made.prompt == "1 file changed, +1 -0\nb.txt +1 -0"
        assert message.read_text() == f"{made.text}\n\n# Please enter the commit message\n"
        assert git_hook.waits(worktree)
        assert not git_hook.waits(repository)
        git(worktree, "commit", "-q", "-m", "Add b")
        assert git_hook.committed(runtime, worktree) == "edit"
        assert not git_hook.waits(worktree)
        assert git_hook.committed(runtime, worktree) is None
        for source in git_hook.WRITTEN_BY_GIT:
            assert git_hook.suggest(runtime, worktree, message, source) is None
        assert git_hook.suggest(runtime, worktree, message, "", user="ann") is None  # nothing is staged
    with History.open(locate().database) as history:
        assert [(one.output, one.kind) for one in history.items("ann")] == [("Add b", "commit"), ("Add a", "commit")]


def test_a_repository_starts_no_program_of_its_own_and_a_signature_says_nothing(
    repository: Path, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch '{started}'\nexit 0\n")
    evil.chmod(0o755)
    git(repository, "commit", "-q", "--allow-empty", "-m", "first")
    for name in ("diff.external", "diff.x.command", "diff.x.textconv", "gpg.program", "core.fsmonitor", "core.pager"):
        git(repository, "config", name, str(evil))
    git(repository, "config", "log.showSignature", "true")
    (repository / ".gitattributes").write_text("* diff=x\n")
    (repository / "a.txt").write_text("one\n")
    git(repository, "-c", "core.fsmonitor=false", "add", ".")
    started.unlink(missing_ok=True)
    assert "a.txt" in git_hook.describe(repository)
    assert git_hook._git(repository, "log", "-1", "--format=%s") == "first\n"
    assert not started.exists()
