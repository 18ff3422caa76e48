"""Requests made by chance from the description: every status is a described one, none is a fault of the server."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest

from .fuzzed import Fuzzed, requests
from .serving import Running

pytestmark = pytest.mark.real


def _checked(server: Running, count: int, seed: int) -> Counter[int]:
    seen: Counter[int] = Counter()
    with server.client(timeout=300) as http:
        description = http.get("/ttp/v1/openapi.json").json()
        for place, one in enumerate(requests(description, count, seed)):
            answer = _sent(http, one)
            what = f"request {place} of seed {seed}: {one}"[:1500]
            seen[answer.status_code] += 1
            assert answer.status_code < 500, f"{what}\n{answer.text[:500]}"
            known = (
                description["paths"][one.place]
                .get("get" if one.method == "head" else one.method, {})
                .get("responses", {})
            )
            assert str(answer.status_code) in {*known, "404", "405"}, what
            assert "Traceback" not in answer.text, what
            if answer.status_code >= 400 and one.method != "head":
                told = answer.json()
                error = told["error"] if isinstance(told["error"], dict) else told
                assert error["code"], what
                assert error["cure"], what
                assert error["cure"] != "correct it", what
        assert http.get("/health").status_code == 200
    assert server.process.poll() is None
    return seen


def _sent(http: httpx.Client, one: Fuzzed) -> httpx.Response:
    given: dict[str, Any] = {"content": one.raw} if one.raw is not None else {}
    if one.json is not None:
        given = {"json": one.json}
    return http.request(one.method.upper(), one.path, params=one.query, **given)


def test_a_hundred_requests_made_by_chance(server: Running) -> None:
    seen = _checked(server, 100, seed=1)
    assert seen[200] > 10
    assert seen[400] > 10


@pytest.mark.soak
def test_two_thousand_requests_made_by_chance(server: Running) -> None:
    print(sorted(sum((_checked(server, 200, seed) for seed in range(2, 12)), Counter()).items()))
