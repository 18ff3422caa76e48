"""The short way of `generate` and `rewrite` beside a server: the request is sent before anything else is loaded.

Reading the command line in full takes longer than a short answer. So the commonest options are read here, from a table;
whatever is not in it goes the long way, which says what is wrong. Where nothing but the text (or JSON) is to be
printed, the answer is printed here as well; for a terminal the rest is loaded while the server draws.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from edge_ttp.cli import attached
from edge_ttp.cli.given_text import is_piped, read_prompt
from edge_ttp.errors import EdgeTTPError, HistoryUnavailable, InvalidInput

DEFAULT_RULE = "lcb"
"""edge_ttp.schema.DEFAULT_RULE, which would take long to import for a help text."""
REWRITE_RULE = "consensus"
"""edge_ttp.schema.REWRITE_RULE, likewise."""
EMPTY = "note: the answer is empty; another --seed, or --show-candidates for the others"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}


class Unread(ValueError):
    """Something that the long way has to read."""


def _whole(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise Unread
    return int(text)


def _count(text: str) -> int | None:
    return None if text == "auto" else _whole(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        raise Unread
    return float(text)


def _duration(text: str) -> float:
    parts = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|)", text)
    if parts is None or float(parts[1]) == 0:
        raise Unread
    return float(parts[1]) * _SECONDS[parts[2]]


Reader = Callable[[str], Any]
_SHARED: dict[str, tuple[str, Reader | None]] = {
    "--user": ("user", str),
    "-u": ("user", str),
    "--model": ("model", str),
    "-m": ("model", str),
    "--n": ("n", _count),
    "--deadline": ("budget.deadline_s", _duration),
    "--mode": ("budget.mode", str),
    "--select": ("select", str),
    "--seed": ("seed", _whole),
    "--examples": ("examples", _whole),
    "--system": ("system", str),
    "--max-tokens": ("sampling.max_tokens", _whole),
    "--temperature": ("sampling.temperature", _number),
    "--top-p": ("sampling.top_p", _number),
    "--min-p": ("sampling.min_p", _number),
    "--top-k": ("sampling.top_k", _whole),
    "--no-store": ("no_store", None),
    "--json": ("json", None),
}
READ: dict[str, dict[str, tuple[str, Reader | None]]] = {
    "generate": {**_SHARED, "--kind": ("kind", str), "--core": ("core", _whole)},
    "rewrite": {**_SHARED, "--as": ("kind", str), "--keep": ("keep", str), "--notes": ("notes", None)},
}
"""Command -> option -> what it sets (a dot: a field of an object within) and how its value is read (None: a flag)."""


def read(arguments: Sequence[str]) -> tuple[str, dict[str, Any], str | None]:
    """The command, what its options set, and its text. Raises Unread for anything that is not in the table."""
    if not arguments or arguments[0] not in READ:
        raise Unread
    table, given, text = READ[arguments[0]], dict[str, Any](), None
    rest = list(arguments[1:])
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            if text is not None:
                raise Unread
            text = word
            continue
        flag, equals, value = word.partition("=")
        if flag not in table or (equals and not flag.startswith("--")):
            raise Unread
        name, reader = table[flag]
        if name in given or (reader is None and equals) or (reader is not None and not equals and not rest):
            raise Unread
        given[name] = True if reader is None else reader(value if equals else rest.pop(0))
    return arguments[0], given, text


def wish_of(what: str, given: dict[str, Any], text: str) -> dict[str, Any]:
    """The body of the request, to the letter what the long way would send."""
    inner: dict[str, dict[str, Any]] = {"budget": {}, "sampling": {}}
    rule = DEFAULT_RULE if what == "generate" else REWRITE_RULE
    plain: dict[str, Any] = {"select": rule, "store": not given.get("no_store", False)}
    plain |= (
        {"prompt": text, "context": [], "core": 0}
        if what == "generate"
        else {"text": text, "keep": "words", "notes": False}
    )
    for name, value in given.items():
        place, _, field = name.partition(".")
        if field:
            inner[place][field] = value
        elif name not in ("user", "no_store", "json") and value is not None:
            plain[name] = value
    return {**plain, **inner}


def attempt(arguments: list[str]) -> int | None:
    """The exit code where this was all; None where the long way has to be gone, be it with a request under way.

    Standard input can be read once only: what was read stands in `arguments` then.
    """
    if not hasattr(os, "getuid") or not attached.may_be_there():
        return None
    try:
        what, given, text = read(arguments)
    except Unread:
        return None
    if text in (None, "-") or is_piped():
        if sys.stdin is None or sys.stdin.isatty():
            return None
        try:
            words = read_prompt(text)
        except InvalidInput as wrong:
            from edge_ttp.cli.main import report

            return report(wrong, as_json=bool(given.get("json")))
        if text is not None:
            arguments.remove(text)
        arguments += ["--", words]
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        text = words
    assert text is not None
    user, wish = given.get("user"), wish_of(what, given, text)
    try:
        if sys.stdout is None or sys.stderr is None or sys.stdout.isatty() or sys.stderr.isatty():
            attached.begin(what, user, wish)
            return None
        told = attached.events(what, user, wish)
        whole = None if told is None else next((one for one in told if attached.is_whole(what, one)), None)
    except (OSError, EdgeTTPError):
        return None
    return None if whole is None else _print(what, given, whole)


def _print(what: str, given: dict[str, Any], whole: dict[str, Any]) -> int | None:
    """Prints as the long way would where neither stream is a terminal."""
    from edge_ttp.cli import standard_streams
    from edge_ttp.cli.json_output import emit_json

    standard_streams.prepare()
    result = whole["rewritten"] if what == "rewrite" else whole["generation"]
    generation = result["generation"] if what == "rewrite" else result
    if given.get("json"):
        emit_json(result)
    else:
        for line in generation["notes"]:
            standard_streams.complain(f"note: {line}")
        if what == "generate" and not generation["text"].strip():
            standard_streams.complain(EMPTY)
        sys.stdout.write(result["text"] + "\n")
        sys.stdout.flush()
    return 0 if generation["stored"] or given.get("no_store") else HistoryUnavailable.exit_code
