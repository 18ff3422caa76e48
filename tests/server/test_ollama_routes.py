"""Ollama's endpoints over a real server."""

from __future__ import annotations

import json

import pytest

from .serving import Running

pytestmark = pytest.mark.real
BARE = "smollm2-135m-instruct"
ASK = [{"role": "user", "content": "Say hello."}]
FEW = {"num_predict": 6, "temperature": 0}


def test_models_are_listed(server: Running) -> None:
    with server.client(token=False) as http:
        names = [one["name"] for one in http.get("/api/tags").json()["models"]]
        assert http.get("/api/version").json()["version"]
    assert names[0] == "me"
    assert BARE in names


def test_a_stream_is_lines_that_add_up_to_the_whole_answer(server: Running) -> None:
    body = {"model": f"{BARE}:latest", "messages": ASK, "options": FEW}
    with server.client(token=False) as http:
        with http.stream("POST", "/api/chat", json=body) as answer:
            assert answer.headers["content-type"].startswith("application/x-ndjson")
            lines = [json.loads(line) for line in answer.iter_lines() if line]
        whole = http.post("/api/chat", json={**body, "stream": False}).json()
    assert [one["done"] for one in lines] == [False] * (len(lines) - 1) + [True]
    assert "".join(one["message"]["content"] for one in lines) == whole["message"]["content"] != ""
    assert whole["eval_count"] == 6
    assert whole["done_reason"] == "length"


def test_generate_takes_a_prompt_and_a_format(server: Running) -> None:
    schema = {"type": "object", "properties": {"day": {"enum": ["Friday"]}}, "required": ["day"]}
    body = {"model": BARE, "prompt": "When?", "stream": False, "format": schema, "options": {"num_predict": 60}}
    with server.client(token=False) as http:
        assert json.loads(http.post("/api/generate", json=body).json()["response"])["day"] == "Friday"
        refused = http.post("/api/generate", json={**body, "images": ["AAAA"]})
        assert refused.status_code == 400
        assert refused.json()["error"].endswith("leave out images")
        assert http.post("/api/chat", json=[]).status_code == 400


def test_the_person_needs_the_token(server: Running) -> None:
    body = {"model": "me", "prompt": "Lunch?", "stream": False, "options": FEW}
    with server.client(token=False) as http:
        assert http.post("/api/generate", json=body).status_code == 401
    with server.client() as http:
        assert http.post("/api/generate", json=body).json()["response"]
