"""Requests made of the server's own description, many of them wrong in one place, the same for a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**63, -(2**64), 0.5, 1e308, "", "a", "me", "\u0000", "\ud7ff\u202e", "x" * 5000,
    "../../etc/passwd", "2026-02-30",
    "9999-12-31T23:59:60Z", [], [[]], [None], {}, {"": 0}, {"type": "object"}, [{"role": "user"}],
)  # fmt: skip
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "me", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3},
    "/v1/completions": {"model": "smollm2-135m-instruct", "prompt": "One, two,", "max_tokens": 3},
    "/api/generate": {"model": "smollm2-135m-instruct", "prompt": "Hello", "options": {"num_predict": 3}},
    "/api/chat": {"model": "me", "messages": [{"role": "user", "content": "Hello"}], "options": {"num_predict": 3}},
    "/v1/responses": {"model": "smollm2-135m-instruct", "input": "Hello", "max_output_tokens": 3},
}
"""Bodies that the description says in words only."""
FIELDS = (
    "model", "messages", "prompt", "input", "n", "stream", "stop", "seed", "temperature", "top_p", "max_tokens",
    "logit_bias", "response_format", "tools", "tool_choice", "logprobs", "user", "store", "edge_ttp",
    "stream_options", "grammar", "best_of", "format", "system", "images",
)  # fmt: skip
_METHODS = ("get", "post", "put", "delete", "patch", "head")


@dataclass(frozen=True)
class Fuzzed:
    """One request."""

    method: str
    path: str
    """As sent."""
    place: str
    """As the description has it."""
    query: dict[str, str]
    json: Any = None
    raw: bytes | None = None


def requests(description: dict[str, Any], count: int, seed: int) -> list[Fuzzed]:
    """`count` requests over all endpoints of the OpenAPI description, the same ones for a seed."""
    chance = random.Random(seed)
    operations = [
        (path, method, one) for path, methods in description["paths"].items() for method, one in methods.items()
    ]
    return [_request(chance, description, *operations[at % len(operations)]) for at in range(count)]


def _request(chance: random.Random, description: dict[str, Any], path: str, method: str, operation: Any) -> Fuzzed:
    sent, query = path, {}
    for one in operation.get("parameters", []):
        if one["in"] == "path":
            value = chance.choice(["1", "0", "-1", "x", "%00", "me", "999999999999999999999", "a%2Fb", "\u00fc"])
            sent = sent.replace("{" + one["name"], "{").replace("{:path}", value).replace("{}", value)
        elif chance.random() < 0.5:
            query[one["name"]] = str(chance.choice([*ODD[:12], "1", "true", "ann", "friday"]))
    if chance.random() < 0.03:
        return Fuzzed(chance.choice(_METHODS), sent, path, query, raw=chance.randbytes(40))
    content = operation.get("requestBody", {}).get("content", {})
    if path in BODIES:
        body = {**BODIES[path], "stream": chance.random() < 0.3}
        for _ in range(chance.randrange(3)):
            body[chance.choice(FIELDS)] = chance.choice(ODD)
        return Fuzzed(method, sent, path, query, json=_short(body))
    if "application/json" in content:
        if chance.random() < 0.05:
            return Fuzzed(method, sent, path, query, raw=chance.choice([b"", b"{", b"\xff\xfe", b"[" * 5000, b"NaN"]))
        made = _value(chance, content["application/json"]["schema"], description, 0)
        return Fuzzed(method, sent, path, query, json=_short(made))
    if content:
        return Fuzzed(method, sent, path, query, raw=chance.choice([b"", chance.randbytes(200), b'{"input": 1}\n']))
    return Fuzzed(method, sent, path, query)


def _value(chance: random.Random, schema: Any, description: dict[str, Any], depth: int) -> Any:
    """A value of the schema, or now and then of none."""
    if chance.random() < 0.08 or depth > 6:
        return chance.choice(ODD)
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _value(chance, description["components"]["schemas"][name], description, depth + 1)
    if "anyOf" in schema:
        return _value(chance, chance.choice(schema["anyOf"]), description, depth + 1)
    if "enum" in schema or "const" in schema:
        return chance.choice(schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "object":
            needed = schema.get("required", [])
            return {
                name: _value(chance, one, description, depth + 1)
                for name, one in schema.get("properties", {}).items()
                if name in needed or chance.random() < 0.3
            }
        case "array":
            return [_value(chance, schema.get("items", {}), description, depth + 1) for _ in range(chance.randrange(3))]
        case "integer":
            return chance.randint(schema.get("minimum", 0), min(schema.get("maximum", 4), 8))
        case "number":
            return chance.choice([0.1, 1.0, 2.0])
        case "boolean":
            return chance.random() < 0.5
        case "null":
            return None
    return chance.choice(["Hello there.", "ann", "email", "2026-01-01", "first"])


def _short(body: Any) -> Any:
    """The same, drawing little where it draws at all, and never looking up models by chance alone."""
    if isinstance(body, dict):
        for name in ("n", "best_of"):
            if isinstance(body.get(name), int) and not isinstance(body[name], bool):
                body[name] = min(body[name], 2)
        for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
            if isinstance(body.get(name), int) and not isinstance(body[name], bool):
                body[name] = min(body[name], 4)
        if {"prompt", "messages", "text"} & body.keys() and isinstance(body.get("sampling", {}), dict):
            body["sampling"] = {**body.get("sampling", {}), "max_tokens": 3}
            body.setdefault("n", 1)
        if "for_s" in body or "while_idle" in body or not body:
            body["for_s"] = 0.05
    return body
