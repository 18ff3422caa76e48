"""The description: every endpoint with what goes in and out, every reference with its schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_ttp.server.application import ENDPOINTS
from edge_ttp.server.endpoints import Endpoint
from edge_ttp.server.openapi import description


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(description(ENDPOINTS)))
    return found


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(one) for one in value.values()))
    return set().union(*(references(one) for one in value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
def test_every_endpoint_is_described(described: dict[str, Any], endpoint: Endpoint) -> None:
    operation = described["paths"][endpoint.path][endpoint.method.lower()]
    assert operation["summary"] == endpoint.about
    assert ("requestBody" in operation) == (endpoint.takes is not None or endpoint.stream)
    assert endpoint.media in operation["responses"]["200"]["content"]
    assert ("404" in operation["responses"]) == endpoint.missing
    assert ({} in operation["security"]) == (not endpoint.token)
    queries = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    assert queries == {one.name for one in endpoint.queries}
    places = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
    assert all(f"{{{name}" in endpoint.path for name in places)
    assert len(places) == endpoint.path.count("{")


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    assert {one.rpartition("/")[2] for one in references(described)} <= schemas.keys()


def test_names_of_operations_are_different(described: dict[str, Any]) -> None:
    names = [one["operationId"] for path in described["paths"].values() for one in path.values()]
    assert len(names) == len(set(names)) == len(ENDPOINTS)


def test_errors_have_the_shape_of_their_path(described: dict[str, Any]) -> None:
    def shape(path: str, method: str) -> str:
        answer = described["paths"][path][method]["responses"]["400"]
        return str(answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2])

    assert shape("/v1/chat/completions", "post") == "OpenAIError"
    assert shape("/ttp/v1/generate", "post") == "Error"
    assert shape("/api/chat", "post") == "OllamaError"
