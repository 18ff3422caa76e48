"""A server's life: announced, found, ended with its parent, gone without a trace."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from fakes.command import edge_ttp
from fakes.engine import FakeEngine, running

from edge_ttp.errors import InvalidInput
from edge_ttp.paths import locate
from edge_ttp.server.serving import RECORD, Place, hosts, listen, url_of

from .serving import Running, served

pytestmark = pytest.mark.real


def test_the_announcement_is_one_line_and_what_a_parent_needs(server: Running) -> None:
    assert set(server.announced) == {"url", "token", "pid", "version", "protocol", "instance"}
    assert server.announced["pid"] == server.process.pid


def test_the_runtime_folder_names_the_server_for_its_owner_alone(server: Running, server_home: Path) -> None:
    run = locate(server_home).run
    assert run.stat().st_mode & 0o777 == 0o700
    for name in (RECORD, "server.sock"):
        assert (run / name).stat().st_mode & 0o077 == 0
    assert json.loads((run / RECORD).read_text()) == server.announced


def test_the_owners_socket_needs_no_token_and_may_name_any_user(server: Running, server_home: Path) -> None:
    transport = httpx.HTTPTransport(uds=str(locate(server_home).server_socket))
    with httpx.Client(transport=transport, base_url="http://owner") as http:
        assert http.get("/ttp/v1/info").json()["instance"] == server.announced["instance"]
        http.post("/ttp/v1/history?user=zoe", json={"output": "zoe wrote this"})
        assert [one["user_id"] for one in http.get("/ttp/v1/history?user=zoe").json()] == ["zoe"]


def test_a_second_server_of_a_home_has_another_port_and_leaves_the_socket(server: Running, server_home: Path) -> None:
    before = locate(server_home).server_socket.stat().st_ino
    with served(server_home) as second:
        assert second.url != server.url
        assert second.announced["instance"] != server.announced["instance"]
        assert json.loads((locate(server_home).run / RECORD).read_text()) == server.announced
    assert locate(server_home).server_socket.stat().st_ino == before
    assert json.loads((locate(server_home).run / RECORD).read_text()) == server.announced


@pytest.mark.parametrize("how", ["stdin", "SIGTERM", "SIGINT"])
def test_a_server_ends_well_and_leaves_nothing_behind(home: Path, how: str) -> None:
    with served(home) as running:
        if how == "stdin":
            assert running.process.stdin is not None
            running.process.stdin.close()
        else:
            running.process.send_signal(getattr(signal, how))
        assert running.process.wait(60) == 0
    run = locate(home).run
    assert not (run / RECORD).exists()
    assert not (run / "server.sock").exists()


def test_a_server_ends_when_its_parent_is_killed(home: Path) -> None:
    starter = (
        "import subprocess, sys, time\n"
        "made = subprocess.Popen([sys.executable, '-m', 'edge_ttp', 'serve', '--port', '0', '--announce'],\n"
        "                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
        "print(made.stdout.readline(), flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "EDGE_TTP_HOME": str(home)}
    parent = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    announced = json.loads(parent.stdout.readline())
    parent.kill()
    parent.wait()
    for _ in range(300):
        try:
            httpx.get(f"{announced['url']}/health", timeout=1)
        except httpx.TransportError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the server is still there")


def test_without_a_model_health_says_so_and_a_request_names_the_cure(home: Path) -> None:
    with served(home) as running, running.client() as http:
        answer = http.post("/v1/chat/completions", json={"model": "me", "messages": [{"role": "user", "content": "x"}]})
        assert answer.status_code == 503
        assert "models pull" in answer.json()["error"]["cure"]


@pytest.mark.parametrize("name", [RECORD, "server.sock"])
@pytest.mark.parametrize("what", ["link", "folder", "file"])
def test_what_lies_in_the_runtime_folder_is_replaced_or_said_and_links_are_not_followed(
    home: Path, tmp_path: Path, name: str, what: str
) -> None:
    run, outside = locate(home).run, tmp_path / "outside"
    run.mkdir(parents=True, mode=0o700)
    outside.write_text("of somebody")
    if what == "link":
        (run / name).symlink_to(outside)
    elif what == "folder":
        (run / name).mkdir()
    else:
        (run / name).write_text("{")
    if what == "folder" and name == RECORD:
        done = edge_ttp("serve", "--port", "0", env={"EDGE_TTP_HOME": str(home)})
        assert done.returncode == 2
        assert "move away what is there" in done.stderr
        assert "Traceback" not in done.stderr
        return
    with served(home) as one, one.client() as http:
        assert http.get("/ttp/v1/info").status_code == 200
    assert outside.read_text() == "of somebody"


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InvalidInput, match="cannot be used"):
            listen(Place(port=taken.getsockname()[1]))


def test_addresses_are_written_as_clients_want_them() -> None:
    with listen(Place(port=0)) as made:
        assert url_of(made) == f"http://127.0.0.1:{made.getsockname()[1]}"
    assert {"localhost", "10.0.0.5", "box"} <= hosts(Place("10.0.0.5", 1), ["BOX"])


def test_a_server_behind_an_engine_says_where_answers_come_from(server_home: Path) -> None:
    with running(FakeEngine()) as engine, served(server_home, "--policy-url", engine.url) as one, one.client() as http:
        for _ in range(600):
            if http.get("/health").status_code == 200:
                break
            time.sleep(0.1)
        assert http.get("/ttp/v1/info").json()["policy_url"] == engine.url
        made = http.post("/ttp/v1/generate", json={"prompt": "hello", "n": 2}).json()
        assert made["timings"]["policy_url"] == engine.url
        chat = {"model": "fake", "n": 2, "messages": [{"role": "user", "content": "hello"}]}
        assert len(http.post("/v1/chat/completions", json=chat).json()["choices"]) == 2
        # Who asks on the command line has not said that anything may be sent elsewhere.
        asked = len(engine.posts)
        done = edge_ttp("generate", "hello", "--n", "1", "--max-tokens", "2", env={"EDGE_TTP_HOME": str(server_home)})
        assert done.returncode == 0, done.stderr
        assert len(engine.posts) == asked
