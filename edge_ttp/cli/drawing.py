"""Options that say how candidates are drawn, the same ones for every command that draws: schema.Sampling, in words."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from edge_ttp.errors import InvalidInput
from edge_ttp.schema import Sampling

Command = TypeVar("Command", bound=Callable[..., None])

MAX_FILE_BYTES = 200_000


def parse_temperatures(text: str) -> tuple[float, ...]:
    """Temperatures written `0.6,0.8,1.0`."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as wrong:
        raise InvalidInput(f"{text!r} is no list of temperatures", "write them like 0.6,0.8,1.0") from wrong


def parse_biases(texts: list[str]) -> dict[str, float]:
    """Biases written `TOKEN=BIAS`; the token may hold `=` itself."""
    found = {}
    for text in texts:
        token, separator, bias = text.rpartition("=")
        try:
            found[token] = float(bias)
        except ValueError:
            separator = ""
        if not separator:
            raise InvalidInput(f"{text!r} is no bias", "write TOKEN=BIAS, such as ' maybe=-5' or 1234=-1000")
    return found


def parse_adapter(text: str) -> dict[str, Any]:
    """An adapter written `FILE` or `FILE:SCALE`."""
    path, _, scale = text.rpartition(":")
    try:
        return {"path": path, "scale": float(scale)} if path else {"path": text}
    except ValueError:
        return {"path": text}


def read_grammar(text: str) -> str:
    """A grammar: the text itself where it holds a rule, else what is in the file of that name."""
    return text if "::=" in text else _read(text, "grammar")


def read_schema(text: str) -> dict[str, Any]:
    """A JSON schema: the text itself where it begins with a brace, else what is in the file of that name."""
    written = text if text.lstrip().startswith("{") else _read(text, "JSON schema")
    try:
        found = json.loads(written)
    except (ValueError, RecursionError) as wrong:
        raise InvalidInput(f"the JSON schema is no JSON ({wrong})", "correct it") from wrong
    if not isinstance(found, dict):
        raise InvalidInput("the JSON schema is no object", 'write one such as {"type": "object"}')
    return found


def _read(name: str, what: str) -> str:
    try:
        with Path(name).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"the {what} file {name[:200]!r} cannot be read ({reason})", "name a file") from error
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(f"the {what} file {name!r} is too long", f"keep below {MAX_FILE_BYTES:,} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise InvalidInput(f"the {what} file {name!r} is not UTF-8", "save it as UTF-8") from wrong


def _given(name: str, value: Any) -> Any:
    """What an option's value means for the field of schema.Sampling of that name."""
    match name:
        case "stop":
            return tuple(value)
        case "temperatures":
            return parse_temperatures(value)
        case "logit_bias":
            return parse_biases(value)
        case "adapters":
            return tuple(parse_adapter(one) for one in value)
        case "grammar":
            return read_grammar(value)
        case "json_schema":
            return read_schema(value)
    return value


@dataclass(frozen=True)
class _Written:
    """How a field of schema.Sampling is written on the command line where that is not its name and its type."""

    flag: str = ""
    type: Any = None
    metavar: str | None = None
    more: str = ""
    """What the field's own description does not say."""


_WRITTEN = {
    "max_tokens": _Written(type=int, more="Default: from what this user wrote before."),
    "temperatures": _Written(type=str, metavar="T,T,..."),
    "logit_bias": _Written(type=list[str], metavar="TOKEN=BIAS", more="May be repeated."),
    "stop": _Written(type=list[str], more="May be repeated."),
    "grammar": _Written(type=str, metavar="FILE|GBNF"),
    "json_schema": _Written(type=str, metavar="FILE|JSON"),
    "adapters": _Written("--lora", list[str], "FILE[:SCALE]", "May be repeated."),
    "share_prefixes": _Written("--share/--no-share"),
    "race": _Written("--race/--no-race"),
}


def _options() -> dict[str, Any]:
    """Field of schema.Sampling -> its option. None stands for the field's own default, which the help line names."""
    options = {}
    for name, field in Sampling.model_fields.items():
        written = _WRITTEN.get(name, _Written())
        number = isinstance(field.default, int | float) and not isinstance(field.default, bool)
        default = f"Default: {field.default:g}." if number else ""
        option = typer.Option(
            written.flag or f"--{name.replace('_', '-')}",
            metavar=written.metavar,
            help=" ".join(part for part in (field.description, written.more, default) if part),
        )
        kind: Any = written.type or field.annotation
        options[name] = Annotated[kind | None, option]
    return options


OPTIONS = _options()


def with_drawing(command: Command) -> Command:
    """`command` itself, which takes these options as `**drawing`, before those that are given by name alone.

    `drawing` then holds every one of them, None where it was not given: `sampling_of` makes them what they mean.
    """
    plain = inspect.signature(command, eval_str=True)
    parameters = [one for one in plain.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    place = next(at for at, one in enumerate(parameters) if one.kind is inspect.Parameter.KEYWORD_ONLY)
    named[place:place] = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in OPTIONS.items()
    ]
    command.__signature__ = plain.replace(parameters=named)  # type: ignore[attr-defined]
    return command


def sampling_of(drawing: Mapping[str, Any]) -> Sampling:
    """What the options of drawing mean. Raises InvalidInput, or pydantic's ValidationError, for what they cannot."""
    given = {name: value for name, value in drawing.items() if value not in (None, [], ())}
    return Sampling.model_validate({name: _given(name, value) for name, value in given.items()})
