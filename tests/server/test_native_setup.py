"""The first start over HTTP: models, places, an import by path - the owner's token only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_ttp.paths import locate
from edge_ttp.server.access import Access

from .serving import Running

pytestmark = pytest.mark.real


def told(server: Running, path: str, body: Any) -> list[dict[str, Any]]:
    with server.client() as http, http.stream("POST", path, json=body) as response:
        return [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]


def test_a_start_names_the_model_in_use_and_those_to_fetch(server: Running) -> None:
    with server.client() as http:
        found = http.get("/ttp/v1/start").json()
    assert found["ready"]
    here = {one["name"] for one in found["models"] if one["here"]}
    assert found["policy"] in here
    assert any(not one["here"] and one["size"] > 10**8 and one["licence"] for one in found["models"])
    assert not any(one["along"] for one in found["models"])  # only in the frozen app
    assert found["items"] > 0


def test_a_model_is_chosen_with_progress_and_used_from_then_on(server: Running, server_home: Path) -> None:
    with server.client() as http:
        name = http.get("/ttp/v1/start").json()["policy"]
    events = told(server, "/ttp/v1/start/model", {"name": name})
    assert events[-1] == {"type": "chosen", "name": name}
    assert any(one["type"] == "progress" and one["done"] == one["total"] for one in events)
    assert name in (server_home / "config" / "config.toml").read_text()


@pytest.mark.parametrize(
    "name", ["no-such-model", "/etc/passwd", "../x", "hf:somebody/something", "https://example.org/x.gguf"]
)
def test_only_known_names_are_fetched(server: Running, name: str) -> None:
    (event,) = told(server, "/ttp/v1/start/model", {"name": name})
    assert event["error"]["exit_code"] in (2, 8)


def test_a_path_is_taken_in_with_progress(server: Running, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps({"input": f"q {n}", "output": f"from a path {n}"}) + "\n" for n in range(3)))
    events = told(server, "/ttp/v1/start/import", {"path": str(file)})
    assert (events[-1]["type"], events[-1]["added"]) == ("imported", 3)
    with server.client() as http:
        assert http.delete(f"/ttp/v1/history/imports/{events[-1]['id']}").json() == {"items": 3}
    for path, code in (("relative.txt", 400), (str(tmp_path / "missing"), 200)):
        with server.client() as http:
            answer = http.post("/ttp/v1/start/import", json={"path": path})
        assert answer.status_code == code
        assert "error" in answer.text


def test_other_tokens_read_no_files_of_the_owner_and_fetch_nothing(server: Running, server_home: Path) -> None:
    guest = Access(locate(server_home)).add("guest")
    with server.client() as http:
        http.headers["authorization"] = f"Bearer {guest}"
        answers = [
            http.get("/ttp/v1/start"),
            http.post("/ttp/v1/start/import", json={"path": "/etc/passwd"}),
            http.post("/ttp/v1/start/model", json={"name": "gemma3-270m"}),
        ]
    assert [one.status_code for one in answers] == [403, 403, 403]
    assert {one.json()["error"]["code"] for one in answers} == {"owner_only"}
