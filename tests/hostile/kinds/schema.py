"""JSON schemas: endless, multiplying, circular, odd."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

from edge_ttp.policy.json_grammar import schema_to_grammar
from edge_ttp.policy.llama import LlamaPolicy
from edge_ttp.policy.request import Control, Request
from edge_ttp.schema import Sampling

from ..case import Case
from ..models import default_policy
from .grammar import DEADLINE_S

NUMBERS = (0, 1, -1, 2, 100, 10**4, 10**9, 2**31, 2**63, 10**30, 1e308, -1e308, 1e-300, 0.1, "3", None, True)
PATTERNS = (
    "^a{1,100000000}$",
    "(a|a)*b",
    "[ab]*a[ab]{12}",
    "(([a-z]{1,200}){1,200}){1,200}",
    "(?=a)b",
    "^(a+)+$",
    "[",
    "",
    "\\d{3}",
    "^[^\\x00-\\x1f]*$",
    "(a?){900}b",
    "\\p{L}+",
    "a" * 5000,
    "(" * 500,
    "\\b",
    "^.{0,100000}$",
)
FORMATS = ("date", "date-time", "email", "uuid", "ipv6", "uri", "regex", "nosuch")
TYPES = ("string", "integer", "number", "array", "object", "boolean", "null", "nosuch", ["string", "null"], 3)


def node(chance: random.Random, depth: int = 0) -> Any:
    """A schema at random."""
    if depth > 4 or chance.random() < 0.05:
        return chance.choice(
            [True, False, {}, {"type": "string"}, {"$ref": "#"}, {"$ref": "#/$defs/a"}, {"const": 1}, 7, [], None]
        )
    made: dict[str, Any] = {}
    if chance.random() < 0.7:
        made["type"] = chance.choice(TYPES)
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        which = chance.randrange(12)
        few = [node(chance, depth + 1) for _ in range(chance.choice((0, 1, 2, 4)))]
        if which == 0:
            made[chance.choice(["minItems", "maxItems", "minLength", "maxLength", "minProperties"])] = chance.choice(
                NUMBERS
            )
        elif which == 1:
            made[chance.choice(["minimum", "maximum", "exclusiveMinimum", "multipleOf"])] = chance.choice(NUMBERS)
        elif which == 2:
            made["pattern"] = chance.choice(PATTERNS)
        elif which == 3:
            made["format"] = chance.choice(FORMATS)
        elif which == 4:
            made["enum"] = [chance.choice(NUMBERS) for _ in range(chance.choice((0, 1, 50)))]
        elif which == 5:
            made[chance.choice(["allOf", "anyOf", "oneOf", "prefixItems"])] = few
        elif which == 6:
            made["properties"] = {f"p{index}": one for index, one in enumerate(few)}
            made["required"] = chance.choice([[], ["p0"], ["nosuch"], "p0", ["p0", "p0"]])
        elif which == 7:
            made["items"] = node(chance, depth + 1)
        elif which == 8:
            made["additionalProperties"] = node(chance, depth + 1)
        elif which == 9:
            made["patternProperties"] = {chance.choice(PATTERNS): one for one in few}
        elif which == 10:
            made["$ref"] = chance.choice(["#", "#/$defs/a", "#/$defs/b", "#/nosuch", "https://example.org/x", 5])
        else:
            made[chance.choice(["not", "if", "then", "else", "contains", "propertyNames", "dependentSchemas"])] = node(
                chance, depth + 1
            )
    return made


def at_random(chance: random.Random) -> tuple[Any, str]:
    """A schema at random, with definitions."""
    made = node(chance)
    if isinstance(made, dict):
        made["$defs"] = {"a": node(chance, 2), "b": chance.choice([{"$ref": "#/$defs/a"}, node(chance, 2)])}
    return made, "at random"


def endless(chance: random.Random) -> tuple[Any, str]:
    """Bounds that no text has."""
    key = chance.choice(["minItems", "maxItems", "minLength", "maxLength", "minProperties"])
    value = chance.choice(NUMBERS[4:12])
    inner = chance.choice([{"type": "integer"}, {"type": "array", "items": {"type": "array", "minItems": value}}])
    return {"type": "string" if "Length" in key else "array", key: value, "items": inner}, f"{key}={value}"


def circle(chance: random.Random) -> tuple[Any, str]:
    """References in circles and in chains."""
    count = chance.choice((1, 2, 50, 3000))
    names = [f"d{index}" for index in range(count)]
    links = {name: {"$ref": f"#/$defs/{names[(index + 1) % count]}"} for index, name in enumerate(names)}
    if chance.random() < 0.5:
        links[names[-1]] = {"type": "object", "properties": {"again": {"$ref": "#/$defs/d0"}}}
    if chance.random() < 0.3:
        links = {name: {"allOf": [link, {"$ref": "#/$defs/d0"}]} for name, link in links.items()}
    return {"$ref": "#/$defs/d0", "$defs": links}, f"{count} references in a circle"


def multiplying(chance: random.Random) -> tuple[Any, str]:
    """Alternatives that all have to hold."""
    wide, deep = chance.choice((2, 5, 20, 80)), chance.choice((2, 4, 12, 40))
    one = {"anyOf": [{"type": "string", "pattern": f"a{{{index}}}"} for index in range(wide)]}
    if chance.random() < 0.5:
        one = {
            "type": "object",
            "properties": {f"p{index}": {"pattern": f"[ab]*a[ab]{{{index}}}"} for index in range(wide)},
        }
    return {
        "allOf": [json.loads(json.dumps(one).replace("a[ab]", f"b{'b' * index}[ab]")) for index in range(deep)]
    }, f"{wide} by {deep}"


def many(chance: random.Random) -> tuple[Any, str]:
    """Many properties, values or alternatives; deep ones."""
    count = chance.choice((100, 2000, 12_000))
    made = chance.choice(
        [
            {"enum": [f"v{index}" for index in range(count)]},
            {"type": "object", "properties": {f"p{index}": {"type": "integer"} for index in range(count // 4)}},
            {"anyOf": [{"const": "x" * (index % 300)} for index in range(count // 4)]},
            {"oneOf": [{"type": "string", "maxLength": index} for index in range(count // 10)]},
            {"type": "array", "prefixItems": [{"type": "string"}] * (count // 4)},
        ]
    )
    if chance.random() < 0.3:
        for _ in range(depth := chance.choice((20, 90, 300))):
            made = {"type": "array", "items": made}
        return made, f"{count} things {depth} deep"
    return made, f"{count} things"


MAKERS = (at_random, at_random, at_random, at_random, endless, circle, multiplying, many)


class _Schemas:
    deadline_s = DEADLINE_S
    budget_bytes = 400 << 20

    def __init__(self, home: Path) -> None:
        self._policy = LlamaPolicy(default_policy(), threads=1)
        self._prompt = self._policy.encode_text("As JSON: ")

    def case(self, chance: random.Random, folder: Path) -> Case:
        made, what = chance.choice(MAKERS)(chance)
        text = json.dumps(made)
        return Case(f"{what}: {text[:60]}", lambda: self._follow(text))

    def _follow(self, schema: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        grammar = schema_to_grammar(schema)
        asked = Request(self._prompt, n=3, sampling=Sampling(), seed=1, max_tokens=16, grammar=grammar)
        self._policy.sample(asked, Control(deadline=deadline))


def open(home: Path) -> _Schemas:
    return _Schemas(home)
