"""What a user wrote, over HTTP: listed, found, recalled, counted, forgotten, exported; of the user alone."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio


async def put(http: httpx.AsyncClient, user: str, *texts: str) -> list[int]:
    """Ids of these texts, a day apart from the first of May 2026 on."""
    made = []
    for place, text in enumerate(texts, 1):
        given = {"input": "what grows", "output": text, "kind": "note", "date": f"2026-05-0{place}T12:00:00Z"}
        made.append((await http.post(f"/ttp/v1/history?user={user}", json=given)).json()["id"])
    return made


async def test_items_are_listed_newest_first_of_the_user_and_kind(http: httpx.AsyncClient) -> None:
    await put(http, "ann", "ferns", "heath")
    await put(http, "bob", "birches")
    rows = (await http.get("/ttp/v1/history?user=ann")).json()
    assert [one["output"] for one in rows] == ["heath", "ferns"]
    assert rows[1]["created_at"].startswith("2026-05-01")
    assert rows[0]["source"] == "server"
    assert [one["output"] for one in (await http.get("/ttp/v1/history?user=ann&limit=1")).json()] == ["heath"]
    assert (await http.get("/ttp/v1/history?user=ann&kind=mail")).json() == []


async def test_words_are_found_where_they_stand_and_likes_are_recalled(http: httpx.AsyncClient) -> None:
    await put(http, "ann", "many ferns", "heath")
    (hit,) = (await http.get("/ttp/v1/history/search?user=ann&q=ferns")).json()
    assert (hit["item"]["output"], hit["field"]) == ("many ferns", "output")
    (start, end), *_ = hit["highlights"]
    assert hit["snippet"][start:end] == "ferns"
    near = (await http.get("/ttp/v1/history/recall?user=ann&q=ferns&limit=1")).json()
    assert [one["item"]["output"] for one in near] == ["many ferns"]
    assert near[0]["score"] > 0


async def test_a_preview_counts_and_forgetting_does_it(http: httpx.AsyncClient) -> None:
    first, *_ = await put(http, "ann", "ferns", "heath", "birches")

    async def forgotten(**wish: Any) -> tuple[int, bool]:
        answer = (await http.post("/ttp/v1/history/forget?user=ann", json=wish)).json()
        return answer["items"], answer["preview"]

    assert await forgotten(before="2026-05-03", preview=True) == (2, True)
    assert await forgotten(item=first, preview=True) == (1, True)
    assert (await http.get("/ttp/v1/history/stats?user=ann")).json()["items"] == 3
    assert await forgotten(item=first) == (1, False)
    assert await forgotten(before="2026-05-03") == (1, False)
    assert await forgotten(everything=True) == (1, False)
    assert (await http.get("/ttp/v1/history?user=ann")).json() == []


@pytest.mark.parametrize("wish", [{}, {"item": 1, "everything": True}, {"before": "soon"}, {"item": "x"}])
async def test_exactly_one_thing_is_forgotten(http: httpx.AsyncClient, wish: dict[str, Any]) -> None:
    await put(http, "ann", "ferns")
    assert (await http.post("/ttp/v1/history/forget?user=ann", json=wish)).status_code == 400
    assert len((await http.get("/ttp/v1/history?user=ann")).json()) == 1


async def test_what_is_counted_and_exported_is_the_users_own(http: httpx.AsyncClient) -> None:
    await put(http, "ann", "ferns", "heath")
    await put(http, "bob", "birches")
    counted = (await http.get("/ttp/v1/history/stats?user=ann")).json()
    assert (counted["items"], counted["kinds"], counted["sources"]) == (2, {"note": 2}, {"server": 2})
    assert counted["oldest"].startswith("2026-05-01")
    answer = await http.get("/ttp/v1/history/export?user=ann")
    assert answer.headers["content-disposition"] == 'attachment; filename="history.jsonl"'
    assert sorted(json.loads(line)["output"] for line in answer.text.splitlines()) == ["ferns", "heath"]
    assert (await http.get("/ttp/v1/history/export?user=nobody")).status_code == 404
