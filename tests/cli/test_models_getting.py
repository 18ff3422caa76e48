"""`edge-ttp models pull`, `add`, `find`, `suggest`: what is printed, exit codes, and Ctrl-C in the middle of a pull."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from registry.makers import CONTENT, gguf, policy_toml, wheel_source
from registry.server import Server
from registry.test_found import put_ollama

from edge_ttp.cli.main import run
from edge_ttp.registry import DEFAULT_POLICY, Registry

from .models_calls import out

pytestmark = pytest.mark.usefixtures("registry")


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


def test_add_as_json_is_the_models_entry(capsys: pytest.CaptureFixture[str], gguf_file: Path) -> None:
    arguments = ["add", str(gguf_file), "--prompt-style", "few-shot", "--context", "512", "--link", "--json"]
    entry = json.loads(out(capsys, *arguments))
    assert entry | {"name": "mine", "kind": "policy", "installed": True, "default": False} == entry


def test_add_of_a_manifest_says_how_to_fetch_the_rest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    manifest = tmp_path / "own.toml"
    manifest.write_text(policy_toml(wheel_source(("tiny-wheel", "tiny.gguf")), name="own"))
    assert "`edge-ttp models pull own` fetches it" in out(capsys, "add", str(manifest))
    out(capsys, "pull", "own")


_CHILD = """
import sys
from pathlib import Path
from edge_ttp.cli import models_options
from edge_ttp.cli.main import main
from edge_ttp.paths import locate
from edge_ttp.registry import Registry
shipped, index = sys.argv[1:]
models_options.registry = lambda: Registry(locate(), shipped=Path(shipped), index=index, allow_http_localhost=True)
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


@pytest.fixture
def somebody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the user's own with a model of Ollama, one of llama.cpp and one that cannot write."""
    home = tmp_path / "somebody"
    monkeypatch.setenv("HOME", str(home))
    for name in ("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    put_ollama(home / ".ollama" / "models", "llama3.2:1b", gguf())
    cache = home / ".cache" / "llama.cpp"
    cache.mkdir(parents=True)
    (cache / "bert.gguf").write_bytes(gguf({"general.architecture": "bert"}))
    (cache / "Some_Model.gguf").write_bytes(gguf(tensors=(("w", (32, 4)),)))
    return home


def test_find_lists_the_models_of_other_programs(somebody: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "find"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines() if not line.startswith(" ")] == [
        "llama.cpp/Some_Model.gguf",
        "llama.cpp/bert.gguf",
        "ollama/llama3.2:1b",
    ]
    assert "    cannot be used: an embedding model: it cannot write text" in printed.out
    assert printed.err == ("edge-ttp models add 'llama.cpp/Some_Model.gguf' links one into the store, without a copy\n")
    found = json.loads(out(capsys, "find", "--json"))["found"]
    assert [(one["label"], one["problem"] is None) for one in found] == [
        ("llama.cpp/Some_Model.gguf", True),
        ("llama.cpp/bert.gguf", False),
        ("ollama/llama3.2:1b", True),
    ]


@pytest.mark.parametrize(
    ("label", "name"), [("ollama/llama3.2:1b", "llama3.2-1b"), ("llama.cpp/Some_Model.gguf", "some_model")]
)
def test_add_links_what_find_found(
    somebody: Path, registry: Registry, capsys: pytest.CaptureFixture[str], label: str, name: str
) -> None:
    assert out(capsys, "add", label).startswith(f"{name}: policy")
    path = registry.locate(name).path
    assert path.suffix == ".gguf"
    assert path.stat().st_nlink == 2


def test_add_copies_a_found_model_where_that_is_asked_for(
    somebody: Path, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    out(capsys, "add", "ollama/llama3.2:1b", "--copy", "--name", "mine")
    assert registry.locate("mine").path.stat().st_nlink == 1


def test_add_of_what_was_not_found_or_is_of_no_use_is_one_line(
    somebody: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "add", "ollama/nothing:1b"]) == 8
    assert capsys.readouterr().err.startswith("edge-ttp: no model 'ollama/nothing:1b' was found on this disk")
    assert run(["models", "add", "llama.cpp/bert.gguf"]) == 2
    assert "it cannot write text" in capsys.readouterr().err


def test_find_without_any_says_what_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    assert run(["models", "find"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, "models suggest" in printed.err) == ("", True)


@pytest.mark.usefixtures("real_offers")
def test_suggest_picks_by_memory_cores_and_language(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "suggest", "--language", "de", "--memory", "8GB", "--cores", "4"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("* eurollm-1.7b-instruct: 1.7 billion parameters")
    assert "does not fit: its maker does not name the language 'de'" in printed.out
    assert printed.err == "edge-ttp models pull eurollm-1.7b-instruct\n"
    found = json.loads(out(capsys, "suggest", "--language", "en-GB", "--memory", "100MB", "--json"))
    assert found["language"] == "en"
    assert not any(one["fits"] for one in found["suggestions"])
    assert run(["models", "suggest", "--language", "klingon!"]) == 2


def test_pull_from_an_address_names_the_model(
    server: Server, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "pull", "http://127.0.0.1/x.gguf"]) == 2
    assert "only https addresses are fetched" in capsys.readouterr().err
    assert run(["models", "pull", DEFAULT_POLICY, "--name", "x"]) == 2
    assert run(["models", "pull", "a", "b", "--name", "x"]) == 2
