"""JSON schemas become grammars; what would never come to an end is refused, however it is written."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from edge_ttp.errors import InvalidInput
from edge_ttp.policy import json_grammar
from edge_ttp.policy.json_grammar import schema_to_grammar

from . import tiny


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    json_grammar._made.cache_clear()
    yield
    json_grammar._made.cache_clear()


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The subjects that were given to a process of their own."""
    found: list[str] = []
    real = json_grammar.run

    def run(subject: str, *arguments: Any, **options: Any) -> Any:
        found.append(subject)
        return real(subject, *arguments, **options)

    monkeypatch.setattr(json_grammar, "run", run)
    return found


PLAIN = [
    {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]},
    {"anyOf": [{"type": "string", "maxLength": 5}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "null"}}},
    {"type": "array", "minItems": 10**9, "items": {"type": "integer"}},
    {"type": "array", "maxItems": 10**9, "items": {"type": "integer"}},
    {"type": "string", "minLength": 10**9},
    {"enum": [f"v{index}" for index in range(500)]},
]


@pytest.mark.parametrize("schema", PLAIN)
def test_a_plain_schema_is_put_together_here(schema: dict[str, Any], tried: list[str]) -> None:
    assert schema_to_grammar(json.dumps(schema)).startswith(json_grammar.START)
    assert tried == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^a{1,100000000}$"},
        {"oneOf": [{"type": "string"}, {"type": "null"}]},
        {"allOf": [{"type": "object"}, {"properties": {"a": {"type": "null"}}}]},
        {"$ref": "#/$defs/a", "type": "string", "$defs": {"a": {"maxLength": 3}}},
        {"enum": [f"v{index}" for index in range(5000)]},
    ],
)
def test_one_that_may_multiply_is_put_together_apart_first_and_once(schema: dict[str, Any], tried: list[str]) -> None:
    first = schema_to_grammar(json.dumps(schema))
    assert schema_to_grammar(json.dumps(schema)) == first
    assert tried == ["schema"]


@pytest.mark.slow
def test_one_that_multiplies_without_end_is_refused(tried: list[str]) -> None:
    of_many = [{"pattern": f"[ab]*a[ab]{{{length}}}"} for length in range(10, 40)]
    began = time.monotonic()
    with pytest.raises(InvalidInput, match="putting it together took") as refused:
        schema_to_grammar(json.dumps({"type": "string", "allOf": of_many}))
    assert "\n" not in str(refused.value)
    assert time.monotonic() - began < 60  # not within the age of the universe
    assert tried == ["schema"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "nosuch"}, "Invalid type: nosuch"),
        ({"$ref": "#/nowhere"}, "does not exist"),
        ({"$ref": "https://example.org/x"}, "refers to 'https://example.org/x'"),
        ({"type": "string", "pattern": "["}, "cannot be turned into a grammar"),
        ({"not": {"type": "string"}}, "cannot be turned into a grammar"),
        ([], "it is no object"),
        (True, "it is no object"),
        (3, "it is no object"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_one_line(schema: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        schema_to_grammar(json.dumps(schema))
    assert "\n" not in str(refused.value)


def test_references_in_a_circle_fit_no_text(tmp_path: Any) -> None:
    from edge_ttp.policy.bindings import Model
    from edge_ttp.policy.bindings.grammar import Grammar

    grammar = schema_to_grammar(
        json.dumps({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})
    )
    model = Model(tiny.language_model(tmp_path / "tiny.gguf"))
    with pytest.raises(InvalidInput, match="no text at all fits"):
        Grammar(model, grammar).prepare()
    model.close()


def test_an_object_that_names_its_properties_has_no_others() -> None:
    named = {"type": "object", "properties": {"day": {"type": "object", "properties": {"of": {"type": "string"}}}}}
    assert schema_to_grammar(json.dumps(named)).count('"additionalProperties": false') == 2


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        {"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}]},
        {"enum": [{"properties": {"a": 1}}]},
    ],
)
def test_one_that_leaves_them_open_or_joins_parts_stays_as_it_is(schema: dict[str, Any]) -> None:
    assert '"additionalProperties": false' not in schema_to_grammar(json.dumps(schema))
