"""What crosses the border is refused in one line that names it from the outermost object on."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field, field_validator

import edge_ttp
from edge_ttp.errors import InvalidInput
from edge_ttp.system.border import Border


def test_the_words_of_the_fields_are_no_part_of_a_json_schema() -> None:
    described = edge_ttp.Budget.model_json_schema()["description"]
    assert described == "What the caller allows one request to cost. Everything unset is unlimited."


class Inner(Border):
    """Within another."""

    count: Annotated[int, Field(ge=1)]

    @field_validator("count")
    @classmethod
    def _lucky(cls, value: int) -> int:
        if value == 13:
            raise InvalidInput("13 is not allowed here", "take 12")
        return value


class Outer(Border):
    """Holds others."""

    name: str
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": 3}, "name=3: input should be a valid string"),
        ({}, "name: field required"),
        ({"name": "a", "inner": {"count": 0}}, "inner.count=0: input should be greater than or equal to 1"),
        ({"name": "a", "many": ({"count": 1}, {"count": 0})}, "many.1.count=0"),
        ({"name": "a", "inner": {"count": 13}}, "inner.count=13: 13 is not allowed here"),
        ({"name": "a", "other": 1}, "other=1: extra inputs are not permitted"),
        ({"name": "a", "inner": {}}, "inner.count: field required"),
    ],
)
def test_what_does_not_fit_is_named_from_the_outermost_object_on(fields: dict[str, Any], said: str) -> None:
    for refused in (lambda: Outer(**fields), lambda: Outer.model_validate(fields)):
        with pytest.raises(InvalidInput) as raised:
            refused()
        assert raised.value.fact.startswith(said)
        assert raised.value.cure == f"see {'Inner' if '.' in said.partition(':')[0] else 'Outer'} in docs/api.md"
        assert "\n" not in str(raised.value)


def test_json_that_does_not_fit_is_refused_in_the_same_way() -> None:
    assert Outer.model_validate_json('{"name": "a", "inner": {"count": 2}}').inner == Inner(count=2)
    for text in ('{"name": 3}', "{", "[]"):
        with pytest.raises(InvalidInput):
            Outer.model_validate_json(text)


def test_a_long_value_is_shown_by_its_beginning() -> None:
    with pytest.raises(InvalidInput) as raised:
        Outer(name="a", inner="x" * 10_000)  # type: ignore[arg-type]
    assert len(raised.value.fact) < 250
