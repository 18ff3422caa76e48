"""Servers as rivals: what they are asked in each way, what counts as drawn, and those that do not start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from registry.makers import gguf

from edge_ttp.errors import ExtraMissing, ModelUnavailable
from edge_ttp.lab.bench import rival_servers
from edge_ttp.lab.bench.rival_servers import Served, ServerRival, empty_home, end_token
from edge_ttp.lab.bench.rivals import Ground
from edge_ttp.paths import locate

GROUND = Ground("tiny", Path("tiny.gguf"), threads=1, context=512, most=4, end_token=7)
MESSAGES = [{"role": "user", "content": "hello"}]


class Engine:
    """A server that answers every choice with its number, and counts as some do: one choice of several."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.asked.append(body)
        choices = [
            {"message": {"content": f"{body['seed']}.{at}" if at else None}, "finish_reason": "length"}
            for at in range(body["n"])
        ]
        return httpx.Response(200, json={"choices": choices, "usage": {"completion_tokens": body["max_tokens"]}})

    def rival(self, way: str) -> ServerRival:
        served = Served("theirs", "1", "http://x", "their-name", subprocess.Popen([sys.executable, "-c", ""]))
        served.process.wait()
        http = httpx.Client(transport=httpx.MockTransport(self), base_url="http://x")
        return ServerRival(served, GROUND, way, http)


def test_n_choices_are_asked_for_at_once_or_one_by_one_with_seeds_of_their_own() -> None:
    whole, single = Engine(), Engine()
    texts = whole.rival("one request").choices(MESSAGES, 3, tokens=5, seed=40)
    assert texts.texts == ("", "40.1", "40.2")
    assert texts.tokens == 15  # all three went to the end, whatever was counted
    (body,) = whole.asked
    assert (body["model"], body["n"], body["max_tokens"], body["store"]) == ("their-name", 3, 5, False)
    assert body["logit_bias"] == {"7": -100}
    for way in ("one after another", "N requests at once"):
        each = single.rival(way).choices(MESSAGES, 3, tokens=5, seed=40)
        assert (len(each.texts), each.tokens) == (3, 15)
        assert sorted(body["seed"] for body in single.asked[-3:]) == [40, 41, 42]
        assert {body["n"] for body in single.asked} == {1}


def test_a_choice_that_ended_early_counts_what_the_server_says() -> None:
    answer = {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "usage": {"completion_tokens": 2}}
    assert Engine().rival("one request")._of(answer, 5).tokens == 2


def test_an_empty_home_has_the_model_and_nothing_else(home: Path) -> None:
    store = locate(home).models / "tiny"
    store.mkdir(parents=True)
    (store / "tiny.gguf").write_bytes(b"x")
    with empty_home(GROUND) as folder:
        assert (locate(folder).models / "tiny" / "tiny.gguf").read_bytes() == b"x"
        assert not locate(folder).database.exists()
    assert not folder.exists()
    assert (store / "tiny.gguf").exists()


def test_the_ending_token_is_read_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(gguf({"tokenizer.ggml.eos_token_id": 2}))
    (tmp_path / "b.gguf").write_bytes(gguf())
    assert [end_token(tmp_path / name) for name in ("a.gguf", "b.gguf")] == [2, None]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rival_servers, "find_spec", lambda name: None if name == "xllamacpp" else object())
    with (
        pytest.raises(ExtraMissing, match="'xllamacpp' is not installed"),
        rival_servers.llama_cpp_server(GROUND),
    ):
        pytest.fail("it was started")


def test_a_server_that_ends_before_it_answers_is_said_to_have() -> None:
    with rival_servers._process([sys.executable, "-c", ""], {}) as process:
        with pytest.raises(ModelUnavailable, match="ended before it said where it is"):
            rival_servers._first_line(process)
        process.wait()
        with pytest.raises(ModelUnavailable, match="theirs 1 did not start"):
            rival_servers._ready(Served("theirs", "1", "http://127.0.0.1:9", "m", process))


def test_a_process_that_ignores_its_ending_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_ttp.lab.bench.rival_servers._END_S", 0.05)
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); signal.pause()"
    with rival_servers._process([sys.executable, "-c", code], {}) as process:
        assert rival_servers._first_line(process) == "on\n"
    assert process.returncode == -9
