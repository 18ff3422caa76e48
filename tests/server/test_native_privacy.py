"""What is kept, over HTTP: counts and guards, retention, a preview that forgets nothing, habits in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from .serving import Running

pytestmark = pytest.mark.real


def test_what_is_kept_and_how_it_is_guarded(server: Running, server_home: Path) -> None:
    with server.client() as http:
        found = http.get("/ttp/v1/privacy").json()
    assert (found["user"], found["mode"], found["encrypted"]) == ("me", "0600", False)
    assert Path(found["file"]).is_relative_to(server_home)
    assert found["items"] > 0
    assert found["bytes"] > 0
    assert found["people"] == [""]


def test_another_person_is_apart_and_is_named_afterwards(server: Running) -> None:
    with server.client() as http:
        http.post("/ttp/v1/history", params={"user": "ben"}, json={"output": "ben was here"})
        assert http.get("/ttp/v1/privacy").json()["people"] == ["", "ben"]
        assert http.get("/ttp/v1/privacy", params={"user": "ben"}).json()["items"] == 1
        http.post("/ttp/v1/history/forget", params={"user": "ben"}, json={"everything": True})
        assert http.get("/ttp/v1/privacy").json()["people"] == [""]


def test_retention_is_set_and_taken_back(server: Running) -> None:
    with server.client() as http:
        assert http.put("/ttp/v1/privacy/retention", json={"days": 30}).json()["retention_days"] == 30
        assert http.get("/ttp/v1/privacy").json()["retention_days"] == 30
        assert http.put("/ttp/v1/privacy/retention", json={"days": None}).json()["retention_days"] is None
        assert http.put("/ttp/v1/privacy/retention", json={"days": 0}).status_code == 400


def test_a_preview_shows_what_would_go_and_leaves_it(server: Running) -> None:
    with server.client() as http:
        before = http.get("/ttp/v1/privacy").json()["items"]
        shown = http.post("/ttp/v1/privacy/preview", json={"everything": True}).json()
        assert shown["items"] == before
        assert len(shown["texts"]) == 5
        assert http.get("/ttp/v1/privacy").json()["items"] == before
        older = http.post("/ttp/v1/privacy/preview", json={"before": "1990-01-01"}).json()
        assert (older["items"], older["texts"]) == (0, [])
        assert http.post("/ttp/v1/privacy/preview", json={}).status_code == 400


def test_habits_are_told_in_words_with_examples(server: Running) -> None:
    with server.client() as http:
        found = http.get("/ttp/v1/habits").json()
        assert http.get("/ttp/v1/habits", params={"user": "nobody"}).json() == []
    assert found[0]["name"] == "length"
    assert all(one["words"] and one["example"] for one in found)
