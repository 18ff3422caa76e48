"""One app for a home: the second start hands over its wish, and strangers are not heard."""

from __future__ import annotations

import json
import socket
import stat
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from queue import Queue

import pytest

from edge_ttp.app import single
from edge_ttp.app.single import RECORD, AppWish, first, hand_over
from edge_ttp.paths import locate


def test_the_second_start_hands_over_what_it_was_asked(home: Path) -> None:
    paths = locate()
    only = first(paths)
    assert only is not None
    heard: Queue[AppWish] = Queue()
    only.listen(heard.put)
    assert first(paths) is None
    wish = AppWish(show=False, text="é\n" * 1000, clipboard=True)
    assert hand_over(paths, wish)
    assert heard.get(timeout=30) == wish
    only.close()
    assert not hand_over(paths, wish)
    again = first(paths)
    assert again is not None
    again.close()


def test_a_stranger_is_not_heard_and_the_key_is_the_owners(home: Path) -> None:
    paths = locate()
    only = first(paths)
    assert only is not None
    heard: Queue[AppWish] = Queue()
    only.listen(heard.put)
    record = paths.run / RECORD
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    port = json.loads(record.read_text())["port"]
    with pytest.raises((AuthenticationError, EOFError, OSError)):
        Client(("127.0.0.1", port), authkey=b"guessed")
    key = bytes.fromhex(json.loads(record.read_text())["key"])
    for data in (b"", b"[]", b"\x80\x04.", b"{" * 100_000, b'{"show": 1}'):
        with Client(("127.0.0.1", port), authkey=key) as connection:
            connection.send_bytes(data)
            assert connection.recv_bytes() == b"not understood"
    assert hand_over(paths, AppWish())  # it lives on
    assert heard.get(timeout=30) == AppWish()
    assert heard.empty()
    only.close()


def test_a_stranger_who_says_nothing_keeps_nobody_out(home: Path) -> None:
    paths = locate()
    only = first(paths)
    assert only is not None
    heard: Queue[AppWish] = Queue()
    only.listen(heard.put)
    port = json.loads((paths.run / RECORD).read_text())["port"]
    with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)) as other:
        other.sendall(b"\0\0\1")  # begins a message
        assert hand_over(paths, AppWish())
        assert heard.get(timeout=30) == AppWish()
    only.close()


def test_something_else_at_the_port_of_the_record_is_not_waited_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single, "PATIENCE_S", 1.0)
    paths = locate()
    paths.run.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        (paths.run / RECORD).write_text(json.dumps({"port": port, "key": "00" * 32, "pid": 1}))
        assert not hand_over(paths, AppWish())


@pytest.mark.parametrize(
    "text", ["", "{}", '{"port": "x", "key": "00"}', '{"port": 70000, "key": "00"}', '{"port": 1, "key": "zz"}']
)
def test_a_record_that_is_none_hands_over_nothing(home: Path, text: str) -> None:
    paths = locate()
    paths.run.mkdir(parents=True)
    (paths.run / RECORD).write_text(text)
    assert not hand_over(paths, AppWish())
