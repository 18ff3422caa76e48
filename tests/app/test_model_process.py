"""The model process: announced, killed, started again at its port, given up when it only dies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from queue import Queue

from edge_ttp.app.model_process import MOST_STARTS, ModelProcess, ProcessEnd, ServerAddress, command_of_server

_SERVER = """
import json, os, socket, sys
port = int(sys.argv[1])
made = socket.socket()
made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
made.bind(("127.0.0.1", port))
url = f"http://127.0.0.1:{made.getsockname()[1]}"
print(json.dumps({"url": url, "token": "t", "pid": os.getpid(), "instance": str(os.getpid())}), flush=True)
sys.stdin.read()
"""


def listening(port: int, options: Sequence[str]) -> list[str]:
    return [sys.executable, "-c", _SERVER, str(port), *options]


def dying(port: int, options: Sequence[str]) -> list[str]:
    return [sys.executable, "-c", "import os, sys; sys.exit(f'no memory left for {os.getpid()}')"]


def refusing(port: int, options: Sequence[str]) -> list[str]:
    return [sys.executable, "-c", "import sys; sys.exit('the history is of a newer version')"]


def started(command: object) -> tuple[ModelProcess, Queue[ServerAddress], Queue[ProcessEnd]]:
    up: Queue[ServerAddress] = Queue()
    ended: Queue[ProcessEnd] = Queue()
    process = ModelProcess(command=command)  # type: ignore[arg-type]
    process.attend(up=up.put, ended=ended.put)
    process.start()
    return process, up, ended


def test_a_killed_process_is_said_and_comes_back_at_its_address() -> None:
    process, up, ended = started(listening)
    first = up.get(timeout=60)
    os.kill(first.pid, signal.SIGKILL)
    news = ended.get(timeout=60)
    assert (news.words, news.again) == ("was ended by SIGKILL", True)
    second = up.get(timeout=60)
    assert (second.url, second.token) == (first.url, first.token)
    assert second.instance != first.instance
    process.close()
    assert process.pid is None
    assert ended.empty()  # asked for, so no news


def test_a_process_that_only_dies_is_given_up_with_its_last_words() -> None:
    process, up, ended = started(dying)
    news = [ended.get(timeout=60) for _ in range(MOST_STARTS)]
    assert [one.again for one in news] == [True] * (MOST_STARTS - 1) + [False]
    assert "no memory left" in news[-1].words
    assert up.empty()
    process.start()  # the button of the window
    assert ended.get(timeout=60).again
    process.close()


def test_a_process_that_refuses_to_start_twice_for_the_same_reason_is_given_up_at_once() -> None:
    process, _, ended = started(refusing)
    assert [ended.get(timeout=60).again for _ in range(2)] == [True, False]
    assert ended.empty()
    process.close()


def test_a_program_that_is_not_there_is_news_and_no_crash() -> None:
    process, _, ended = started(lambda port, options: ["/nowhere/at/all"])
    assert "cannot be started" in ended.get(timeout=60).words
    process.close()


def test_a_frozen_app_starts_itself() -> None:
    assert command_of_server(0, ["--threads", "2"])[1:] == [
        *("-m", "edge_ttp"),
        *("serve", "--port", "0", "--announce", "--threads", "2"),
    ]
    sys.frozen = True  # type: ignore[attr-defined]
    try:
        assert command_of_server(7, [])[1:] == ["serve", "--port", "7", "--announce"]
    finally:
        del sys.frozen  # type: ignore[attr-defined]


def test_what_happened_before_anybody_listened_is_told_then() -> None:
    process = ModelProcess(command=dying)
    process.start()
    process._watching.join(60)  # type: ignore[union-attr]
    up: Queue[ServerAddress] = Queue()
    ended: Queue[ProcessEnd] = Queue()
    process.attend(up=up.put, ended=ended.put)
    assert [ended.get_nowait().again for _ in range(MOST_STARTS)] == [True] * (MOST_STARTS - 1) + [False]
    process.close()


def test_a_process_that_was_closed_starts_anew_at_its_address() -> None:
    process, up, ended = started(listening)
    first = up.get(timeout=60)
    process.close()
    process.start()
    assert up.get(timeout=60).url == first.url
    process.close()
    assert ended.empty()
