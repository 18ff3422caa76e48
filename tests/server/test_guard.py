"""What reaches the server: hosts, origins, sizes, and pages that must not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from edge_ttp.server import guard
from edge_ttp.server.guard import Doors, Guard, is_loopback

URL = "http://localhost:8000"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await JSONResponse({"bytes": len(body)})(scope, receive, send)


def client(doors: Doors | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(Guard(echo, doors or Doors())), base_url=URL)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST", "localhost."])
async def test_names_of_this_machine_are_served(host: str) -> None:
    async with client() as http:
        assert (await http.get("/health", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "localhost@evil.example", "[", "10.0.0.1"]
)
async def test_another_host_is_what_rebinding_shows_and_is_refused(host: str) -> None:
    async with client() as http:
        answer = await http.get("/v1/models", headers={"host": host})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "host_not_allowed"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:9999", "http://localhost"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_a_page_of_elsewhere_is_refused(origin: str, method: str) -> None:
    async with client() as http:
        answer = await http.request(method, "/v1/models", headers={"origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_a_form_of_another_site_is_refused_though_it_names_no_origin() -> None:
    async with client() as http:
        answer = await http.post("/ttp/v1/history", headers={"sec-fetch-site": "cross-site"}, content="a=b")
    assert answer.status_code == 403


async def test_a_link_leads_to_the_page_and_to_nothing_else() -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    async with client() as http:
        assert (await http.get("/", headers=link)).status_code == 200
        assert (await http.get("/compose.html", headers=link)).status_code == 200
        assert (await http.get("/v1/models", headers=link)).status_code == 403
        assert (await http.post("/", headers=link)).status_code == 403
        assert (await http.get("/", headers={**link, "sec-fetch-dest": "iframe"})).status_code == 403


async def test_the_servers_own_page_is_served() -> None:
    async with client() as http:
        assert (await http.post("/x", headers={"origin": URL, "sec-fetch-site": "same-origin"})).status_code == 200


async def test_a_named_origin_gets_what_it_asks_for_reflected() -> None:
    origin = "https://app.example"
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, x-stainless-os",
        "access-control-request-private-network": "true",
    }
    async with client(Doors(origins=frozenset({origin}))) as http:
        answer = await http.options("/v1/chat/completions", headers=asked)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-headers"] == "authorization, x-stainless-os"
        assert answer.headers["access-control-allow-private-network"] == "true"
        assert (await http.post("/x", headers={"origin": origin})).headers["vary"] == "Origin"
        assert (await http.post("/x", headers={"origin": "https://other.example"})).status_code == 403


async def test_a_body_beyond_the_limit_is_refused_whether_it_says_its_length_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "MAX_BODY", 1000)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    async with client() as http:
        assert (await http.post("/x", content=b"x" * 1000)).json() == {"bytes": 1000}
        assert (await http.post("/x", content=b"x" * 1001)).status_code == 413
        assert (await http.post("/x", content=pieces())).status_code == 413


async def test_a_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_WAIT_S", 0.05)
    sent = []

    async def never() -> dict[str, object]:
        import asyncio

        await asyncio.sleep(3600)
        return {}

    async def send(message: object) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/x",
        "headers": [(b"host", b"localhost")],
        "query_string": b"",
    }
    await Guard(echo, Doors())(scope, never, send)
    assert sent[0]["status"] == 408


def test_loopback_addresses() -> None:
    assert all(is_loopback(address) for address in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(is_loopback(address) for address in ("0.0.0.0", "::", "192.168.1.2", "example.org"))
