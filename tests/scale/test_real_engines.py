"""Policies behind real engines: llama.cpp's own server (xllamacpp), llama-cpp-python's, and one that runs already.

`EDGE_TTP_ENGINE_URL=http://127.0.0.1:8000 pytest -m scale tests/scale/test_real_engines.py -k given` tries vLLM or any
other engine.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from edge_ttp.errors import EdgeTTPError
from edge_ttp.runtime import Runtime
from edge_ttp.schema import Event, HistoryItem, Sampling

pytestmark = [pytest.mark.scale, pytest.mark.real]

_LLAMA_CPP = """
import sys, time, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path, parameters.n_parallel, parameters.n_ctx, parameters.port = sys.argv[1], 4, 4096, 0
parameters.cpuparams.n_threads = 1
server = xllamacpp.Server(parameters)
sys.stdout.write(f"\\nup {server.listening_address}\\n")  # whole, on a line of its own: its log goes to the same pipe
sys.stdout.flush()
sys.stdin.read()
"""


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=dict(os.environ),
    )
    try:
        yield running
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()


def waited_for(url: str) -> str:
    for _ in range(600):
        try:
            if httpx.get(f"{url}/v1/models", trust_env=False).status_code == 200:
                return url
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"nobody listens at {url}")


@contextmanager
def llama_cpp(policy: Path) -> Iterator[str]:
    with process(sys.executable, "-c", _LLAMA_CPP, str(policy)) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if found := re.match(r"up (http://\S+)", line):
                threading.Thread(target=running.stdout.read, daemon=True).start()
                yield waited_for(found[1])
                return


@contextmanager
def llama_cpp_python(policy: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--n_ctx", "2048", "--logits_all", "true", "--n_threads", "1", "--interrupt_requests", "false")
    command = (sys.executable, "-m", "llama_cpp.server", "--model", str(policy), "--port", str(port), *options)
    with process(*command) as running:
        assert running.stdout is not None
        threading.Thread(target=running.stdout.read, daemon=True).start()
        yield waited_for(f"http://127.0.0.1:{port}")


@contextmanager
def given(policy: Path) -> Iterator[str]:
    yield waited_for(os.environ["EDGE_TTP_ENGINE_URL"].rstrip("/").removesuffix("/v1"))


ENGINES = {"llama.cpp": llama_cpp, "llama-cpp-python": llama_cpp_python}
if "EDGE_TTP_ENGINE_URL" in os.environ:
    ENGINES["given"] = given


@pytest.fixture(scope="module", params=list(ENGINES.values()), ids=list(ENGINES))
def url(request: pytest.FixtureRequest, policy_path: Path) -> Iterator[str]:
    with request.param(policy_path) as address:
        yield address


def test_answers_are_personal_and_different_and_scored(url: str) -> None:
    with Runtime.open(policy_url=url) as runtime:
        runtime.history.add(HistoryItem(user_id="me", input="Are you coming?", output="yes, see you there"))
        made = runtime.generate("Are you coming on Friday?", n=4, seed=5, sampling=Sampling(max_tokens=8))
        assert len({one.text for one in made.candidates}) > 1
        assert all(one.logprob < 0 and 1 <= one.tokens <= 9 for one in made.candidates)
        assert made.selection.rule == "lcb"
        assert made.timings.policy_url == f"{url}/v1"
        ranked = runtime.generate("Are you coming?", n=3, select="logprob", sampling=Sampling(max_tokens=4))
        assert ranked.selection.rule == "logprob"


def test_a_cancel_ends_the_answer_and_the_engine_is_free_again(url: str) -> None:
    cancel = threading.Event()

    def hear(event: Event) -> None:
        if event.type == "delta":
            cancel.set()

    with Runtime.open(policy_url=url) as runtime:
        long = Sampling(max_tokens=400, temperature=1.5, min_p=0)
        made = runtime.generate(
            "Tell me a long story.", n=1, select="first", sampling=long, cancel=cancel, on_event=hear
        )
        assert made.finish_reason == "cancelled"
        assert runtime.generate("Hello", n=1, select="first", sampling=Sampling(max_tokens=3)).text


def test_a_schema_is_followed_or_refused_at_once(url: str) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 8}}, "required": ["city"]}
    asked = Sampling(json_schema=schema, max_tokens=60)
    with Runtime.open(policy_url=url) as runtime:
        try:
            text = runtime.generate("Where do you live?", n=1, select="first", sampling=asked).text
        except EdgeTTPError as refused:  # llama-cpp-python's server knows OpenAI's older form alone
            text = str(refused)
    if "json_schema" in text:
        assert "refuses (status 500)" in text
    else:
        assert isinstance(json.loads(text)["city"], str)
