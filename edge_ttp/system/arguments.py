"""Arguments of public methods, held against their annotations: what does not fit is refused in one line.

Python checks nothing of what a call is given, so that a None where a name belongs would surface as an AttributeError
from somewhere below. What an annotation cannot say (ranges, what a list holds) each method checks by itself.
"""

from __future__ import annotations

import inspect
import os
import re
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, wraps
from numbers import Integral, Real
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from edge_ttp.errors import EdgeTTPError, InvalidInput, unusable

_C = TypeVar("_C", bound=type)

_LONGEST_NAME = 255
"""Bytes of one part of a path: what file systems allow."""

_LARGEST = 2**63
"""Whole numbers beyond it fit no column, and Python refuses to write out very long ones."""

Fits = Callable[[Any], bool]


def _number(kind: type) -> Fits:
    return lambda value: isinstance(value, kind) and not isinstance(value, bool)


def _several(kind: type) -> Fits:
    """A text is a sequence of texts, and never meant as one."""
    return lambda value: isinstance(value, kind) and not isinstance(value, str | bytes)


_KNOWN: dict[str, Fits] = {
    "None": lambda value: value is None,
    "str": lambda value: isinstance(value, str),
    "int": _number(Integral),
    "float": _number(Real),
    "bool": lambda value: isinstance(value, bool),
    "Path": lambda value: isinstance(value, Path),
    "datetime": lambda value: isinstance(value, datetime),
    "Event": lambda value: isinstance(value, Event),
    "threading.Event": lambda value: isinstance(value, Event),
    "Mapping": lambda value: isinstance(value, Mapping),
    "Sequence": _several(Sequence),
    "tuple": _several(Sequence),
    "Collection": _several(Collection),
    "Iterable": _several(Iterable),
    "Callable": callable,
}


def checked_arguments(kind: _C) -> _C:
    """The class, with every public method of its own raising InvalidInput for an argument that does not fit."""
    wrapped: dict[Any, Callable[..., Any]] = {}  # a method with two names stays one
    for name, found in list(vars(kind).items()):
        if name.startswith("_"):
            continue
        if isinstance(found, classmethod | staticmethod):
            setattr(kind, name, type(found)(_checked(found.__func__)))
        elif inspect.isfunction(found):
            setattr(kind, name, wrapped.setdefault(found, _checked(found)))
    return kind


def _checked(method: Callable[..., Any]) -> Callable[..., Any]:
    names = tuple(inspect.signature(method).parameters)

    @cache
    def kinds() -> dict[str, tuple[str, tuple[Fits, ...]]]:
        """Name of a parameter -> what it has to be, in words, and what fits; only where that is known."""
        found = {}
        for name in names:
            parts = _parts(str(method.__annotations__.get(name, "")))
            fits = [_fits(part, method.__globals__) for part in parts]
            if all(fits):
                wanted = " or ".join(_said(part, method.__globals__) for part in parts if part != "None")
                found[name] = (wanted, tuple(one for one in fits if one is not None))
        return found

    @wraps(method)
    def call(*arguments: Any, **options: Any) -> Any:
        known = kinds()
        for name, value in (*zip(names, arguments, strict=False), *options.items()):
            if name in known:
                _check(name, value, *known[name])
        try:
            return method(*arguments, **options)
        except OSError as error:  # of a file that no room below had a word for
            if error.filename is None or isinstance(error, EdgeTTPError):
                raise
            raise unusable(error) from error

    return call


def _check(name: str, value: Any, wanted: str, fits: tuple[Fits, ...]) -> None:
    if not any(one(value) for one in fits):
        given = f"{name}={value!r}"[:80] if isinstance(value, str) else f"{name} is {type(value).__name__}"
        raise InvalidInput(f"{given}, not {wanted}", f"give {name} as {wanted}")
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        raise InvalidInput(f"{name} is a number of too many digits", f"give {name} below {_LARGEST}")
    if "Path" in wanted and value is not None:
        _check_path(name, value)


def _check_path(name: str, value: Path | str) -> None:
    try:
        held = os.fsencode(value)
    except UnicodeEncodeError:
        held = b"\0"
    if b"\0" in held or any(len(part) > _LONGEST_NAME for part in held.split(os.sep.encode())):
        raise InvalidInput(f"{name}={str(value)[:80]!r} is no name of a file", "name another")


def _parts(words: str) -> list[str]:
    """The alternatives of an annotation as it is written: `str | Mapping[str, int | None]` has two."""
    parts, depth = [""], 0
    for letter in words:
        depth += (letter in "[(") - (letter in "])")
        if letter == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _said(part: str, names: Mapping[str, Any]) -> str:
    """One alternative for a message: the values where they are counted, else the annotation."""
    meant = names.get(part)
    return " or ".join(map(repr, typing.get_args(meant))) if typing.get_origin(meant) is typing.Literal else part


def _fits(part: str, names: Mapping[str, Any]) -> Fits | None:
    """What fits one alternative; None where that cannot be told: a name that only type checkers import."""
    head = re.match(r"[\w.]*", part)
    known = _KNOWN.get(head.group() if head else "")
    if known is not None:
        return known
    meant = names.get(part)
    if isinstance(meant, type):
        return lambda value: isinstance(value, meant)
    origin = typing.get_origin(meant)
    if origin is typing.Literal:
        return lambda value: isinstance(value, str) and value in typing.get_args(meant)
    return callable if origin is Callable else None
