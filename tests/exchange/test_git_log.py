from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange import git_log
from edge_ttp.exchange.git_log import FileChange, LogReading, commits, count, summary
from edge_ttp.exchange.records import BadRecord, Numbered, Remark
from edge_ttp.history import History
from edge_ttp.history.importing import store_records
from edge_ttp.schema import HistoryItem

HOW = LogReading("ann")
Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Runs git in a repository of the test's own and returns what it printed."""
    folder = tmp_path / "repository"
    folder.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_DATE": "2020-02-03T04:05:06Z",
        "GIT_COMMITTER_DATE": "2020-02-03T04:05:06Z",
        "GIT_AUTHOR_NAME": "Ann Bee",
        "GIT_AUTHOR_EMAIL": "ann@example.org",
        "GIT_COMMITTER_NAME": "Ann Bee",
        "GIT_COMMITTER_EMAIL": "ann@example.org",
    }

    def run(*arguments: str, **extra: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=environment | extra, capture_output=True, text=True, check=True
        )
        return done.stdout

    run("init", "-q", "-b", "main")
    return run


@pytest.fixture
def repository(git: Git, tmp_path: Path) -> Path:
    return tmp_path / "repository"


def commit(
    git: Git, repository: Path, message: str, /, *, content: bytes = b"", name: str = "a.txt", **extra: str
) -> None:
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_bytes(content or os.urandom(4).hex().encode() + b"\n")
    git("add", "-A")
    git("commit", "-q", "--allow-empty-message", "-m", message, **extra)


def items(repository: Path, how: LogReading = HOW) -> list[HistoryItem]:
    found = list(commits(repository, how))
    assert not [entry for entry in found if isinstance(entry, BadRecord)]
    return [entry.record for entry in found if isinstance(entry, Numbered) and isinstance(entry.record, HistoryItem)]


def test_a_commit_becomes_what_changed_and_its_first_line(git: Git, repository: Path) -> None:
    commit(git, repository, "Add the café\n\nWith a body.\n\nAnd more.", content=b"1\n2\n3\n", name="sub folder/é.txt")
    [item] = items(repository)
    assert item.input == "1 file changed, +3 -0\nsub folder/é.txt +3 -0"
    assert (item.output, item.kind, item.source) == ("Add the café", "commit", "git")
    assert item.created_at == datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert item.metadata == {"commit": git("rev-parse", "HEAD").strip(), "author": "Ann Bee"}
    [whole] = items(repository, LogReading("ann", body=True, kind="log"))
    assert (whole.output, whole.kind) == ("Add the café\n\nWith a body.\n\nAnd more.", "log")


def test_commits_come_oldest_first(git: Git, repository: Path) -> None:
    for message in ("one", "two", "three"):
        commit(git, repository, message)
    assert [item.output for item in items(repository)] == ["one", "two", "three"]


def test_renames_binaries_and_deletions_are_described(git: Git, repository: Path) -> None:
    commit(git, repository, "one", content=b"same\n" * 20, name="old name")
    (repository / "old name").rename(repository / "new\tname\n")
    (repository / "picture").write_bytes(b"\0\1\2")
    git("add", "-A")
    git("commit", "-qm", "two")
    git("rm", "-q", "picture")
    git("commit", "-qm", "three")
    assert [item.input for item in items(repository)][1:] == [
        "2 files changed, +0 -0\nold name => new?name? +0 -0\npicture binary",
        "1 file changed, +0 -0\npicture binary",
    ]


def test_merges_and_empty_commits_are_left_out(git: Git, repository: Path) -> None:
    commit(git, repository, "one")
    git("checkout", "-qb", "side")
    commit(git, repository, "side", name="b.txt")
    git("checkout", "-q", "main")
    commit(git, repository, "two")
    git("merge", "-q", "--no-ff", "-m", "the merge", "side")
    git("commit", "-q", "--allow-empty", "-m", "empty")
    assert sorted(item.output for item in items(repository)) == ["one", "side", "two"]


def test_author_selects_by_any_part_of_name_or_address(git: Git, repository: Path) -> None:
    commit(git, repository, "ann's")
    commit(git, repository, "bob's", GIT_AUTHOR_NAME="Bob .* Bee", GIT_AUTHOR_EMAIL="bob@example.net")
    assert [item.output for item in items(repository, LogReading("u", authors=("ANN@",)))] == ["ann's"]
    assert [item.output for item in items(repository, LogReading("u", authors=(".* bee",)))] == ["bob's"]
    assert items(repository, LogReading("u", authors=("--all",))) == []
    assert count(repository, LogReading("u", authors=("example",))) == 2


def test_an_author_who_wrote_nothing_here_is_said(git: Git, repository: Path) -> None:
    git("commit", "-q", "--allow-empty", "-m", "one")
    assert list(commits(repository, LogReading("ann", authors=("zoe",)))) == [
        Remark("no commit here is by 'zoe'; the names that there are: git shortlog -sne HEAD")
    ]


def test_a_commit_without_a_message_is_bad_and_the_others_are_stored(
    git: Git, repository: Path, history: History
) -> None:
    commit(git, repository, "one")
    commit(git, repository, "")
    commit(git, repository, "three")
    report = store_records(history, lambda: commits(repository, HOW))
    assert (report.added, report.bad) == (2, 1)
    assert report.named[0].number == 2
    assert "the output is empty" in report.named[0].reason
    assert store_records(history, lambda: commits(repository, HOW)).duplicates == 2


