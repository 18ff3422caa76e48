"""What pydantic complains of in a request, as one line with what to send instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from edge_ttp.errors import InvalidInput


def explained(wrong: ValidationError) -> InvalidInput:
    """The first of pydantic's complaints in one line, with what to send instead."""
    first = wrong.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])[:100] or "the request"
    return InvalidInput(f"{place}: {first['msg'][:200]}", _cure(first["type"], place, first.get("ctx", {})))


def _cure(kind: str, place: str, limits: Mapping[str, Any]) -> str:
    """What to do about a complaint of this kind (pydantic's names of them)."""
    name = place.rpartition(".")[2]
    if kind == "extra_forbidden":
        return f"leave out {name}; /ttp/v1/openapi.json lists what there is"
    if kind == "missing":
        return f"add {name}"
    for bound, words in _BOUNDS.items():
        if bound in limits:
            return f"send {words.format(limits[bound])}"
    if "expected" in limits:
        return f"send {limits['expected']}"
    if kind == "value_error":
        return f"send another {name}; /ttp/v1/openapi.json says which"
    wanted = kind.partition("_")[0]
    return f"send {name} as {_KINDS.get(wanted, 'described in /ttp/v1/openapi.json')}"


_BOUNDS = {
    "ge": "at least {}",
    "gt": "more than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "max_length": "at most {} of them",
    "min_length": "at least {} of them",
}
_KINDS = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "an object",
    "model": "an object",
}
