"""An engine that speaks OpenAI's protocol as badly as it is told to: it fails, is late, breaks off, dies."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ("a", "quiet", "morning", "by", "the", "sea", "with", "tea", "and", "rain", "again", "soon")


@dataclass
class FakeEngine:
    """What the engine does. Every answer depends on its prompt, its seed and the choice alone."""

    n: bool = True
    logprobs: bool = True
    chat: bool = True
    plain: bool = True
    refuse: tuple[str, ...] = ()
    """Fields that are refused with status 400."""
    fails: float = 0.0
    """Share of the requests that get status 500."""
    breaks: float = 0.0
    """Share of the answers that break off in the middle."""
    every_s: float = 0.0
    """Wait before every word."""
    words: int = 5
    streams: bool = True
    key: str | None = None
    dead: bool = False
    """Whether it answers nothing at all."""
    dies_after: int | None = None
    """Requests after which it is dead."""
    seed: int = 7
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": "fake", "max_model_len": 2048}])
    posts: list[dict[str, Any]] = field(default_factory=list)
    """What was asked, requests that failed included."""
    gone: int = 0
    """Answers that nobody heard to their end."""
    at_once: int = 0
    url: str = ""

    def __post_init__(self) -> None:
        self._chance, self._lock, self._now = random.Random(self.seed), threading.Lock(), 0

    def lot(self) -> float:
        with self._lock:
            return self._chance.random()

    def count(self, change: int) -> None:
        with self._lock:
            self._now += change
            self.at_once = max(self.at_once, self._now)

    def text(self, asked: dict[str, Any], choice: int) -> list[str]:
        """The words of one choice."""
        said = json.dumps(asked.get("messages", asked.get("prompt")))
        chance = random.Random(f"{said} {asked.get('seed')} {choice}")
        return [chance.choice(WORDS) + " " for _ in range(min(self.words, asked["max_tokens"]))]


class _Handler(BaseHTTPRequestHandler):
    engine: FakeEngine
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _send(self, status: int, body: dict[str, Any], **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        if self.engine.dead:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(200, {"object": "list", "data": self.engine.models})

    def do_POST(self) -> None:
        engine = self.engine
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        engine.posts.append(asked)
        if engine.dies_after is not None and len(engine.posts) > engine.dies_after:
            engine.dead = True
        if engine.dead:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if engine.key is not None and self.headers.get("authorization") != f"Bearer {engine.key}":
            return self._send(401, {"error": {"message": "no key"}})
        if not (engine.chat if self.path.endswith("chat/completions") else engine.plain):
            return self._send(404, {"error": {"message": "no such way"}})
        for name in engine.refuse:
            if name in asked:
                return self._send(400, {"error": {"message": f"unknown field {name}"}})
        if engine.lot() < engine.fails:
            return self._send(500, {"error": {"message": "by chance"}})
        engine.count(1)
        self._under_way = True
        try:
            self._answer(asked)
        except OSError:
            engine.gone += 1
            self.close_connection = True
        finally:
            self._over()

    def _over(self) -> None:
        """Counts the answer out, once."""
        if self._under_way:
            self._under_way = False
            self.engine.count(-1)

    def _answer(self, asked: dict[str, Any]) -> None:
        engine, chat = self.engine, "messages" in asked
        count = asked.get("n", 1) if engine.n else 1
        texts = [engine.text(asked, choice) for choice in range(count)]
        breaks = engine.lot() < engine.breaks
        if not engine.streams:
            choices = [_whole(chat, index, "".join(text)) for index, text in enumerate(texts)]
            self._over()
            return self._send(200, {"choices": choices, "usage": {"prompt_tokens": 9}})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for step in range(min(engine.words, asked["max_tokens"]) + 1):
            if breaks and step == engine.words // 2:
                return
            time.sleep(engine.every_s)
            for index, words in enumerate(texts):
                if step <= len(words):
                    self._line({"choices": [self._piece(asked, chat, index, words, step)]})
        self._line({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}})
        self._over()  # before who reads the end may ask for the next one
        self.wfile.write(b"data: [DONE]\n\n")

    def _piece(self, asked: dict[str, Any], chat: bool, index: int, words: list[str], step: int) -> dict[str, Any]:
        word = words[step] if step < len(words) else ""
        finish = None if word else "length" if len(words) >= asked["max_tokens"] else "stop"
        piece: dict[str, Any] = {"index": index, "finish_reason": finish}
        piece |= {"delta": {"content": word}} if chat else {"text": word}
        if word and self.engine.logprobs and asked.get("logprobs"):
            told = {"content": [{"token": word, "logprob": -0.5}]} if chat else {"token_logprobs": [-0.5]}
            piece["logprobs"] = told
        return piece

    def _line(self, value: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()


def _whole(chat: bool, index: int, text: str) -> dict[str, Any]:
    said = {"message": {"content": text}} if chat else {"text": text}
    return {"index": index, "finish_reason": "stop", **said}


@contextmanager
def running(engine: FakeEngine) -> Iterator[FakeEngine]:
    """The engine, listening at its `url` while the block runs."""
    handler = type("Handler", (_Handler,), {"engine": engine})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    engine.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield engine
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
