"""Our own protocol over a real server: what the Python API does, for programs that are not Python."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from edge_ttp.paths import locate
from edge_ttp.schema import Event, Generation
from edge_ttp.server.access import Access

from .serving import Running

pytestmark = pytest.mark.real
PROMPT = "The printer on the first floor was repaired and works again."


def events_of(server: Running, path: str, body: Any) -> list[dict[str, Any]]:
    with server.client() as http, http.stream("POST", path, json=body) as response:
        return [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]


def test_the_handshake_names_version_protocol_and_instance(server: Running) -> None:
    with server.client() as http:
        info = http.get("/ttp/v1/info").json()
        assert http.get("/health").json()["instance"] == info["instance"]
    assert info["pid"] == server.process.pid == server.announced["pid"]
    assert {key: server.announced[key] for key in ("version", "protocol", "instance")} == {
        key: info[key] for key in ("version", "protocol", "instance")
    }
    assert info["user"] == "me"


def test_an_answer_whole_is_the_runtimes_own_object(server: Running) -> None:
    with server.client() as http:
        answer = http.post("/ttp/v1/generate", json={"prompt": PROMPT, "n": 4, "seed": 1}).json()
    drawn = Generation.model_validate(answer)
    assert (drawn.n, drawn.prompt, drawn.stored) == (4, PROMPT, True)
    assert all(one.mean is not None and one.variance is not None for one in drawn.candidates)


def test_an_answer_as_events_ends_with_the_whole(server: Running) -> None:
    found = events_of(server, "/ttp/v1/generate", {"prompt": PROMPT, "n": 3, "stream": True, "store": False})
    events = [Event.model_validate(one) for one in found]
    assert events[0].type in ("planned", "queued")
    drawn = events[-1].generation
    assert drawn is not None
    for index, one in enumerate(drawn.candidates):
        told = "".join(event.text or "" for event in events if event.type == "delta" and event.candidate == index)
        assert told.strip() == one.text


def test_a_text_is_said_again_with_its_facts_looked_at(server: Running) -> None:
    text = "The meeting is on Friday at 14:30. See https://example.org/plan."
    with server.client() as http:
        made = http.post("/ttp/v1/rewrite", json={"text": text, "n": 2, "keep": "strict"}).json()
    assert "14:30" in made["text"]
    assert "https://example.org/plan" in made["text"]
    assert len(made["facts"]) == made["generation"]["n"]
    found = events_of(server, "/ttp/v1/rewrite", {"text": text, "n": 2, "stream": True, "store": False})
    again = found[-1]["rewritten"]
    assert again["generation"]["n"] == len(again["facts"])
    # Two were drawn; what rules make of the text and of these two may stand beside them.
    assert [one["made"] for one in again["generation"]["candidates"]].count("drawn") == 2


def test_a_request_names_models_and_never_files(server: Running, tmp_path: Any) -> None:
    file = tmp_path / "foreign.gguf"
    file.write_bytes(b"GGUF")
    with server.client() as http:
        for path, body in (("generate", {"prompt": "x"}), ("rewrite", {"text": "x"})):
            refused = http.post(f"/ttp/v1/{path}", json={**body, "model": str(file)})
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")


def test_an_adapter_is_named_or_left_out_and_never_a_file(server: Running, tmp_path: Any) -> None:
    file = tmp_path / "foreign.gguf"
    file.write_bytes(b"GGUF")
    with server.client() as http:
        for path, body in (("generate", {"prompt": "x"}), ("rewrite", {"text": "x"})):
            for name in (str(file), "smollm2-135m-instruct"):
                refused = http.post(f"/ttp/v1/{path}", json={**body, "adapter": name})
                assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
        asked = {"text": "meeting friday noon", "notes": True, "n": 2, "store": False}
        used = [
            http.post("/ttp/v1/rewrite", json={**asked, **more}).json()["generation"]["plan"]["adapter"]
            for more in ({}, {"adapter": "none"}, {"adapter": "voice-smollm2-135m"})
        ]
    assert used == ["voice-smollm2-135m", None, "voice-smollm2-135m"]


def test_feedback_is_kept_replaced_and_taken_back(server: Running) -> None:
    with server.client() as http:
        made = http.post("/ttp/v1/generate", json={"prompt": "Is the lift working?", "n": 2}).json()
        at = f"/ttp/v1/generations/{made['generation_id']}/feedback"
        edited = http.post(at, json={"kind": "edit", "text": "lift works. use it."}).json()
        assert edited["kind"] == "edit"
        found = http.get("/ttp/v1/history/search", params={"q": "lift works"}).json()
        assert [one["item"]["output"] for one in found] == ["lift works. use it."]
        assert [one["kind"] for one in http.delete(at).json()] == ["edit"]
        assert http.get("/ttp/v1/history/search", params={"q": "lift works"}).json() == []
        assert http.post("/ttp/v1/generations/nope/feedback", json={"kind": "accept"}).status_code == 404
        assert http.post(at, json={"kind": "praise"}).status_code == 400


def test_history_is_added_listed_found_recalled_exported_and_forgotten(server: Running) -> None:
    with server.client() as http:
        item = http.post(
            "/ttp/v1/history",
            json={"input": "Where is the stapler?", "output": "stapler: top drawer.", "date": "2025-02-03T10:00:00Z"},
        ).json()
        assert item["user_id"] == "me"
        assert item["created_at"].startswith("2025-02-03T10:00")
        listed = http.get("/ttp/v1/history", params={"limit": 1000}).json()
        assert item in listed
        (hit,) = http.get("/ttp/v1/history/search", params={"q": "stapler drawer"}).json()
        assert hit["item"]["id"] == item["id"]
        start, end = hit["highlights"][0]
        assert hit["snippet"][start:end] == "stapler"
        recalled = http.get("/ttp/v1/history/recall", params={"q": "the stapler?", "limit": 1}).json()
        assert recalled[0]["item"]["id"] == item["id"]
        lines = http.get("/ttp/v1/history/export").text.splitlines()
        assert len(lines) == len(listed) == http.get("/ttp/v1/history/stats").json()["items"]
        assert any(json.loads(line)["output"] == "stapler: top drawer." for line in lines)
        wish = {"item": item["id"]}
        assert http.post("/ttp/v1/history/forget", json={**wish, "preview": True}).json()["items"] == 1
        assert http.post("/ttp/v1/history/forget", json=wish).json()["items"] == 1
        assert http.post("/ttp/v1/history/forget", json=wish).status_code == 404
        assert http.post("/ttp/v1/history/forget", json={}).status_code == 400


def test_the_plan_says_gain_and_time_by_number(server: Running) -> None:
    with server.client() as http:
        plan = http.post("/ttp/v1/plan", json={"prompt": PROMPT, "budget": {"deadline_s": 30}}).json()
    assert plan["plan"]["n"] >= 1
    assert len(plan["curve"]) > 2


def test_models_device_and_doctor_are_told(server: Running) -> None:
    with server.client() as http:
        assert any(one["default"] and one["installed"] for one in http.get("/ttp/v1/models").json())
        assert http.get("/ttp/v1/device").json()["device"]["cores"] >= 1
        assert {"llama.cpp", "history"} <= {one["name"] for one in http.get("/ttp/v1/doctor").json()}


def test_learning_says_how_it_goes_and_what_it_did(server: Running) -> None:
    found = events_of(server, "/ttp/v1/adapt", {"for_s": 2.5})
    assert found[-1]["type"] == "adapted"
    with server.client() as http:
        assert http.get("/ttp/v1/learned").json()["evidence"] == found[-1]["learned"]["evidence"]


def test_another_token_sees_another_user_and_never_the_first(server: Running, server_home: Any) -> None:
    token = Access(locate(server_home)).add("mail", "ada")
    with server.client() as mine, server.client(token=False) as hers:
        hers.headers["authorization"] = f"Bearer {token}"
        made = mine.post("/ttp/v1/generate", json={"prompt": "Is it cold?", "n": 1}).json()
        assert hers.get("/ttp/v1/history").json() == []
        assert hers.get(f"/ttp/v1/generations/{made['generation_id']}").status_code == 404
        feedback = f"/ttp/v1/generations/{made['generation_id']}/feedback"
        assert hers.post(feedback, json={"kind": "accept"}).status_code == 404
        assert hers.get("/ttp/v1/history", params={"user": "me"}).json() == []  # ada/me, a sub-user of hers
        hers.post("/ttp/v1/history", json={"output": "ada was here", "input": "who"})
        hers.post("/ttp/v1/history?user=bo", json={"output": "bo was here", "input": "who"})
        assert [one["user_id"] for one in hers.get("/ttp/v1/history?user=bo").json()] == ["ada/bo"]
        assert not any("ada" in one["output"] for one in mine.get("/ttp/v1/history?limit=1000").json())


def test_a_text_may_be_read_by_a_person_who_owns_it_alone(server: Running) -> None:
    """No endpoint that holds anybody's text answers without a token."""
    with server.client(token=False) as http:
        paths = http.get("/ttp/v1/openapi.json").json()["paths"]
        for path, operations in paths.items():
            for method in operations:
                if path.startswith("/ttp/v1/") and path != "/ttp/v1/openapi.json":
                    assert http.request(method, path.replace("{generation_id}", "x")).status_code == 401, path


