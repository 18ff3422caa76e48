"""OpenAI's own client and others, unchanged, against a real server. Run by `make test-clients`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from server.conftest import server, server_home
from server.serving import Running

openai = pytest.importorskip("openai", reason="make test-clients installs it")
pytestmark = [pytest.mark.clients, pytest.mark.real]
__all__ = ["server", "server_home"]

BARE = "smollm2-135m-instruct"
ASK: Any = [{"role": "user", "content": "The meeting moves to Friday."}]


@pytest.fixture
def client(server: Running) -> Any:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.token, max_retries=0)


def test_models_and_a_chat(client: Any) -> None:
    assert "me" in [model.id for model in client.models.list()]
    answer = client.chat.completions.create(model="me", messages=ASK, max_tokens=12, n=2, store=False)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage.total_tokens > 0


def test_a_stream_with_usage(client: Any) -> None:
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model=BARE, messages=ASK, max_tokens=12, stream=True, stream_options=options)
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage.completion_tokens > 0


def test_an_error_is_the_clients_own(client: Any) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nope", messages=ASK)
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="me", messages=ASK, tool_choice="required")
    assert refused.value.body["cure"]
    late = {"edge_ttp": {"deadline_s": 0.0001}}
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="me", messages=ASK, stream=True, extra_body=late))


def test_structured_output(client: Any) -> None:
    pydantic = pytest.importorskip("pydantic")
    made = pydantic.create_model("Day", day=(Literal["Thursday", "Friday"], ...))
    answer = client.chat.completions.parse(model=BARE, messages=ASK, response_format=made, max_tokens=80)
    assert answer.choices[0].message.parsed.day in ("Thursday", "Friday")


def test_responses_and_completions(client: Any) -> None:
    assert client.responses.create(model=BARE, input="Say hello.", max_output_tokens=16).output_text
    with client.responses.stream(model=BARE, input="What is the capital of France?", temperature=0) as events:
        kinds = [event.type for event in events]
        assert events.get_final_response().output_text
    assert kinds[0] == "response.created"
    assert client.completions.create(model=BARE, prompt="One, two,", max_tokens=6).choices[0].text


def test_the_asynchronous_client_leaves_a_stream_early(server: Running) -> None:
    async def talk() -> int:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.token) as client:
            stream = await client.chat.completions.create(model=BARE, messages=ASK, stream=True, max_tokens=2000)
            async for _ in stream:
                break
            await stream.close()
            answers = await asyncio.gather(
                *(client.chat.completions.create(model=BARE, messages=ASK, max_tokens=8) for _ in range(4))
            )
            return len(answers)

    assert asyncio.run(talk()) == 4


def test_langchain(server: Running) -> None:
    langchain = pytest.importorskip("langchain_openai", reason="make test-clients installs it")
    chat = langchain.ChatOpenAI(base_url=f"{server.url}/v1", api_key=server.token, model=BARE, max_tokens=12)
    assert chat.invoke("Say hello.").content
    assert "".join(str(chunk.content) for chunk in chat.stream("Say hello."))


LITELLM = """
import os, sys
outside = []
sys.addaudithook(lambda event, given: outside.append(given) if event.startswith("socket.") else None)
import litellm
model, url, token = sys.argv[1:]
made = litellm.completion(
    model=model, api_base=url, api_key=token, max_tokens=12, messages=[{"role": "user", "content": "Say hello."}]
)
assert made.choices[0].message.content
named = [str(part) for given in outside for part in given if isinstance(part, (tuple, str))]
assert any("127.0.0.1" in one for one in named)
away = [one for one in named if not any(near in one for near in ("127.0.0.1", "localhost", "::1"))]
assert away == [], away
"""


def test_litellm_asks_nobody_but_the_server(server: Running) -> None:
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    command = [sys.executable, "-c", LITELLM, f"openai/{BARE}", f"{server.url}/v1", server.token]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_litellm_streams(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("litellm", reason="make test-clients installs it")
    given = {"api_base": f"{server.url}/v1", "api_key": server.token, "messages": ASK}
    chunks = list(litellm.completion(model=f"openai/{BARE}", max_tokens=12, stream=True, **given))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(model="openai/nope", **given)


@pytest.mark.parametrize("options", [[], ["--no-stream"], ["--responses"], ["--schema", "day, hour int"]])
def test_llm_with_an_endpoint_of_its_own(server: Running, tmp_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "llm", "openai", "endpoint", f"{server.url}/v1", "--key", server.token]
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}

    def said(*more: str) -> str:
        return subprocess.run(
            [*command, *more], env=environment, capture_output=True, text=True, check=True, timeout=300
        ).stdout

    assert BARE in said("--models")
    assert said("-m", BARE, "-o", "max_tokens", "60", *options, "When is the picnic? It is on Friday at nine.").strip()


def test_curl(server: Running) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.fail("there is no curl: apt-get install curl")
    body = json.dumps({"model": "me", "messages": ASK, "max_tokens": 12, "store": False})
    command = [
        curl,
        "-sS",
        f"{server.url}/v1/chat/completions",
        "-H",
        f"Authorization: Bearer {server.token}",
        "-d",
        body,
    ]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert said["choices"][0]["message"]["content"]
