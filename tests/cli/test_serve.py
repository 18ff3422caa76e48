"""`edge-ttp serve`: which options go together, and the service that starts it at login."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_ttp.cli.main import run


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stdio", "--announce"], "--stdio and --announce exclude each other"),
        (["--install", "--stdio"], "--stdio and --announce are for a parent"),
        (["--install", "--announce"], "--stdio and --announce are for a parent"),
        (["--port", "65536"], "--port"),
        (["--idle-unload", "0"], "longer than 0"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(["serve", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.count("\n") == 1


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run(["serve"]) == 9
    assert "`edge-ttp serve` needs the package 'uvicorn'" in capsys.readouterr().err


def test_a_service_is_printed_first_and_written_when_agreed_to(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("edge_ttp.server.service.sys.platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.gguf").write_bytes(b"")
    ask = ["serve", "--install", "--port", "8700", "--idle-unload", "10m", "--allow-origin", "http://a",
           "--allow-origin", "http://b", "--model", "own.gguf", "--reward", "judge"]  # fmt: skip
    assert run(ask) == 0
    shown = capsys.readouterr()
    (command,) = [line for line in shown.out.splitlines() if line.startswith("ExecStart=")]
    words = command.split('" "')
    assert words[words.index("--port") + 1] == "8700"
    assert words[words.index("--idle-unload") + 1] == "600"
    assert [words[at + 1] for at, word in enumerate(words) if word == "--allow-origin"] == ["http://a", "http://b"]
    assert words[words.index("--model") + 1] == str(tmp_path / "own.gguf")  # found from any folder
    assert words[words.index("--reward") + 1].startswith("judge")
    assert "--threads" not in words
    assert "--yes writes it" in shown.err
    unit = tmp_path / "config" / "systemd" / "user" / "edge-ttp.service"
    assert not unit.exists()
    assert run([*ask, "--yes"]) == 0
    assert unit.read_text(encoding="utf-8") == capsys.readouterr().out == shown.out
