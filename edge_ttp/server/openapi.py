"""The OpenAPI 3.1 description, made of the endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from edge_ttp import __version__
from edge_ttp.server.endpoints import Endpoint

_REFERENCE = "#/components/schemas/{model}"

_NATIVE_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "cure", "exit_code"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "cure": {"type": "string"},
                "exit_code": {"type": "integer"},
            },
        }
    },
}
_OPENAI_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code", "cure", "exit_code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
                "cure": {"type": "string"},
                "exit_code": {"type": "integer"},
            },
        }
    },
}
_OLLAMA_ERROR = {
    "type": "object",
    "required": ["error", "code", "cure", "exit_code"],
    "properties": {
        "error": {"type": "string"},
        "code": {"type": "string"},
        "cure": {"type": "string"},
        "exit_code": {"type": "integer"},
    },
}
_WHY = {
    "400": "What was asked for cannot be meant, or not be done; the cure says what to change.",
    "401": "No known token was shown.",
    "403": "The host or the page's origin is not served.",
    "404": "What the request names does not exist.",
    "408": "The request came too slowly.",
    "413": "The request is too large.",
    "429": "Too many requests are under way.",
    "499": "The request was cancelled.",
    "503": "A model is missing or loading, or the history cannot be used; another try may help.",
}


def description(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The whole description as JSON."""
    models: list[type[BaseModel]] = []
    for endpoint in endpoints:
        models += [one for one in (endpoint.takes, endpoint.gives) if one is not None and one not in models]
    pairs: list[tuple[type[BaseModel], Any]] = [(one, "serialization") for one in models]
    names, schemas = models_json_schema(pairs, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        refer = {one: names[one, "serialization"] for one in (endpoint.takes, endpoint.gives) if one is not None}
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, refer)
    return {
        "openapi": "3.1.0",
        "info": {"title": "edge-ttp", "version": __version__, "description": "Test-time personalization on device."},
        "paths": paths,
        "components": {
            "schemas": {
                **schemas.get("$defs", {}),
                "Error": _NATIVE_ERROR,
                "OpenAIError": _OPENAI_ERROR,
                "OllamaError": _OLLAMA_ERROR,
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint, refer: dict[type[BaseModel], Any]) -> dict[str, Any]:
    answer = {endpoint.media: {"schema": _answer(endpoint, refer)}}
    operation: dict[str, Any] = {
        "summary": endpoint.about,
        "operationId": _name(endpoint),
        "security": [{"token": []}] if endpoint.token else [{}, {"token": []}],
        "responses": {"200": {"description": "Done.", "content": answer}},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in _places(endpoint.path)
    ]
    for query in endpoint.queries:
        kind: dict[str, Any] = {"type": "integer", "minimum": 1} if query.number else {"type": "string"}
        about = {"name": query.name, "in": "query", "required": False, "description": query.about}
        parameters.append({**about, "schema": kind})
    if parameters:
        operation["parameters"] = parameters
    if endpoint.takes is not None:
        content = {"application/json": {"schema": refer[endpoint.takes]}}
        operation["requestBody"] = {"required": True, "content": content}
    elif endpoint.stream:
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": content}
    error = "OpenAIError" if endpoint.path.startswith("/v1/") else "Error"
    error = "OllamaError" if endpoint.path.startswith("/api/") else error
    shown = {"application/json": {"schema": {"$ref": _REFERENCE.format(model=error)}}}
    for status, why in _WHY.items():
        if status != "404" or endpoint.missing:
            operation["responses"][status] = {"description": why, "content": shown}
    return operation


def _answer(endpoint: Endpoint, refer: dict[type[BaseModel], Any]) -> dict[str, Any]:
    if endpoint.gives is None:
        return {"type": "string"} if endpoint.media != "application/json" else {"type": "object"}
    schema: dict[str, Any] = refer[endpoint.gives]
    return {"type": "array", "items": schema} if endpoint.many else schema


def _places(path: str) -> list[str]:
    return [part[1:-1].removesuffix(":path") for part in path.split("/") if part.startswith("{")]


def _name(endpoint: Endpoint) -> str:
    words = [part.strip("{}").replace(":", "_") for part in endpoint.path.split("/") if part]
    return "_".join([endpoint.method.lower(), *words])
