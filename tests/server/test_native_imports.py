"""Files taken in over HTTP: what became of them, listed and undone; a name that would lead elsewhere does not."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from edge_ttp.paths import locate

pytestmark = pytest.mark.anyio
LINES = b'{"input": "Tea?", "output": "Yes please!"}\n{"input": "no output"}\n{"input": "Lunch?", "output": "Nope"}\n'


async def test_a_file_is_taken_in_listed_and_undone(http: httpx.AsyncClient, home: Path) -> None:
    made = (await http.post("/ttp/v1/history/import?user=ann&name=texts.jsonl&kind=chat", content=LINES)).json()
    assert (made["added"], made["bad"], made["duplicates"]) == (2, 1, 0)
    assert [one["number"] for one in made["named"]] == [2]
    (line,) = (await http.get("/ttp/v1/history/imports?user=ann")).json()
    assert (line["id"], line["name"], line["items"]) == (made["id"], "texts.jsonl", 2)
    assert (await http.get("/ttp/v1/history/imports?user=bob")).json() == []
    assert (await http.delete(f"/ttp/v1/history/imports/{made['id']}?user=ann")).json() == {"items": 2}
    assert (await http.get("/ttp/v1/history?user=ann")).json() == []
    assert list(locate(home).cache.glob("import-*")) == []  # nothing of it stays


async def test_progress_is_told_and_the_end_says_what_was_done(http: httpx.AsyncClient) -> None:
    answer = await http.post("/ttp/v1/history/import?user=ann&stream=true", content=LINES)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert (events[-1]["type"], events[-1]["added"]) == ("imported", 2)
    assert {one["type"] for one in events[:-1]} <= {"progress"}


@pytest.mark.parametrize("name", ["../../etc/passwd.jsonl", "/etc/x.jsonl", "a\x00b.jsonl", "x" * 400 + ".jsonl", ".."])
async def test_a_name_leads_nowhere_else(http: httpx.AsyncClient, name: str) -> None:
    answer = await http.post("/ttp/v1/history/import", params={"user": "ann", "name": name}, content=LINES)
    if answer.status_code == 200:
        (line,) = (await http.get("/ttp/v1/history/imports?user=ann")).json()
        assert "/" not in line["name"]
        assert len(line["name"]) <= 200
    else:
        assert answer.status_code == 400


@pytest.mark.parametrize("number", ["0", "x", "9" * 30, "٣", "1.0"])
async def test_an_import_that_there_is_not_is_said(http: httpx.AsyncClient, number: str) -> None:
    assert (await http.delete(f"/ttp/v1/history/imports/{number}?user=ann")).status_code == 404
