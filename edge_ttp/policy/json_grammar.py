"""JSON schemas turned into grammars, by llguidance.

Its parser has a limit on every step, but what it does to put a schema together has none: alternatives that all have to
hold multiply. A schema that asks for such things is therefore first put together in a process of its own
(edge_ttp.system.confined), once; plain ones are not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from llguidance import LLMatcher, LLParserLimits

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.gbnf import MAX_BYTES
from edge_ttp.system.confined import Died, ProcessLimits, run

MAX_DEPTH = 100
"""Deepest nesting of a JSON schema."""
MAX_PLAIN = 1_000
"""Most parts of a schema that counts as plain."""

START = '%llguidance {"no_forcing": true}\n'
"""How a grammar in llguidance's notation begins here. Without it, text that can go on in one way only would have to
come in tokens of llguidance's choice."""


class MadeGrammar(str):
    """A grammar in llguidance's notation, made here: a caller's own text is never taken for one."""

    __slots__ = ()


LIMITS = LLParserLimits(
    max_items_in_row=2_000,
    initial_lexer_fuel=500_000,
    step_lexer_fuel=100_000,
    step_max_items=150_000,
    max_lexer_states=20_000,
    max_grammar_size=300_000,
    precompute_large_lexemes=False,
    verbose_errors=False,
)
"""What a grammar and each of its steps may take: some 0.5 s for a step, 100 MB for what it keeps."""

_IN_A_PROCESS = ProcessLimits(cpu_s=2, wall_s=4, memory_bytes=400 << 20)
# Some space between the parts of a text, as people and models write it, but not endless.
_JSON = {"whitespace_pattern": r"( |\n[ \t]{0,20})?", "coerce_one_of": True}
_MULTIPLYING = frozenset(
    {"allOf", "oneOf", "not", "patternProperties", "if", "then", "else", "dependentSchemas", "propertyNames", "pattern"}
)
_JOINED = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "$ref", "dependentSchemas"})
_BY_NAME = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_OPEN = frozenset({"additionalProperties", "patternProperties", "unevaluatedProperties"})
_VALUES = frozenset({"enum", "const", "default", "examples"})
"""Keywords whose values are JSON of any kind, no schemas."""
_REMARKS = frozenset({"$schema", "$id", "$defs", "definitions", "title", "description", "default", "examples"})


def schema_to_grammar(schema: str) -> MadeGrammar:
    """The grammar of the JSON texts that fit a JSON schema (JSON itself), in llguidance's notation.

    Nearly all of draft 2020-12 counts, numbers' bounds, patterns and formats included. Objects that name their
    properties have no others, unless the schema says so. Raises InvalidInput for what is no schema, refers to another
    document, uses what llguidance does not know, or is too much to put together.
    """
    return _made(schema, _in_a_process)


@lru_cache(maxsize=16)
def _made(schema: str, check: Callable[[str], None]) -> MadeGrammar:
    if len(schema.encode("utf-8", "replace")) > MAX_BYTES:
        raise InvalidInput(f"a schema of {len(schema):,} characters is too long", f"keep below {MAX_BYTES:,} bytes")
    try:
        parsed = json.loads(schema)
        plain = _Walk().is_plain(parsed)
        if not isinstance(parsed, dict):
            raise _refused("it is no object")
        with_options = json.loads(LLMatcher.grammar_from_json_schema(json.dumps(_closed(parsed)), overrides=_JSON))
        grammar = MadeGrammar(f"{START}start: %json {json.dumps(with_options['grammars'][0]['json_schema'])}\n")
    except (ValueError, TypeError, RecursionError) as error:
        raise _refused(str(error) or type(error).__name__) from error
    if not plain:
        check(grammar)
    reason = LLMatcher.validate_grammar(grammar, limits=LIMITS)
    if reason:
        raise _refused(reason)
    return grammar


def _closed(schema: Any) -> Any:
    """The schema with its objects closed: where it names properties and does not say whether there may be others, there
    are none. A small model would go on inventing them, and who names fields wants these.

    Parts that hold together with others (`allOf` and the like) are left alone: each would shut the others' out.
    """
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    for key, part in schema.items():
        if key in _BY_NAME and isinstance(part, dict):
            made[key] = {name: _closed(one) for name, one in part.items()}
        elif key not in _JOINED and key not in _VALUES:
            made[key] = _closed(part)
    if isinstance(schema.get("properties"), dict) and not (_JOINED | _OPEN) & schema.keys():
        made["additionalProperties"] = False
    return made


def _in_a_process(grammar: str) -> None:
    try:
        run("schema", {"grammar": grammar}, _IN_A_PROCESS)
    except Died as death:
        raise _refused(f"putting it together took {death}") from death


def trial(request: Mapping[str, Any]) -> str:
    """What is wrong with the `grammar` of the request, empty if nothing is: the subject of a process of its own."""
    return str(LLMatcher.validate_grammar(request["grammar"], limits=LIMITS))


def in_words(reason: str) -> str:
    """llguidance's reason in one line, without the state of its parser."""
    plain = (reason.replace("<non-verbose/>", "").splitlines() or [""])[0]
    plain = plain.removeprefix("at 2(8): failed to compile JSON schema: ")
    return "".join(letter if letter.isprintable() else " " for letter in plain)[:200].strip()


def _refused(reason: str) -> InvalidInput:
    return InvalidInput(f"the JSON schema cannot be turned into a grammar ({in_words(reason)})", "simplify it")


class _Walk:
    """Goes once through a schema."""

    def __init__(self) -> None:
        self._seen = 0

    def is_plain(self, node: object, depth: int = 0) -> bool:
        """Whether nothing in it multiplies. Raises InvalidInput for depth, and for references to other documents."""
        if depth > MAX_DEPTH:
            raise InvalidInput(f"the JSON schema is nested more than {MAX_DEPTH} deep", "simplify it")
        self._seen += 1
        plain = self._seen <= MAX_PLAIN
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str) and not reference.startswith("#"):
                raise InvalidInput(f"the JSON schema refers to {reference[:100]!r}", "put everything into one schema")
            together = {"$ref", "anyOf"} & node.keys()
            plain = plain and not _MULTIPLYING & node.keys()
            plain = plain and not (together and node.keys() - _REMARKS - set(list(together)[:1]))
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        for child in children:
            plain = self.is_plain(child, depth + 1) and plain
        return plain