def test_messages_and_names_made_to_confuse_are_only_text(git: Git, repository: Path) -> None:
    nasty = "\x01" + "a" * 40 + " 1\t2\tx"
    commit(git, repository, nasty, name="\x01" + "b" * 40)
    commit(git, repository, "1\t0\tfake", name="-\t-\tx")
    outputs = [item.output for item in items(repository, LogReading("u", body=True))]
    assert outputs == [nasty, "1\t0\tfake"]


def test_messages_that_are_not_utf8_are_read_with_replacements(git: Git, repository: Path) -> None:
    commit(git, repository, "fine")
    head = git("rev-parse", "HEAD").strip()
    commit(git, repository, "other")
    tree = git("rev-parse", "HEAD^{tree}").strip()
    raw = f"tree {tree}\nparent {head}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\ncaf"
    (repository / "raw").write_bytes(raw.encode() + b"\xe9\n")
    git("reset", "-q", "--hard", git("hash-object", "-t", "commit", "-w", "raw").strip())
    assert items(repository)[-1].output == "caf\N{REPLACEMENT CHARACTER}"


def test_a_giant_message_is_bad_and_not_kept(git: Git, repository: Path) -> None:
    commit(git, repository, "one")
    (repository / "a.txt").write_text("more")
    (repository.parent / "message").write_text("subject\n\n" + "x" * 3_000_000)
    git("commit", "-qa", "-F", str(repository.parent / "message"))
    commit(git, repository, "three")
    found = list(commits(repository, HOW))
    assert [isinstance(entry, BadRecord) for entry in found] == [False, True, False]


def test_a_hostile_repository_runs_nothing(git: Git, repository: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho ran >> '{witness}'\n")
    program.chmod(0o755)
    commit(git, repository, "one", name=".gitattributes", content=b"* diff=evil filter=evil\n")
    commit(git, repository, "two")
    tree = git("rev-parse", "HEAD^{tree}").strip()
    signed = f"tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\ngpgsig x\n\nsigned\n"
    (tmp_path / "signed").write_text(signed)
    git("reset", "-q", "--hard", git("hash-object", "-t", "commit", "-w", str(tmp_path / "signed")).strip())
    commit(git, repository, "three")
    for setting in (
        *("core.pager", "core.fsmonitor", "diff.external", "diff.evil.command", "diff.evil.textconv", "gpg.program"),
        *("filter.evil.clean", "filter.evil.smudge", "core.sshCommand", "core.editor", "gpg.ssh.program"),
        *("core.alternateRefsCommand", "pager.log", "alias.log", "core.askPass", "credential.helper"),
    ):
        git("config", setting, str(program))
    for setting in ("log.showSignature", "diff.mnemonicPrefix", "log.follow"):
        git("config", setting, "true")
    git("config", "color.ui", "always")
    git("config", "format.pretty", "raw")
    git("config", "core.hooksPath", str(tmp_path))
    assert [item.output for item in items(repository)] == ["signed", "three"]
    assert count(repository, HOW) == 2
    assert not witness.exists()


def test_the_callers_git_variables_lead_nowhere_else(
    git: Git, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(git, repository, "mine")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    assert [item.output for item in items(repository)] == ["mine"]


@pytest.mark.parametrize("name", ["missing", "plain", "--upload-pack=x"])
def test_a_folder_without_a_repository_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").mkdir()
    for call in (lambda: list(commits(Path(name), HOW)), lambda: count(Path(name), HOW)):
        with pytest.raises(InvalidInput, match=r"is not a (git repository|folder)"):
            call()


def test_a_repository_without_commits_is_refused(repository: Path) -> None:
    with pytest.raises(InvalidInput, match="has no commits yet"):
        list(commits(repository, HOW))


def test_missing_git_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput, match="git is not installed"):
        list(commits(tmp_path, HOW))


def test_stopping_early_ends_the_process(git: Git, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        commit(git, repository, f"{number}")
    started: list[subprocess.Popen[bytes]] = []
    start = git_log._start

    def watched(*arguments: object) -> subprocess.Popen[bytes]:
        process = start(*arguments)  # type: ignore[arg-type]
        started.append(process)
        return process

    monkeypatch.setattr(git_log, "_start", watched)
    stream = commits(repository, HOW)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


def test_a_damaged_repository_is_one_clear_error(git: Git, repository: Path) -> None:
    for number in range(3):
        commit(git, repository, f"{number}")
    first = git("rev-list", "--max-parents=0", "HEAD").strip()
    damaged = repository / ".git" / "objects" / first[:2] / first[2:]
    damaged.chmod(0o600)
    damaged.write_bytes(b"damaged")
    with pytest.raises(InvalidInput, match="git stopped while reading"):
        list(commits(repository, HOW))


def test_many_files_are_counted_beyond_those_named() -> None:
    changes = [FileChange(f"file {number}", 1, 2) for number in range(100)]
    lines = summary(changes).splitlines()
    assert lines[0] == "100 files changed, +100 -200"
    assert lines[-1] == "and 70 more"
    assert len(lines) == 32
