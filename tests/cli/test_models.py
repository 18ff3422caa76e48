"""`edge-ttp models list`, `path`, `verify` and `rm`: what is printed, and the exit codes of all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from registry.makers import CONTENT, gguf
from registry.server import Server

from edge_ttp.cli.main import run
from edge_ttp.paths import locate
from edge_ttp.registry import DEFAULT_POLICY, Registry

from .models_calls import out

pytestmark = pytest.mark.usefixtures("registry")


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


@pytest.mark.usefixtures("real_offers")
def test_the_list_has_what_can_be_pulled_from_the_hub(capsys: pytest.CaptureFixture[str]) -> None:
    assert "on the hub" in out(capsys, "list")
    assert "on the hub" not in out(capsys, "list", "--installed")
    assert len(json.loads(out(capsys, "list", "--json"))["offers"]) >= 12
