"""llama.cpp's grammars: which tokens may follow, and JSON schemas turned into grammars."""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.bindings import messages
from edge_ttp.policy.bindings.library import llama_cpp
from edge_ttp.policy.bindings.llama_model import Model

MAX_BYTES = 200_000
"""Longest grammar or schema, in bytes."""
MAX_DEPTH = 200
"""Deepest nesting of groups, and of a schema: llama.cpp's parser descends on the thread's own stack."""

_CURE = "see llama.cpp's grammars/README.md for the syntax"
_ENTRY = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data
_stderr = threading.Lock()


class Grammar:
    """The state of one text in a GBNF grammar: which tokens may follow (engine.Constraint).

    Starts at the rule `root`. Raises InvalidInput for a grammar that llama.cpp does not accept.
    """

    def __init__(self, model: Model, gbnf: str) -> None:
        data = _checked(gbnf)
        messages.forget_complaints()
        with _captured_stderr() as printed:
            self._handle: Any = llama_cpp.llama_sampler_init_grammar(model.vocab, data, b"root")
        if not self._handle:
            reason = "; ".join(printed) or messages.complaints("unknown reason")
            raise InvalidInput(f"the grammar is not valid ({reason})", _CURE)

    def allowed(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of `tokens` may come next."""
        entries = np.zeros(len(tokens), dtype=_ENTRY)
        entries["id"] = tokens
        array = llama_cpp.llama_token_data_array(
            data=ctypes.cast(ctypes.c_void_p(entries.ctypes.data), ctypes.POINTER(llama_cpp.llama_token_data)),
            size=len(entries),
            selected=-1,
            sorted=False,
        )
        llama_cpp.llama_sampler_apply(self._handle, ctypes.byref(array))
        return np.asarray(entries["logit"] == 0)

    def accept(self, token: int) -> None:
        """Goes on behind `token`, which must be allowed."""
        llama_cpp.llama_sampler_accept(self._handle, token)

    def copy(self) -> Grammar:
        """A state of its own at the same place."""
        twin = object.__new__(Grammar)
        twin._handle = llama_cpp.llama_sampler_clone(self._handle)
        return twin

    def close(self) -> None:
        """Frees the state."""
        if self._handle:
            llama_cpp.llama_sampler_free(self._handle)
            self._handle = None


def schema_to_grammar(schema: str) -> str:
    """The GBNF grammar of the JSON texts that fit a JSON schema (JSON itself), by llama-cpp-python's own converter.

    It knows types, properties, items, enum, const, anyOf, oneOf, allOf, pattern, common formats, lengths and
    references within the schema; it does not bind numbers by minimum and maximum. Raises InvalidInput for what is no
    schema, refers to another document, or uses what the converter does not know.
    """
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    if len(schema.encode("utf-8", "replace")) > MAX_BYTES:
        raise InvalidInput(f"a schema of {len(schema):,} characters is too long", f"keep below {MAX_BYTES:,} bytes")
    try:
        parsed = json.loads(schema)
        _refuse_foreign_references(parsed, 0)
        return str(json_schema_to_gbnf(json.dumps(parsed)))
    except InvalidInput:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise InvalidInput(
            f"the JSON schema cannot be turned into a grammar ({reason[:200]})", "simplify it"
        ) from error


def _refuse_foreign_references(node: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidInput(f"the JSON schema is nested more than {MAX_DEPTH} deep", "simplify it")
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            raise InvalidInput(f"the JSON schema refers to {reference[:100]!r}", "put everything into one schema")
        for value in node.values():
            _refuse_foreign_references(value, depth + 1)
    elif isinstance(node, list):
        for value in node:
            _refuse_foreign_references(value, depth + 1)


def _checked(gbnf: str) -> bytes:
    """The grammar's bytes. Refuses what llama.cpp would misread or could end the process with."""
    try:
        data = gbnf.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("the grammar is no Unicode text", "save it as UTF-8") from error
    if not gbnf.strip() or "\0" in gbnf:
        raise InvalidInput("the grammar is empty or holds a NUL character", _CURE)
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"a grammar of {len(data):,} bytes is too long", f"keep below {MAX_BYTES:,}")
    if _depth(gbnf) > MAX_DEPTH:
        raise InvalidInput(f"the grammar's groups are nested more than {MAX_DEPTH} deep", "name them as rules")
    return data


def _depth(gbnf: str) -> int:
    """Deepest nesting of parentheses outside of quotes, character classes and comments."""
    depth = deepest = 0
    closing, escaped = "", False
    for character in gbnf:
        if closing:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == closing:
                closing = ""
        elif character in '"[#':
            closing = {'"': '"', "[": "]", "#": "\n"}[character]
        elif character == "(":
            depth += 1
            deepest = max(deepest, depth)
        elif character == ")":
            depth -= 1
    return deepest


@contextmanager
def _captured_stderr() -> Iterator[list[str]]:
    """Catches what native code prints to the error stream in the block; its first line is in the list afterwards.

    llama.cpp's grammar parser prints why a grammar is wrong, and says it nowhere else.
    """
    lines: list[str] = []
    with _stderr, tempfile.TemporaryFile() as file:
        try:
            kept = os.dup(2)
        except OSError:  # a program without an error stream
            yield lines
            return
        try:
            os.dup2(file.fileno(), 2)
            yield lines
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            text = file.read(2000).decode("utf-8", "replace")
            lines += [line.removeprefix("parse: error parsing grammar: ") for line in text.splitlines() if line][:1]
