"""The base of all that crosses the border of the runtime: frozen, strict about names, refused in one line."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_ttp.errors import InvalidInput

_SHOWN = 80
"""Characters of a wrong value that an error shows."""


class Border(BaseModel):
    """What refuses a wrong value with InvalidInput, as everything that crosses the border does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _refused(error) from None

    @classmethod
    def model_validate(cls, *arguments: Any, **options: Any) -> Self:
        """As pydantic's, with InvalidInput for what does not fit."""
        try:
            return super().model_validate(*arguments, **options)
        except ValidationError as error:
            raise _refused(error) from None

    @classmethod
    def model_validate_json(cls, *arguments: Any, **options: Any) -> Self:
        """As pydantic's, with InvalidInput for what does not fit."""
        try:
            return super().model_validate_json(*arguments, **options)
        except ValidationError as error:
            raise _refused(error) from None


def _refused(error: ValidationError) -> InvalidInput:
    """The first thing that is wrong, with its name from the outermost object on, and its value."""
    first = error.errors(include_url=False)[0]
    path = [*first["loc"]]
    # What is wrong in an object within was refused by that object already: its own error says where.
    while (within := _refused_within(first.get("ctx", {}).get("error"))) is not None:
        error, first = within, within.errors(include_url=False)[0]
        path += first["loc"]
    name = ".".join(str(part) for part in path) or error.title
    shown = repr(first["input"])
    value = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    cause = first.get("ctx", {}).get("error")
    said = cause.fact if isinstance(cause, InvalidInput) else first["msg"].lower()
    # Of a field that is missing, pydantic gives what it is missing from: that is not its value.
    return InvalidInput(
        f"{name}: {said}" if first["type"] == "missing" else f"{name}={value}: {said}",
        f"see {error.title} in docs/api.md",
    )


def _refused_within(cause: object) -> ValidationError | None:
    """What pydantic found wrong with an object within, where `cause` is that object's refusal."""
    found = cause.__context__ if isinstance(cause, InvalidInput) else None
    return found if isinstance(found, ValidationError) else None
