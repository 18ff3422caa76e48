"""Servers of OpenAI's protocol as rivals: our own, llama.cpp's, llama-cpp-python's, each in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import httpx

from edge_ttp import __version__
from edge_ttp.errors import ExtraMissing, ModelUnavailable
from edge_ttp.lab.bench.rivals import OURS, TEMPERATURE, DrawnTexts, Ground
from edge_ttp.paths import HOME_VARIABLE, locate, private_folder
from edge_ttp.registry.variants import split_name
from edge_ttp.system.settings import VARIABLES

_START_S = 120.0
_ANSWER_S = 600.0
_END_S = 10.0
"""Then a server that was asked to end is killed."""
_ONE_EACH = httpx.Limits(max_keepalive_connections=0)
"""A connection for each request: servers close idle ones at moments of their own."""
_CURE = "install the extra: pip install 'edge-ttp[rivals]'"


@dataclass
class Served:
    """A running server of OpenAI's protocol."""

    name: str
    version: str
    url: str
    model: str
    """What requests name."""
    process: subprocess.Popen[Any]
    token: str = "any"  # noqa: S105
    seen_while_loading: list[int] = field(default_factory=list)
    """Statuses of /health until it was 200; empty where the server has none."""
    signalled: bool = True
    """Whether the process takes signals as the server itself would."""

    def client(self, *, timeout: float = _ANSWER_S, token: str | None = None) -> httpx.Client:
        """A client of its address."""
        shown = self.token if token is None else token
        headers = {"authorization": f"Bearer {shown}"} if shown else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False, limits=_ONE_EACH)


class ServerRival:
    """A server that is asked for N choices in one of three ways."""

    def __init__(self, served: Served, ground: Ground, way: str, http: httpx.Client, model: str = "") -> None:
        self._served, self._ground, self._http, self._model = served, ground, http, model or served.model
        self.name, self.version, self.way = served.name, served.version, way

    def choices(self, messages: Sequence[dict[str, str]], n: int, *, tokens: int, seed: int) -> DrawnTexts:
        """As rivals.Rival has it."""
        if self.way == "one request":
            return self._of(self._ask(messages, n, tokens, seed), tokens)
        with ThreadPoolExecutor(n if self.way == "N requests at once" else 1) as threads:
            each = [threads.submit(self._ask, messages, 1, tokens, seed + at) for at in range(n)]
            made = [self._of(one.result(), tokens) for one in each]
        return DrawnTexts(tuple(text for one in made for text in one.texts), sum(one.tokens for one in made))

    @contextmanager
    def awake(self) -> Iterator[None]:
        """As rivals.Rival has it: other systems than Windows can stop a process."""
        _signal(self._served.process, "SIGCONT")
        try:
            yield
        finally:
            _signal(self._served.process, "SIGSTOP")

    def _ask(self, messages: Sequence[dict[str, str]], n: int, tokens: int, seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": list(messages),
            "n": n,
            "max_tokens": tokens,
            "temperature": TEMPERATURE,
            "top_p": 0.95,
            "seed": seed,
            "store": False,
        }
        if self._ground.end_token is not None:
            body["logit_bias"] = {str(self._ground.end_token): -100}
        answer = self._http.post("/v1/chat/completions", json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def _of(self, answer: dict[str, Any], tokens: int) -> DrawnTexts:
        """The texts, and what was drawn for them: some servers count one choice of several."""
        choices = answer["choices"]
        texts = tuple(str(one["message"]["content"] or "") for one in choices)
        whole = sum(tokens for one in choices if one["finish_reason"] == "length")
        return DrawnTexts(texts, max(whole, int(answer["usage"]["completion_tokens"])))


@contextmanager
def empty_home(ground: Ground) -> Iterator[Path]:
    """A home that has the model, what this device was measured to cost, and nothing else."""
    with tempfile.TemporaryDirectory(prefix="edge-ttp-rivals-") as folder:
        paths, known = locate(folder), locate().measured_costs
        paths.models.mkdir(parents=True)
        folder_name = split_name(ground.model)[0]
        (paths.models / folder_name).symlink_to(locate().models / folder_name, target_is_directory=True)
        if known.is_file():
            shutil.copy(known, private_folder(paths.cache))
        yield Path(folder)


@contextmanager
def ours(ground: Ground, home: Path | None = None) -> Iterator[Served]:
    """Our own server over `home` (None: an empty one)."""
    _needed("starlette", "uvicorn")
    with ExitStack() as open_now:
        folder = home or open_now.enter_context(empty_home(ground))
        command = [sys.executable, "-m", "edge_ttp", "serve", "--port", "0", "--announce", "--model", ground.model]
        environment = {**os.environ, HOME_VARIABLE: str(folder), VARIABLES["formats"]: "off"}
        process = open_now.enter_context(_process([*command, "--threads", str(ground.threads)], environment))
        announced = json.loads(_first_line(process))
        made = Served(OURS, __version__, announced["url"], ground.model, process, token=announced["token"])
        _ready(made)
        yield made


@contextmanager
def llama_cpp_server(ground: Ground) -> Iterator[Served]:
    """llama.cpp's own server, as the wheel of xllamacpp has it."""
    _needed("xllamacpp")
    given = {
        "model": str(ground.path),
        "alias": ground.model,
        "port": _free_port(),
        "slots": max(ground.most, 4),
        # One cache for all: a conversation of every slot, whatever they share.
        "context": ground.context * max(ground.most, 4),
        "threads": ground.threads,
    }
    command = [sys.executable, "-m", "edge_ttp.lab.bench.llama_server", json.dumps(given)]
    with _process(command, dict(os.environ)) as process:
        url = f"http://127.0.0.1:{given['port']}"
        name, package = "llama.cpp server", f"xllamacpp {_version('xllamacpp')}"
        made = Served(name, package, url, ground.model, process, signalled=False)
        _ready(made)
        yield made


@contextmanager
def llama_cpp_python_server(ground: Ground) -> Iterator[Served]:
    """The server of llama-cpp-python, which serves one conversation at a time."""
    _needed("fastapi", "pydantic_settings", "sse_starlette", "starlette_context")
    port = _free_port()
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(ground.path), "--model_alias", ground.model]
    settings = {"host": "127.0.0.1", "port": port, "n_ctx": ground.context, "n_threads": ground.threads}
    for key, value in {**settings, "n_threads_batch": ground.threads, "verbose": False}.items():
        command += [f"--{key}", str(value)]
    with _process(command, dict(os.environ)) as process:
        url = f"http://127.0.0.1:{port}"
        made = Served("llama-cpp-python server", _version("llama_cpp_python"), url, ground.model, process)
        _ready(made, "/v1/models")
        yield made


