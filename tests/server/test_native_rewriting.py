"""A text said again, over the fake models: whole and as events."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio
ASKED = {"text": "We meet Anna at 5 pm.", "n": 3, "seed": 5, "keep": "loose", "sampling": {"max_tokens": 6}}


async def test_a_text_is_said_again_with_what_came_of_its_facts(http: httpx.AsyncClient) -> None:
    made = (await http.post("/ttp/v1/rewrite?user=ann", json=ASKED)).json()
    assert made["text"] == made["generation"]["text"]
    assert made["generation"]["user"] == "ann"
    assert len(made["facts"]) == len(made["generation"]["candidates"])
    assert "".join(one["text"] for one in made["changes"] if one["op"] != "added") == ASKED["text"]


async def test_as_events_the_last_one_is_the_whole(http: httpx.AsyncClient) -> None:
    answer = await http.post("/ttp/v1/rewrite", json={**ASKED, "stream": True})
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [one["type"] for one in events][-2:] == ["done", "rewritten"]
    assert events[-1]["rewritten"]["text"] == events[-2]["text"]


@pytest.mark.parametrize(
    "wrong", [{}, {"text": ""}, {"text": " "}, {"text": "x", "keep": "some"}, {"text": "x", "n": 0}]
)
async def test_what_cannot_be_meant_is_refused(http: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    assert (await http.post("/ttp/v1/rewrite", json=wrong)).status_code == 400
