"""The base of all that crosses the border of the runtime: frozen, strict about names, refused in one line."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self, dataclass_transform

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, PrivateAttr, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edge_ttp.errors import InvalidInput, shown

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

_WIDTH = 96
"""Columns of what help() says of the fields."""


@dataclass_transform(kw_only_default=True, field_specifiers=(Field, PrivateAttr))  # as pydantic's own
class _FieldPage(ModelMetaclass):
    """Makes help() of a class a page: its fields with their words, without pydantic's own methods."""

    def __dir__(cls) -> list[str]:
        own = {name for base in cls.__mro__ if issubclass(base, Border) for name in vars(base)}
        fields: dict[str, object] = vars(cls)["__pydantic_fields__"]
        return [name for name in own if not name.startswith(("_", "model_")) and name not in fields]

    if not TYPE_CHECKING:

        @property
        def __doc__(cls) -> str | None:
            own = vars(cls).get("__doc__")
            fields = vars(cls).get("__pydantic_fields__")
            return f"{inspect.cleandoc(own)}\n\n{_fields_of(cls)}" if own and fields else own


class Border(BaseModel, metaclass=_FieldPage):
    """What refuses a wrong value with InvalidInput, as everything that crosses the border does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _refused(error) from None

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        found = handler(core_schema)
        if own := vars(cls).get("__doc__"):  # in a schema each field has its own place
            handler.resolve_ref_schema(found)["description"] = inspect.cleandoc(own)
        return found

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


def _fields_of(cls: type[BaseModel]) -> str:
    """A line for each field, with the words below it in the source (and none where there is no source)."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body  # type: ignore[attr-defined]
    except (OSError, TypeError, SyntaxError):
        body = []
    words = {
        one.target.id: " ".join(inspect.cleandoc(after.value.value).split())
        for one, after in pairwise(body)
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }
    lines = ["A pydantic model (`model_dump`, `model_copy`, `model_validate`) of these fields:", ""]
    for name, field in cls.__pydantic_fields__.items():
        said = " ".join(one for one in (field.description, words.get(name)) if one)
        given = "" if field.is_required() or field.default_factory else f" = {field.default!r}"
        lines += textwrap.wrap(
            f"{name}{given}" + (f": {said}" if said else ""), _WIDTH, initial_indent="  ", subsequent_indent="      "
        )
    return "\n".join(lines)


def _refused(error: ValidationError) -> InvalidInput:
    """The first thing that is wrong, with its name from the outermost object on, and its value."""
    first = error.errors(include_url=False)[0]
    path = [*first["loc"]]
    # What is wrong in an object within was refused by that object already: its own error says where.
    while (within := _refused_within(first.get("ctx", {}).get("error"))) is not None:
        error, first = within, within.errors(include_url=False)[0]
        path += first["loc"]
    name = ".".join(str(part) for part in path) or error.title
    value = shown(first["input"])
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
