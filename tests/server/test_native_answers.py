"""Our own protocol's answers over the fake models; a real server is asked in test_native_routes.py."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from fakes import Models

pytestmark = pytest.mark.anyio
ASKED = {"prompt": "what grows here", "n": 3, "seed": 5, "sampling": {"max_tokens": 6}}


async def test_an_answer_is_the_runtimes_own_object_and_is_kept_for_its_user(http: httpx.AsyncClient) -> None:
    made = (await http.post("/ttp/v1/generate?user=ann", json=ASKED)).json()
    assert (made["user"], made["prompt"], made["n"], made["stored"]) == ("ann", "what grows here", 3, True)
    assert made["text"] == made["candidates"][made["chosen"]]["text"]
    again = (await http.get(f"/ttp/v1/generations/{made['generation_id']}?user=ann")).json()
    assert (again["text"], again["candidates"]) == (made["text"], made["candidates"])
    assert (await http.get(f"/ttp/v1/generations/{made['generation_id']}?user=bob")).status_code == 404


async def test_every_option_reaches_the_engine(http: httpx.AsyncClient, models: Models) -> None:
    asked = {**ASKED, "system": "Name two.", "context": ["pear trees"], "select": "consensus", "examples": 0,
             "sampling": {"max_tokens": 6, "temperature": 0.5, "stop": ["fern"]}, "store": False}  # fmt: skip
    made = (await http.post("/ttp/v1/generate", json=asked)).json()
    request = models.policy.requests[-1]
    assert (request.n, request.seed, request.max_tokens, request.stop) == (3, 5, 6, ("fern",))
    assert request.sampling.temperature == 0.5
    said = models.policy.messages[-1]
    assert said[0][1].endswith("Name two.")
    assert said[-1] == ("user", "pear trees\n\nwhat grows here")
    assert (made["stored"], made["selection"]["rule"]) == (False, "consensus")
    assert (await http.get("/ttp/v1/generations")).json() == []


async def test_a_conversation_is_answered_and_the_bare_policy_keeps_nothing(
    http: httpx.AsyncClient, models: Models
) -> None:
    messages = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"},
                {"role": "user", "content": "and there"}]  # fmt: skip
    asked: dict[str, Any] = {**ASKED, "messages": messages, "speaker": "policy", "select": "first", "n": 1}
    del asked["prompt"]
    made = (await http.post("/ttp/v1/generate", json=asked)).json()
    assert made["stored"] is False
    assert [text for _, text in models.policy.messages[-1]][-3:] == ["hello", "hi", "and there"]


async def test_events_end_with_the_whole_answer(http: httpx.AsyncClient) -> None:
    answer = await http.post("/ttp/v1/generate", json={**ASKED, "stream": True})
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1]["type"] == "done"
    assert events[-1]["generation"]["text"] == events[-1]["text"]
    assert {"planned", "delta", "scored", "selected"} <= {one["type"] for one in events}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"prompt": "x", "messages": []},
        {"prompt": "x", "n": 0},
        {"prompt": "x", "other": 1},
        {"prompt": "x", "messages": [{"role": "robot", "content": "x"}]},
    ],
)
async def test_what_cannot_be_meant_is_refused(http: httpx.AsyncClient, models: Models, wrong: dict[str, Any]) -> None:
    answer = await http.post("/ttp/v1/generate", json=wrong)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_input")
    assert models.policy.requests == []
