"""`edge-ttp config`: what is set holds for every command and for the Python API; completion by one command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fakes import Models
from fakes.command import edge_ttp, model_files

from edge_ttp.cli.main import run
from edge_ttp.errors import NotFound
from edge_ttp.history import History
from edge_ttp.paths import locate
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Budget
from edge_ttp.system.settings import change_settings, settings_file


def test_set_show_and_unset(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["config", "set", "user", "ann"]) == 0
    assert run(["config", "set", "mode", "fast"]) == 0
    monkeypatch.setenv("EDGE_TTP_MODE", "best")
    monkeypatch.delenv("EDGE_TTP_FORMATS")
    capsys.readouterr()
    assert run(["config"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "user            ann",
        "model           -",
        "mode            best  (EDGE_TTP_MODE)",
        "language        -",
        "retention_days  -",
        "disk_gb         -",
        "formats         -",
    ]
    assert printed.err == f"kept in {settings_file(locate(home))}\n"
    assert run(["config", "get", "mode"]) == 0
    assert capsys.readouterr().out == "best\n"
    assert run(["config", "get", "model"]) == 0
    assert capsys.readouterr().out == "\n"
    assert run(["config", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"]["user"] == {"value": "ann", "from": "file"}
    assert found["settings"]["model"] == {"value": None, "from": "default"}
    assert run(["config", "unset", "user", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "user", "value": None}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["set", "colour", "blue"], 2),
        (["set", "mode", "hasty"], 2),
        (["set", "user", "a\x07b"], 2),
        (["set", "model", "no-such-model"], 8),
        (["set", "model"], 2),
        (["unset", "colour"], 2),
        (["get", "colour"], 2),
    ],
)
def test_what_cannot_be_set_is_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    assert run(["config", *arguments]) == code
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert not settings_file(locate(home)).exists()


def test_a_known_model_that_is_not_here_can_be_set_and_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "set", "model", "gemma3-270m"]) == 0
    assert "is not on this device; run `edge-ttp models pull gemma3-270m`" in capsys.readouterr().err


def test_commands_and_the_python_api_go_by_what_is_set(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = Models(monkeypatch)
    _, policy, *reward = model_files(tmp_path)
    for name, value in (("user", "ann"), ("model", policy), ("mode", "fast")):
        change_settings(locate(home), name, value)
    assert run(["generate", "what grows here", "--max-tokens", "4", "--json", *reward]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["user"], models.policies[-1]["path"]) == ("ann", Path(policy))
    assert run(["generate", "what grows here", "--max-tokens", "4", "--user", "bob", "--json", *reward]) == 0
    assert json.loads(capsys.readouterr().out)["user"] == "bob"
    with Runtime.open(reward=reward[1]) as runtime:
        assert runtime.generate("what grows here").user == "ann"
        assert runtime._budget(None).mode == runtime._budget(Budget(deadline_s=2)).mode == "fast"
        assert runtime._budget(Budget(mode="best")).mode == "best"
    with pytest.raises(NotFound), Runtime.open(model="no-such-model") as runtime:
        runtime.generate("what grows here")
    with History.open(locate(home).database) as history:
        assert history.users() == ["ann", "bob"]


def test_doctor_shows_what_is_set(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGE_TTP_FORMATS")
    change_settings(locate(home), "language", "de")
    run(["doctor", "--json"])
    checks = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["settings"]["status"] == "ok"
    assert checks["settings"]["detail"].startswith("language=de (")
    settings_file(locate(home)).chmod(0o644)
    run(["doctor", "--json"])
    checks = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert (checks["settings"]["status"], checks["settings"]["cure"][:9]) == ("warn", "chmod 600")
    settings_file(locate(home)).write_text("nonsense")
    run(["doctor", "--json"])
    checks = {one["name"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["settings"]["status"] == "fail"


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bash_completions/edge-ttp.sh"), ("zsh", ".zfunc/_edge-ttp")])
def test_completion_installs_with_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str, file: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(["config", "completion", "--shell", shell]) == 0
    assert "open a new shell" in capsys.readouterr().err
    assert "_EDGE_TTP_COMPLETE" in (tmp_path / file).read_text()
    assert run(["config", "completion", "--shell", shell, "--show"]) == 0
    assert "_EDGE_TTP_COMPLETE" in capsys.readouterr().out
    assert run(["config", "completion", "--shell", "tcsh"]) == 2


def test_the_shell_is_told_what_could_follow() -> None:
    def words(line: str) -> list[str]:
        at = str(len(line.split()) - (not line.endswith(" ")))
        env = {"_EDGE_TTP_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": at}
        done = edge_ttp(env={**os.environ, **env})
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert words("edge-ttp gen") == ["generate"]
    assert "suggest" in words("edge-ttp models ")
    assert "--max-tokens" in words("edge-ttp generate --max")


def test_the_retention_set_holds_for_commands_and_for_the_python_api(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "set", "retention_days", "30d"]) == 0
    assert run(["history", "retention", "--user", "ann", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["retention_days"] == 30
    with Runtime.open() as runtime:
        assert runtime.history.retention("ann") == 30
    assert run(["history", "retention", "forever", "--user", "ann"]) == 0
    with Runtime.open() as runtime:
        assert runtime.history.retention("ann") is None
