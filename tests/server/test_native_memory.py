"""Models leave the memory and come back on demand, over a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_ttp.paths import locate
from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD
from edge_ttp.server.access import Access

from .serving import Running

pytestmark = pytest.mark.real


def loaded(server: Running, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of loading."""
    with server.client() as http, http.stream("POST", "/ttp/v1/models/load", json=body) as answer:
        return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]


def test_models_are_given_back_and_loaded_again(server: Running) -> None:
    with server.client() as http:
        assert http.post("/ttp/v1/models/unload", json={}).json()["models"] == []
        assert http.get("/ttp/v1/memory").json()["models"] == []
        first, *_, last = loaded(server, {})
        assert first["type"] == "progress"
        assert {DEFAULT_POLICY, DEFAULT_REWARD} == set(last["models"])
        assert http.get("/ttp/v1/memory").json()["policies"][DEFAULT_POLICY] > 50 * 2**20
        left = http.post("/ttp/v1/models/unload", json={"model": DEFAULT_POLICY}).json()
        assert (left["models"], left["policies"]) == ([DEFAULT_REWARD], {})
        made = http.post("/ttp/v1/generate", json={"prompt": "Hello", "n": 1, "sampling": {"max_tokens": 2}})
        assert made.status_code == 200  # what is needed comes back by itself
        assert DEFAULT_POLICY in http.get("/ttp/v1/memory").json()["models"]


@pytest.mark.parametrize("name", ["/etc/passwd", "no-such-model", "../x"])
def test_the_network_names_models_of_the_store(server: Running, name: str) -> None:
    with server.client() as http:
        for way in ("load", "unload"):
            answer = http.post(f"/ttp/v1/models/{way}", json={"model": name})
            assert (answer.status_code, bool(answer.json()["error"]["cure"])) == (404, True)


def test_other_tokens_move_no_models(server: Running, server_home: Path) -> None:
    token = Access(locate(server_home)).add("a guest", user="guest")
    with server.client(token=False) as http:
        for way in ("load", "unload"):
            answer = http.post(f"/ttp/v1/models/{way}", json={}, headers={"authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "owner_only")
