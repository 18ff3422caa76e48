"""`edge-ttp generate` beside a running server of the same home: the real server, the real policy, real processes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from typing import Any

import httpx
import pytest
from fakes.command import edge_ttp, one_object
from fakes.real import linked_policy, spare_measuring
from server.serving import Running, served

from edge_ttp import __version__
from edge_ttp.cli import attached
from edge_ttp.cli.main import run
from edge_ttp.errors import NotFound
from edge_ttp.paths import locate, private_folder
from edge_ttp.schema import Event

pytestmark = pytest.mark.real

SHORT = ("--n", "3", "--max-tokens", "6", "--select", "consensus", "--seed", "5")
WISH = {"prompt": "Say hello", "n": 2, "sampling": {"max_tokens": 4}, "select": "first"}


@pytest.fixture(scope="module")
def served_home(tmp_path_factory: pytest.TempPathFactory, policy_path: Path) -> Path:
    """A home with the real policy, for the one server of this module."""
    home = tmp_path_factory.mktemp("attached")
    linked_policy(home, policy_path)
    spare_measuring(home)
    return home


@pytest.fixture(scope="module")
def server(served_home: Path) -> Iterator[Running]:
    with served(served_home) as running:
        yield running


@pytest.fixture
def running(server: Running, served_home: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The server of the home that is the test's."""
    monkeypatch.setenv("EDGE_TTP_HOME", str(served_home))
    return server


def test_the_server_answers_what_this_process_would_have_answered(running: Running) -> None:
    ask = ("generate", "Invite Eve to lunch", "--user", "ann", *SHORT, "--json")
    theirs = edge_ttp(*ask)
    ours = edge_ttp(*ask, "--no-server")
    assert (theirs.returncode, theirs.stderr) == (ours.returncode, ours.stderr) == (0, "")
    first, second = one_object(theirs.stdout), one_object(ours.stdout)
    assert first.keys() == second.keys()
    for name in ("text", "user", "prompt", "model", "n", "stored", "notes", "chosen"):
        assert first[name] == second[name], name
    assert [one["text"] for one in first["candidates"]] == [one["text"] for one in second["candidates"]]


def test_the_process_loads_no_engine_where_a_server_answers(running: Running) -> None:
    program = (
        sys.executable,
        "-c",
        "import sys\nfrom edge_ttp.cli.main import run\ncode = run(sys.argv[1:])\n"
        "print(sorted({'llama_cpp', 'onnxruntime'} & sys.modules.keys()), file=sys.stderr)\nsys.exit(code)",
    )
    done = edge_ttp("generate", "Say hello", *SHORT, program=program)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "[]")
    assert done.stdout.strip()


def test_events_are_heard_as_they_come(running: Running) -> None:
    heard: list[Event] = []
    generation = attached.generate("ann", WISH, heard.append)
    assert generation is not None
    assert generation.text == generation.candidates[generation.chosen].text
    assert {"planned", "delta", "progress"} <= {event.type for event in heard}


@pytest.mark.parametrize("change", [{"prompt": "\ud800"}, {"n": 0}, {"model": "no-such"}, {"model": "./a.gguf"}])
def test_what_the_server_does_not_take_is_left_to_this_process(running: Running, change: dict[str, Any]) -> None:
    assert attached.generate("ann", {**WISH, **change}, lambda event: None) is None


class Said:
    """An answer of the owner's socket."""

    def __init__(self, *lines: str) -> None:
        self._lines = [f"{line}\n".encode() for line in lines]
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._lines)

    def close(self) -> None:
        self.closed = True


def test_what_is_piped_in_is_read_once_whichever_way_is_gone(running: Running) -> None:
    for more in ((), ("--file", "/dev/null")):
        done = edge_ttp("generate", "Say", *SHORT, "--json", *more, stdin=b"hello to Ann")
        assert one_object(done.stdout)["prompt"] == "Say\n\nhello to Ann"
    refused = edge_ttp("generate", "Say", *SHORT, "--model", "no-such", stdin=b"hello")
    assert refused.returncode != 0
    assert "no-such" in refused.stderr
    binary = edge_ttp("generate", "Say", *SHORT, stdin=b"\xff\xfe\xfa")
    assert binary.returncode == 2
    assert "standard input" in binary.stderr


