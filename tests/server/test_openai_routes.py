"""OpenAI's protocol over a real server: the behaviours that clients rely on."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from edge_ttp.history import History
from edge_ttp.paths import locate

from .serving import Running

pytestmark = pytest.mark.real
BARE = "smollm2-135m-instruct"
ASK = [{"role": "user", "content": "The meeting moves to Friday."}]


def chat(server: Running, *, token: bool = True, **fields: Any) -> httpx.Response:
    with server.client(token=token) as http:
        return http.post("/v1/chat/completions", json={"model": "me", "messages": ASK, "max_tokens": 12, **fields})


def chunks(server: Running, path: str = "/v1/chat/completions", **fields: Any) -> list[Any]:
    """The messages of a stream, parsed; `[DONE]` as a string."""
    found: list[Any] = []
    body = {"model": "me", "messages": ASK, "max_tokens": 12, "stream": True, **fields}
    with server.client() as http, http.stream("POST", path, json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if line.startswith("data: "):
                data = line.removeprefix("data: ")
                found.append(data if data == "[DONE]" else json.loads(data))
    return found


def test_models_have_every_field_that_strict_clients_want(server: Running) -> None:
    with server.client(token=False) as http:
        listed = http.get("/v1/models").json()
        assert listed["object"] == "list"
        assert {one["id"] for one in listed["data"]} == {"me", f"me/{BARE}", BARE}
        for one in listed["data"]:
            assert set(one) == {"id", "object", "created", "owned_by"}
            assert http.get(f"/v1/models/{one['id']}").json() == one
        assert http.get("/v1/models/nope").status_code == 404


def test_me_drafts_as_the_person_and_is_stored(server: Running) -> None:
    answer = chat(server, seed=3, edge_ttp={"candidates": 4}).json()
    said = answer["edge_ttp"]
    assert answer["choices"][0]["message"]["content"]
    assert said["stored"]
    assert said["n"] == 4
    assert said["mean"] is not None
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    with server.client() as http:
        kept = http.get(f"/ttp/v1/generations/{said['generation_id']}").json()
    assert kept["plan"]["examples"] > 0
    assert kept["text"] == answer["choices"][0]["message"]["content"]


def test_all_candidates_are_told_where_they_are_asked_for(server: Running) -> None:
    told = chat(server, edge_ttp={"candidates": 4, "all_candidates": True}, store=False).json()["edge_ttp"]
    assert told["generation_id"]
    assert len(told["candidates"]) == 4
    assert all(one["text"] and one["mean"] is not None and one["variance"] >= 0 for one in told["candidates"])


def test_store_false_is_honoured_and_a_bare_policy_is_never_stored(server: Running) -> None:
    unstored = chat(server, store=False).json()["edge_ttp"]
    bare = chat(server, model=BARE, store=True).json()["edge_ttp"]
    assert (bare["n"], bare["stored"], unstored["stored"]) == (1, False, False)
    with server.client() as http:
        for one in (unstored, bare):
            assert http.get(f"/ttp/v1/generations/{one['generation_id']}").status_code == 404


def test_a_bare_policy_takes_any_bearer_and_the_person_only_the_token(server: Running) -> None:
    assert chat(server, token=False, model=BARE).status_code == 200
    for path in ("/ttp/v1/info", "/ttp/v1/history"):
        with server.client(token=False) as http:
            assert http.get(path).status_code == 401
    refused = chat(server, token=False)
    assert refused.status_code == 401
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("authentication_error", "no_token")
    assert error["cure"]


def test_a_stream_ends_with_done_and_no_chunk_is_without_choices(server: Running) -> None:
    found = chunks(server)
    assert found[-1] == "[DONE]"
    assert all(len(one["choices"]) == 1 for one in found[:-1])
    assert found[0]["choices"][0]["delta"]["role"] == "assistant"
    assert found[-2]["choices"][0]["finish_reason"] in ("stop", "length")
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in found[:-1])


def test_usage_comes_once_in_a_last_chunk_where_it_is_asked_for(server: Running) -> None:
    found = chunks(server, stream_options={"include_usage": True})
    assert found[-2]["choices"] == []
    assert found[-2]["usage"]["completion_tokens"] > 0
    assert not any("usage" in one for one in found[:-2])


def test_a_stream_says_what_the_whole_answer_says(server: Running) -> None:
    fields = {"seed": 11, "edge_ttp": {"candidates": 4}, "store": False}
    whole = chat(server, **fields).json()["choices"][0]["message"]["content"]
    found = chunks(server, **fields)
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in found[:-1]) == whole


@pytest.mark.parametrize("model", ["me", BARE])
def test_n_choices_are_different_with_the_right_index_streaming_or_not(server: Running, model: str) -> None:
    fields = {"model": model, "n": 3, "temperature": 1.2, "seed": 5, "store": False}
    texts = [one["message"]["content"] for one in chat(server, **fields).json()["choices"]]
    assert len(set(texts)) == len(texts) == 3
    streamed = ["", "", ""]
    for one in chunks(server, **fields)[:-1]:
        streamed[one["choices"][0]["index"]] += one["choices"][0]["delta"].get("content", "")
    assert streamed == texts


def test_sampling_fields_act(server: Running) -> None:
    fields = {"model": BARE, "temperature": 0, "max_tokens": 30}
    plain = chat(server, **fields).json()["choices"][0]
    word = plain["message"]["content"].split()[1]
    stopped = chat(server, **fields, stop=[word]).json()["choices"][0]
    assert stopped["message"]["content"].strip() == plain["message"]["content"].split(word)[0].strip()
    assert stopped["finish_reason"] == "stop"
    cut = chat(server, model=BARE, max_tokens=2).json()["choices"][0]
    assert cut["finish_reason"] == "length"
    seeded = [chat(server, model=BARE, seed=4).json()["choices"] for _ in range(2)]
    assert seeded[0] == seeded[1]


def test_a_schema_is_followed(server: Running) -> None:
    day = {"enum": ["Thursday", "Friday"]}
    shape = {"type": "object", "properties": {"day": day}, "required": ["day"]}
    form = {"type": "json_schema", "json_schema": {"name": "day", "schema": shape, "strict": True}}
    content = chat(server, model=BARE, response_format=form, max_tokens=60).json()["choices"][0]["message"]["content"]
    assert json.loads(content)["day"] in day["enum"]


def test_what_is_not_honoured_is_refused_and_what_is_harmless_is_named(server: Running) -> None:
    refused = chat(server, tool_choice="required")
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "invalid_request_error"
    named = chat(server, model=BARE, tools=[{"type": "function"}], tool_choice="auto", service_tier="auto")
    assert named.headers["x-edge-ttp-ignored"] == "service_tier, tool_choice, tools"
    assert chat(server, model="nope").status_code == 404


def test_an_error_of_the_runtime_has_openais_shape_also_in_a_stream(server: Running) -> None:
    late = {"edge_ttp": {"deadline_s": 0.0001}}
    whole = chat(server, **late)
    assert (whole.status_code, whole.json()["error"]["code"]) == (400, "deadline_too_short")
    with server.client() as http:
        body = {"model": "me", "messages": ASK, "stream": True, **late}
        streamed = http.post("/v1/chat/completions", json=body)
    assert "deadline_too_short" in streamed.text


def test_system_and_earlier_turns_reach_the_prompt_and_are_not_the_users_writing(
    server: Running, server_home: Any
) -> None:
    messages = [
        {"role": "system", "content": "A word nobody wrote: zyxwv."},
        {"role": "user", "content": "Is it raining?"},
        {"role": "assistant", "content": "no, dry."},
        {"role": "user", "content": "And tomorrow?"},
    ]
    answer = chat(server, messages=messages).json()
    plain = chat(server, messages=messages[-1:]).json()
    assert answer["usage"]["prompt_tokens"] > plain["usage"]["prompt_tokens"]
    with History.open(locate(server_home).database) as history:
        assert history.generation(answer["edge_ttp"]["generation_id"]).prompt == "And tomorrow?"
        assert not any("zyxwv" in item.input for item in history.items("me"))


def test_completions_go_on_with_a_text(server: Running) -> None:
    with server.client() as http:
        body = {"model": BARE, "prompt": "One, two, three, four, five,", "max_tokens": 8, "temperature": 0}
        whole = http.post("/v1/completions", json=body).json()
    assert whole["object"] == "text_completion"
    assert "six" in whole["choices"][0]["text"]


def test_responses_whole_and_streamed(server: Running) -> None:
    body = {"model": BARE, "input": "Say hello.", "max_output_tokens": 12, "temperature": 0}
    with server.client() as http:
        whole = http.post("/v1/responses", json=body).json()
        with http.stream("POST", "/v1/responses", json={**body, "stream": True}) as response:
            events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    assert events[-1]["type"] in ("response.completed", "response.incomplete")
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert text == whole["output"][0]["content"][0]["text"]


def test_a_client_that_goes_frees_the_engine(server: Running) -> None:
    body = {"model": BARE, "messages": ASK, "n": 16, "max_tokens": 2000, "temperature": 2}
    for stream in (True, False):
        with server.client(timeout=1) as http, pytest.raises(httpx.TimeoutException):
            http.post("/v1/chat/completions", json={**body, "stream": stream})
        began = time.monotonic()
        assert chat(server, model=BARE, max_tokens=2).status_code == 200
        assert time.monotonic() - began < 60  # 16 candidates of 2,000 tokens would take many minutes


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"model": "me"}', b"[" * 100_000])
def test_a_body_that_is_no_request_is_refused(server: Running, data: bytes) -> None:
    with server.client() as http:
        for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/ttp/v1/generate"):
            answer = http.post(path, content=data)
            assert answer.status_code == 400
            assert answer.json()["error"]["cure"]


def test_what_is_not_served_is_said_in_the_shape_of_the_path(server: Running) -> None:
    with server.client() as http:
        assert http.get("/v1/nothing").json()["error"]["type"] == "invalid_request_error"
        assert http.get("/ttp/v1/nothing").json()["error"]["code"] == "not_found"
        assert http.get("/v1/chat/completions").status_code == 405