def test_answers_fit_the_description(server: Running) -> None:
    with server.client() as http:
        described = http.get("/ttp/v1/openapi.json").json()
        made = http.post("/ttp/v1/generate", json={"prompt": PROMPT, "n": 2}).json()
        http.post(f"/ttp/v1/generations/{made['generation_id']}/feedback", json={"kind": "accept"})
        for path, operations in described["paths"].items():
            operation = operations.get("get")
            if operation is None or not path.startswith("/ttp/v1/"):
                continue
            answer = http.get(path.replace("{generation_id}", made["generation_id"]))
            assert answer.status_code == 200, path
            content = operation["responses"]["200"]["content"]
            if "application/json" in content:
                schema = {**content["application/json"]["schema"], "components": described["components"]}
                jsonschema.validate(answer.json(), schema)
        content = described["paths"]["/ttp/v1/generate"]["post"]["responses"]["200"]["content"]["application/json"]
        jsonschema.validate(made, {**content["schema"], "components": described["components"]})
        refused = http.post("/ttp/v1/generate", json={"prompt": "x", "nonsense": 1})
        assert refused.status_code == 400
        error = {"$ref": "#/components/schemas/Error", "components": described["components"]}
        jsonschema.validate(refused.json(), error)


def test_a_file_is_imported_said_listed_and_undone(server: Running) -> None:
    lines = [json.dumps({"input": f"question {n}", "output": f"imported answer {n}"}) for n in range(5)]
    data = "\n".join([*lines, "no json"]).encode()
    with server.client() as http:
        done = http.post("/ttp/v1/history/import", params={"name": "../../x/mine.jsonl"}, content=data).json()
        assert (done["added"], done["bad"], done["named"][0]["number"]) == (5, 1, 6)
        assert http.get("/ttp/v1/history/search", params={"q": "imported answer"}).json()[0]["item"]["user_id"] == "me"
        assert done["id"] in [one["id"] for one in http.get("/ttp/v1/history/imports").json()]
        assert http.delete(f"/ttp/v1/history/imports/{done['id']}").json() == {"items": 5}
        assert http.delete(f"/ttp/v1/history/imports/{done['id']}").status_code == 404
        assert http.get("/ttp/v1/history/search", params={"q": "imported answer"}).json() == []
        refused = http.post("/ttp/v1/history/import", params={"name": "x.bin"}, content=b"\x00\x01\x02" * 100)
        assert refused.status_code == 400
        with http.stream("POST", "/ttp/v1/history/import?name=a.jsonl&stream=true", content=data) as response:
            events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
        assert events[-1]["type"] == "imported"
        http.delete(f"/ttp/v1/history/imports/{events[-1]['id']}")


def test_the_page_is_served_with_a_policy_that_lets_nothing_else_in(server: Running) -> None:
    with server.client(token=False) as http:
        page = http.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        parts = [http.get(f"/{name}") for name in ("page.js", "words.js", "style.css")]
        assert all(part.status_code == 200 for part in parts)
        assert len(page.content) + sum(len(part.content) for part in parts) < 150_000
        assert not any(
            b"http://" in part.content.replace(b"http://www.w3.org/2000/svg", b"") for part in (page, *parts)
        )
        assert not any(b"https://" in part.content for part in (page, *parts))
        assert b"innerHTML" not in b"".join(part.content for part in parts)


def test_a_user_is_diagnosed_by_their_own_evidence(server: Running) -> None:
    with server.client(timeout=300) as http:
        found = http.get("/ttp/v1/diagnose", params={"bootstrap": 20})
        assert found.status_code == 200, found.text
        assert found.json()["verdict"]
        assert found.json()["own"]["trust"] >= 0
        assert http.get("/ttp/v1/diagnose", params={"bootstrap": 0}).status_code == 400