@contextmanager
def bare(served: Served, ground: Ground, way: str, model: str = "", name: str = "") -> Iterator[ServerRival]:
    """A running server as a rival; `model` and `name` where it is asked as something else than its bare policy."""
    with served.client() as http:
        made = ServerRival(served, ground, way, http, model)
        made.name = name or made.name
        yield made


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[Any]]:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment, text=True
        )
        try:
            yield process
        finally:
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()
            _signal(process, "SIGCONT")
            with suppress(subprocess.TimeoutExpired):
                process.send_signal(signal.SIGTERM)
                process.wait(_END_S)
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _signal(process: subprocess.Popen[Any], name: Literal["SIGSTOP", "SIGCONT"]) -> None:
    """Sends a signal that not every system has."""
    if hasattr(signal, name):
        process.send_signal(getattr(signal, name))


def _first_line(process: subprocess.Popen[Any]) -> str:
    line = str(process.stdout.readline()) if process.stdout is not None else ""
    if not line:
        raise ModelUnavailable("edge-ttp serve ended before it said where it is", "run it by hand to see why")
    return line


def _ready(served: Served, path: str = "/health") -> None:
    """Waits until the server answers. Raises ModelUnavailable."""
    end = time.monotonic() + _START_S
    with served.client(timeout=5) as http:
        while time.monotonic() < end and served.process.poll() is None:
            with suppress(httpx.HTTPError):
                status = http.get(path).status_code
                if path == "/health":
                    served.seen_while_loading.append(status)
                if status == 200:
                    return
            time.sleep(0.05)
    raise ModelUnavailable(f"{served.name} {served.version} did not start", "see whether the model fits its version")


def _needed(*packages: str) -> None:
    for one in packages:
        if find_spec(one) is None:
            raise ExtraMissing(f"the package {one!r} is not installed", _CURE)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def end_token(path: Path) -> int | None:
    """The token that ends a policy's texts, as its GGUF file names it."""
    from edge_ttp.registry.gguf import read_header

    found = read_header(path).metadata.get("tokenizer.ggml.eos_token_id")
    return found if isinstance(found, int) else None
