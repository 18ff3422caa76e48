"""What every endpoint is given of a request, and what becomes of what it returns or raises."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette

from edge_ttp.aio import AsyncRuntime
from edge_ttp.errors import NotFound
from edge_ttp.paths import locate
from edge_ttp.server.access import Access
from edge_ttp.server.endpoints import Endpoint, Exchange, routes_of
from edge_ttp.server.state import State

pytestmark = pytest.mark.anyio


class Wish(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid")

    count: int = 1


async def echoed(call: Exchange) -> Any:
    wish = await call.body(Wish)
    limit = call.number("limit", 5, 10)
    return [wish, {"user": call.user(), "limit": limit, "text": call.text("text")}]


async def missing(call: Exchange) -> Any:
    raise NotFound("there is none", "look elsewhere")


async def open_to_all(call: Exchange) -> Any:
    return {"known": call.known is not None}


ENDPOINTS = (
    Endpoint("POST", "/ttp/v1/echo", "Says it again.", echoed, takes=Wish),
    Endpoint("GET", "/v1/missing", "Is not there.", missing),
    Endpoint("GET", "/ttp/v1/open", "Is for everybody.", open_to_all, token=False),
)


def client(home: Path, token: str | None = None) -> httpx.AsyncClient:
    app = Starlette(routes=[*routes_of(ENDPOINTS)])
    app.state.edge_ttp = State(cast(AsyncRuntime, None), Access(locate(home)))
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", headers=headers)


async def test_body_and_query_are_read_and_the_answer_is_plain_json(home: Path) -> None:
    async with client(home, Access(locate(home)).own()) as http:
        answer = await http.post("/ttp/v1/echo?user=eve&limit=7&text=", json={"count": 3})
        assert answer.json() == [{"count": 3}, {"user": "me/eve", "limit": 7, "text": None}]
        answer = await http.post("/ttp/v1/echo")
        assert answer.json() == [{"count": 1}, {"user": "me", "limit": 5, "text": None}]


@pytest.mark.parametrize(
    ("query", "body", "words"),
    [
        ("limit=11", "{}", "choose 1 to 10"),
        ("limit=0", "{}", "choose 1 to 10"),
        ("limit=٣", "{}", "choose 1 to 10"),
        ("", '{"count": "many"}', "send count as a whole number"),
        ("", '{"other": 1}', "leave out other"),
        ("", "{", "JSON"),
    ],
)
async def test_what_cannot_be_read_is_a_400_with_its_cure(home: Path, query: str, body: str, words: str) -> None:
    async with client(home, Access(locate(home)).own()) as http:
        answer = await http.post(f"/ttp/v1/echo?{query}", content=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert words in f"{error['message']}; {error['cure']}"


async def test_errors_have_the_shape_of_the_path(home: Path) -> None:
    async with client(home, Access(locate(home)).own()) as http:
        answer = await http.get("/v1/missing")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")


async def test_nobody_comes_in_without_a_token_but_where_none_is_needed(home: Path) -> None:
    async with client(home) as http:
        refused = await http.post("/ttp/v1/echo", json={})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert (await http.get("/ttp/v1/open")).json() == {"known": False}
