"""Clients that go away at random moments: the next request is answered as if they had never asked."""

from __future__ import annotations

import random
import time

import httpx
import pytest

from .serving import Running

pytestmark = pytest.mark.real


def _next(http: httpx.Client) -> list[str]:
    body = {"prompt": "Shall we meet?", "n": 2, "seed": 5, "store": False, "select": "consensus"}
    answer = http.post("/ttp/v1/generate", json={**body, "sampling": {"max_tokens": 6}})
    assert answer.status_code == 200, answer.text
    return [candidate["text"] for candidate in answer.json()["candidates"]]


def storm(server: Running, count: int) -> None:
    """So many clients that leave a stream within a fifth of a second, or before its first byte."""
    chance = random.Random(3)
    long = {"prompt": "Tell me all of it", "n": 4, "store": False, "sampling": {"max_tokens": 400}}
    with server.client() as http:
        expected = _next(http)
        for _ in range(count):
            ends = time.monotonic() + 0.2 * chance.random()
            with http.stream("POST", "/ttp/v1/generate", json={**long, "stream": True}) as answer:
                assert answer.status_code == 200
                for _ in answer.iter_raw():
                    if time.monotonic() > ends:
                        break
            assert _next(http) == expected


def test_after_some_disconnects_the_next_request_is_right(server: Running) -> None:
    storm(server, 3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_after_a_hundred_disconnects_the_next_request_is_right(server: Running) -> None:
    storm(server, 100)
