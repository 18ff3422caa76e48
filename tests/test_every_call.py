"""Every public method of what an app holds, with nonsense in every place: it answers, or raises an EdgeTTPError."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from edge_ttp import AsyncRuntime, Conversation, EdgeTTPError, History, InvalidInput, Registry, Runtime
from edge_ttp.paths import locate

WRONG: list[Any] = [
    *(None, 5, -1, 2.5, True, b"bytes", "", "text", [], {}, object(), float("nan"), float("inf"), 10**30, "\ud800"),
    *(10**5000, [10**5000], "~nobody-here/x", Path("~nobody-here/x.gguf")),
    *("a\0b", "x" * 5000, (1, 2), Path("/nowhere\0"), Path("x" * 300), ["a"], {"a": 1}, {1: "a"}, set(), print, [None]),
]
RIGHT: dict[str, Any] = {
    **dict.fromkeys(("user_id", "user"), "ann"),
    **dict.fromkeys(("name", "name_or_path", "name_or_folder", "model"), "no-such-model"),
    **dict.fromkeys(("prompt", "query", "text"), "hello"),
    **dict.fromkeys(("item_id", "number", "limit", "k", "days"), 1),
    **dict.fromkeys(("records", "many", "item_ids"), ()),
    **{
        "kind": "accept",
        "generation_id": "g",
        "path": "/no/such/file",
        "format": "Q8_0",
        "reward": "r",
        "encoder": "e",
    },
    **{"by_item": {}, "make": lambda *_: None},
}
"""What the other parameters without a default get."""

OURS = {"close", "serving", "prepared", "run"}
"""Ends what is tested; rooms within, which are no part of docs/api.md; runs whatever function it is given."""

OPENS: dict[type, Callable[[Path], Any]] = {
    Runtime: lambda folder: Runtime.open(),
    AsyncRuntime: lambda folder: AsyncRuntime.open(),
    History: lambda folder: History.open(folder / "history.db"),
    Registry: lambda folder: Registry(locate(), index="https://127.0.0.1:9/simple", backoff_s=0),
    Conversation: lambda folder: Runtime.open().conversation(user="ann"),
}


def parameters(method: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    for one in inspect.signature(method).parameters.values():
        if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL) and one.name != "self":
            yield one


PLACES = [
    pytest.param(kind, name, one.name, id=f"{kind.__name__}.{name}-{one.name}")
    for kind in OPENS
    for name, method in inspect.getmembers(kind, callable)
    if not name.startswith("_") and name not in OURS
    for one in parameters(method)
]


def call(method: Callable[..., Any], options: dict[str, Any]) -> None:
    """Calls to the end: what is waited for is waited for, and of what is iterated some."""
    found = method(**options)
    if inspect.isasyncgen(found):
        found = anext(found, None)
    if isinstance(found, Awaitable):
        asyncio.run(_waited(found))
    elif isinstance(found, Iterator):
        list(islice(found, 3))


async def _waited(found: Awaitable[Any]) -> None:
    await found


@pytest.mark.parametrize(("kind", "name", "place"), PLACES)
def test_a_wrong_argument_is_answered_or_refused_in_one_line(
    kind: type, name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    held = OPENS[kind](tmp_path)
    method = getattr(held, name)
    others = {
        one.name: RIGHT.get(one.name) for one in parameters(method) if one.default is one.empty and one.name != place
    }
    for wrong in WRONG:
        with suppress(EdgeTTPError):
            call(method, {**others, place: wrong})


def test_what_does_not_fit_is_named_with_what_would() -> None:
    with Runtime.open() as runtime:
        for wrong, words in (
            (lambda: runtime.history.items(None), r"^user_id is NoneType, not str; give user_id as str$"),  # type: ignore[arg-type]
            (lambda: runtime.import_("f", authors="ann"), r"^authors='ann', not Sequence\[str\]"),
            (lambda: runtime.history.open("a\0b"), r"^path='a.x00b' is no name of a file"),
            (lambda: runtime.history.backup("x" * 300), r"is no name of a file"),
            (lambda: runtime.registry.locate("x", kind="poem"), r"^kind='poem', not 'policy' or 'reward' or 'adapter'"),  # type: ignore[arg-type]
        ):
            with pytest.raises(InvalidInput, match=words):
                wrong()
