"""Judgments of answers over HTTP, and what is learned: of the user's own alone, the last word counting."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio


async def answered(http: httpx.AsyncClient, user: str = "ann") -> dict[str, Any]:
    asked = {"prompt": "what grows here", "n": 3, "seed": 5, "sampling": {"max_tokens": 6}}
    made: dict[str, Any] = (await http.post(f"/ttp/v1/generate?user={user}", json=asked)).json()
    return made


async def test_the_last_judgment_counts_and_can_be_taken_back(http: httpx.AsyncClient) -> None:
    made = await answered(http)
    place = f"/ttp/v1/generations/{made['generation_id']}/feedback?user=ann"
    said = (await http.post(place, json={"kind": "prefer", "candidate": 2})).json()
    assert (said["kind"], said["candidate"]) == ("prefer", 2)
    said = (await http.post(place, json={"kind": "edit", "text": "roses"})).json()
    assert (said["kind"], said["text"]) == ("edit", "roses")
    assert [one["output"] for one in (await http.get("/ttp/v1/history?user=ann")).json()] == ["roses"]
    assert [one["kind"] for one in (await http.request("DELETE", place)).json()] == ["edit"]
    assert (await http.get("/ttp/v1/history?user=ann")).json() == []
    assert (await http.request("DELETE", place)).status_code == 404


@pytest.mark.parametrize(
    ("judgment", "status"),
    [
        ({"kind": "dance"}, 400),
        ({"kind": "edit"}, 400),
        ({"kind": "prefer", "candidate": 3}, 400),
        ({"kind": "prefer", "candidate": -1}, 400),
    ],
)
async def test_what_cannot_be_meant_is_refused(http: httpx.AsyncClient, judgment: dict[str, Any], status: int) -> None:
    made = await answered(http)
    place = f"/ttp/v1/generations/{made['generation_id']}/feedback"
    assert (await http.post(f"{place}?user=ann", json=judgment)).status_code == status
    assert (await http.post(f"{place}?user=bob", json={"kind": "accept"})).status_code == 404


async def test_what_was_learned_is_a_users_own(http: httpx.AsyncClient) -> None:
    made = await answered(http)
    await http.post(f"/ttp/v1/generations/{made['generation_id']}/feedback?user=ann", json={"kind": "accept"})
    ann, bob = [(await http.get(f"/ttp/v1/learned?user={user}")).json() for user in ("ann", "bob")]
    assert (ann["evidence"], bob["evidence"]) == (1, 0)
    assert set(ann["record"]) >= {"rho", "rho_sd", "spread", "queries"}


async def test_learning_tells_its_progress_and_what_it_did(http: httpx.AsyncClient) -> None:
    for text in ("ferns", "heath"):
        await http.post("/ttp/v1/history?user=ann", json={"input": f"what grows by {text}", "output": f"{text} fern"})
    answer = await http.post("/ttp/v1/adapt?user=ann", json={"for_s": 60})
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1]["type"] == "adapted"
    assert events[-1]["calibrated"] > 0
    assert {one["type"] for one in events[:-1]} == {"progress"}
    assert set(events[-1]["learned"]) == {"trust", "evidence", "record"}
    assert (await http.post("/ttp/v1/adapt", json={"for_s": 0})).status_code == 400