def test_an_error_while_the_server_draws_is_raised_as_here() -> None:
    told = {"error": {"code": "not_found", "message": "no such thing", "cure": "look", "exit_code": 8}}
    planned, error = 'data: {"type": "planned", "n": 2}', f"data: {json.dumps(told)}"
    begun = attached._told(Said(planned, ": working", error))  # type: ignore[arg-type]
    assert begun is not None
    assert next(begun)["n"] == 2
    with pytest.raises(NotFound, match="no such thing; look"):
        next(begun)
    at_once = Said(error)
    assert attached._told(at_once) is None  # type: ignore[arg-type]
    assert at_once.closed
    cut = attached._told(Said(planned, 'data: {"type": "pla'))  # type: ignore[arg-type]
    assert cut is not None
    assert [one["type"] for one in cut] == ["planned"]


def test_a_rewriting_says_the_same_with_and_without_a_server(running: Running) -> None:
    ask = ("rewrite", "The meeting moves to Friday.", "--user", "ann", *SHORT, "--json", "--no-store")
    theirs, ours = edge_ttp(*ask), edge_ttp(*ask, "--no-server")
    assert (theirs.returncode, theirs.stderr) == (ours.returncode, ours.stderr) == (0, "")
    first, second = one_object(theirs.stdout), one_object(ours.stdout)
    assert first.keys() == second.keys()
    for name in ("text", "facts", "changes"):
        assert first[name] == second[name], name


def test_the_short_way_imports_neither_typer_nor_pydantic_nor_numpy(running: Running) -> None:
    program = (
        sys.executable,
        "-c",
        "import sys\nfrom edge_ttp.__main__ import main\nsys.argv[0] = 'edge-ttp'\ntry:\n    main()\nfinally:\n"
        "    heavy = {'typer', 'pydantic', 'numpy', 'llama_cpp', 'rich', 'http.client'}\n"
        "    print(sorted(heavy & sys.modules.keys()), file=sys.stderr)",
    )
    for command in ("generate", "rewrite"):
        done = edge_ttp(command, "Say hello", *SHORT, "--no-store", program=program, stdin=b"to Ann")
        assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "[]"), done.stderr
        assert done.stdout.strip()


def test_a_refusal_reads_the_same(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    for options in (("--select", "nonsense"), ("--n", "100000"), ("--model", "no-such"), ("--deadline", "1ms")):
        ask = ("generate", "Say hello", *options)
        theirs = edge_ttp(*ask)
        assert theirs.returncode == run([*ask, "--no-server"]) != 0, options
        assert theirs.stderr.partition(";")[0] == capsys.readouterr().err.partition(";")[0]


def test_ctrl_c_ends_the_request_at_the_server(running: Running) -> None:
    command = [sys.executable, "-m", "edge_ttp", "generate", "Tell me of the sea", "--user", "ann", "--n", "4"]
    # No candidate ends by itself.
    endless = ["--max-tokens", "4000", "--logit-bias", "0=-100", "--logit-bias", "2=-100"]
    process = subprocess.Popen([*command, *endless], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    transport = httpx.HTTPTransport(uds=str(locate().server_socket))
    time.sleep(2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in err
    with httpx.Client(transport=transport, base_url="http://owner", timeout=60) as http:
        again = http.post("/ttp/v1/generate", json={**WISH, "store": False})  # nothing stands before it any more
        assert again.status_code == 200


def test_a_dead_socket_is_passed_over_in_silence(models_home: Path) -> None:
    spare_measuring(models_home)
    path = locate(models_home).server_socket
    private_folder(path.parent)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    done = edge_ttp("generate", "Say hello", *SHORT)
    assert (done.returncode, done.stderr.count("server")) == (0, 0)
    assert done.stdout.strip()


@pytest.mark.parametrize(
    "info",
    [
        {"version": "0.0.1", "policy": "x", "default_reward": True},
        {"version": __version__, "policy": "x", "default_reward": False},
        {"version": __version__, "default_reward": True},
        ["no object"],
        None,
    ],
)
def test_another_version_or_reward_model_is_passed_over(models_home: Path, info: Any) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"no JSON" if info is None else json.dumps(info).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "owner"

        def log_message(self, *arguments: Any) -> None:
            """Says nothing."""

    path = locate(models_home).server_socket
    private_folder(path.parent)
    with ThreadingUnixStreamServer(str(path), Other) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        assert attached.generate("ann", WISH, lambda event: None) is None
        other.shutdown()
