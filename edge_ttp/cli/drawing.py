"""Options that say how candidates are drawn, the same ones for every command that draws: schema.Sampling, in words."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_ttp.cli import options
from edge_ttp.errors import InvalidInput

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


# Field of schema.Sampling -> its option. None stands for the field's own default, which the help line names.
_OPTIONS: dict[str, Any] = {
    "max_tokens": options.MaxTokens,
    "temperature": Annotated[
        float | None, typer.Option("--temperature", help="0 always takes the likeliest token. Default: 0.8.")
    ],
    "temperatures": Annotated[
        str | None,
        typer.Option("--temperatures", metavar="T,T,...", help="Candidates take these in turn: more diverse ones."),
    ],
    "top_k": Annotated[
        int | None, typer.Option("--top-k", help="Keep the k likeliest tokens; 0 keeps all. Default: 40.")
    ],
    "top_p": Annotated[
        float | None,
        typer.Option("--top-p", help="Keep the likeliest tokens up to this probability. Default: 0.95."),
    ],
    "min_p": Annotated[
        float | None,
        typer.Option("--min-p", help="Drop tokens below this share of the likeliest. Default: 0.05."),
    ],
    "typical_p": Annotated[
        float | None,
        typer.Option("--typical-p", help="Keep the most typical tokens up to this probability. Default: 1, all."),
    ],
    "repetition_penalty": Annotated[
        float | None,
        typer.Option("--repetition-penalty", help="Above 1: less of what the candidate said before. Default: 1."),
    ],
    "presence_penalty": Annotated[
        float | None,
        typer.Option("--presence-penalty", help="Taken off the logits of tokens drawn before. Default: 0."),
    ],
    "frequency_penalty": Annotated[
        float | None,
        typer.Option("--frequency-penalty", help="The same, once for every time. Default: 0."),
    ],
    "penalty_window": Annotated[
        int | None,
        typer.Option("--penalty-window", help="Last tokens that count as drawn before; 0: all. Default: 64."),
    ],
    "logit_bias": Annotated[
        list[str] | None,
        typer.Option(
            "--logit-bias",
            metavar="TOKEN=BIAS",
            help="Add to the logit of a token id, or of a text's tokens; -1000 bans. May be repeated.",
        ),
    ],
    "stop": Annotated[list[str] | None, typer.Option("--stop", help="End before this string. May be repeated.")],
    "grammar": Annotated[
        str | None,
        typer.Option("--grammar", metavar="FILE|GBNF", help="GBNF grammar that every candidate follows."),
    ],
    "json_schema": Annotated[
        str | None,
        typer.Option("--json-schema", metavar="FILE|JSON", help="JSON schema that every candidate fits."),
    ],
    "adapters": Annotated[
        list[str] | None,
        typer.Option("--lora", metavar="FILE[:SCALE]", help="LoRA adapter (GGUF) to draw with. May be repeated."),
    ],
    "share_prefixes": Annotated[
        bool | None,
        typer.Option("--share/--no-share", help="Compute equal beginnings once for all. Default: share."),
    ],
}


def with_drawing(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with these options instead of its parameter `drawing`.

    `drawing` is then a dict of those fields of schema.Sampling that were given, to be checked by it.
    """
    plain = inspect.signature(command, eval_str=True)
    parameters = []
    for parameter in plain.parameters.values():
        if parameter.name == "drawing":
            parameters += [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
                for name, annotation in _OPTIONS.items()
            ]
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(command)
    def run(**values: Any) -> None:
        drawing = {name: values.pop(name) for name in _OPTIONS}
        given = {name: _given(name, value) for name, value in drawing.items() if value not in (None, [], ())}
        command(drawing=given, **values)

    run.__signature__ = plain.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del run.__wrapped__
    return run
