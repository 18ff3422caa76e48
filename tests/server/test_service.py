"""`serve --install`: the texts for systemd and launchd, read back as they read them."""

from __future__ import annotations

import configparser
import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.server.service import service_of

ENVIRONMENT = {"EDGE_TTP_HOME": '/home/ä "b" 50%', "SECRET": "not kept"}
PROGRAM = ("/opt/my python/bin/python", "-m", "edge_ttp")


def test_the_systemd_unit(tmp_path: Path) -> None:
    made = service_of(["--port", "0"], platform="linux", program=PROGRAM, environment=ENVIRONMENT, folder=tmp_path)
    assert made.path == tmp_path / ".config" / "systemd" / "user" / "edge-ttp.service"
    unit = configparser.RawConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(made.text)
    assert unit["Service"]["ExecStart"] == '"/opt/my python/bin/python" "-m" "edge_ttp" "serve" "--port" "0"'
    assert unit["Service"]["Environment"] == '"EDGE_TTP_HOME=/home/ä \\"b\\" 50%%"'
    assert unit["Install"]["WantedBy"] == "default.target"
    assert "SECRET" not in made.text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd's own check is not installed here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "edge-ttp.service"
    unit.write_text(service_of(["--port", "0"], platform="linux", environment=ENVIRONMENT).text)
    done = subprocess.run(["systemd-analyze", "verify", "--user", str(unit)], capture_output=True, text=True)
    assert str(unit.name) not in done.stderr


def test_a_dollar_is_no_variable_for_systemd(tmp_path: Path) -> None:
    made = service_of(["--model", "a$HOME"], platform="linux", program=PROGRAM, environment={}, folder=tmp_path)
    assert '"a$$HOME"' in made.text


def test_the_launchd_agent(tmp_path: Path) -> None:
    made = service_of(["--port", "0"], platform="darwin", program=PROGRAM, environment=ENVIRONMENT, folder=tmp_path)
    assert made.path == tmp_path / "Library" / "LaunchAgents" / "edge-ttp.serve.plist"
    agent = plistlib.loads(made.text.encode())
    assert agent["ProgramArguments"] == [*PROGRAM, "serve", "--port", "0"]
    assert agent["EnvironmentVariables"] == {"EDGE_TTP_HOME": ENVIRONMENT["EDGE_TTP_HOME"]}
    assert agent["RunAtLoad"] is True
    assert agent["KeepAlive"] == {"SuccessfulExit": False}


def test_nothing_is_written_where_it_cannot_be_meant(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="win32"):
        service_of([], platform="win32")
    with pytest.raises(InvalidInput, match="printable"):
        service_of(["--model", "a\nExecStartPre=/bin/evil"], platform="linux")
    (tmp_path / ".config").write_text("a file")
    with pytest.raises(InvalidInput, match="cannot be written"):
        service_of([], platform="linux", environment={}, folder=tmp_path).write()
