"""From what a client wants to what the runtime is asked for, and its events as they come. Only this module draws."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from edge_ttp.answer.ask import NO_ADAPTER
from edge_ttp.answer.rewriting import described
from edge_ttp.errors import Cancelled, EdgeTTPError, NotFound
from edge_ttp.schema import Event, Generation, Rewritten, Sampling
from edge_ttp.server.access import Bearer
from edge_ttp.server.protocol import shown
from edge_ttp.server.replies import refusal_of
from edge_ttp.server.sse import gone, message
from edge_ttp.server.state import State
from edge_ttp.server.wanted import Wanted

T = TypeVar("T")

BARE_USER = "-"
"""Whose turn at the engine requests to a bare policy take, where no token says whose they are."""


def options(wanted: Wanted, bearer: Bearer | None) -> dict[str, Any]:
    """The runtime's options for a request of OpenAI's protocol.

    To the person: recall, candidates, a choice, a record unless `store` is false. To a bare policy: nothing of these,
    and as many samples as choices are wanted.
    """
    extension = wanted.extension
    given: dict[str, Any] = {
        "messages": [{"role": role, "content": text} for role, text in wanted.messages],
        "sampling": Sampling(**wanted.sampling),
        "seed": wanted.seed,
        "budget": extension.budget(),
        "model": wanted.policy,
    }
    if not wanted.as_person:
        user = BARE_USER if bearer is None else bearer.user_for(wanted.user)
        drawn = max(wanted.n, wanted.best_of or 1)
        select = "logprob" if drawn > 1 else "first"
        return {
            **given,
            "user": user,
            "n": drawn,
            "select": select,
            "speaker": "text" if wanted.plain else "policy",
            "store": False,
        }
    assert bearer is not None
    given |= {
        "user": bearer.user_for(wanted.user),
        "n": extension.candidates,
        "kind": extension.kind,
        "context": extension.context,
        "store": wanted.store is not False,
    }
    if extension.remember is not None:
        given["remember"] = extension.remember
    if extension.select is not None:
        given["select"] = extension.select
    if extension.examples is not None:
        given["examples"] = extension.examples
    if extension.core:
        given["core"] = extension.core
    if extension.candidates is not None:
        given["n"] = max(extension.candidates, wanted.n)
    elif wanted.n > 1:
        given["n"] = min(256, max(wanted.n * 2, 8))  # equal texts are one choice: some more than are wanted
    return given


async def events(state: State, given: dict[str, Any]) -> AsyncGenerator[Event, None]:
    """The runtime's events for one request. Closing the iterator ends decoding within a step. Raises Full."""
    await run_in_threadpool(known_models, state, given)
    with state.drawing():
        async with aclosing(state.runtime.stream(**_rankable(state, given))) as running:
            async for event in running:
                yield event


async def as_messages(state: State, given: dict[str, Any], path: str) -> AsyncIterator[bytes]:
    """The runtime's events for one request as server-sent messages, an error as the last one.

    A rewriting has one more behind `done`: `rewritten`, with what came of its facts.
    """
    try:
        async with aclosing(events(state, given)) as running:
            async for event in running:
                yield message(shown(event), event.type)
                if event.generation is not None and "rewrite" in given:
                    made = await run_in_threadpool(described, state.runtime.history, event.generation)
                    yield message({"type": "rewritten", "rewritten": made.model_dump(mode="json")}, "rewritten")
    except EdgeTTPError as error:
        yield message(refusal_of(error).body(path), "error")


async def generation(state: State, given: dict[str, Any]) -> Generation:
    """The whole answer. Raises Full, and whatever the runtime raises."""
    await run_in_threadpool(known_models, state, given)
    with state.drawing():
        return await state.runtime.generate(**_rankable(state, given))


def _rankable(state: State, given: dict[str, Any]) -> dict[str, Any]:
    """The request with a rule that every engine can be ranked by: one elsewhere may say no log-probabilities."""
    if given.get("select") != "logprob" or state.runtime.runtime.policy_url is None:
        return given
    return {**given, "select": "consensus"}


async def rewritten(state: State, text: str, given: dict[str, Any]) -> Rewritten:
    """The text in the user's words. Raises Full, and whatever the runtime raises."""
    await run_in_threadpool(known_models, state, given)
    with state.drawing():
        return await state.runtime.rewrite(text, **given)


def known_models(state: State, given: Mapping[str, Any]) -> None:
    """Raises NotFound for a policy or an adapter that the store does not have: the network names models, not files."""
    known_policy(state, given.get("model"))
    adapter = given.get("adapter")
    if adapter is not None and adapter != NO_ADAPTER:
        entries = state.runtime.runtime.registry.list()
        if adapter not in [one.name for one in entries if one.kind == "adapter" and one.installed]:
            raise NotFound(f"no adapter is called {adapter[:100]!r}", "see `edge-ttp models list`")


def policies(state: State) -> list[str]:
    """Names of the policies that are here."""
    runtime = state.runtime.runtime
    if runtime.policy_url is not None:
        return [name for name in runtime.loaded if name != runtime.models.reward_name]
    entries = runtime.registry.list()
    return [one.name for one in entries if one.kind == "policy" and one.installed]


def known_policy(state: State, name: str | None) -> None:
    """Raises NotFound for what is no policy of the store: a request over the network names models, never files.

    What an engine elsewhere serves, it says itself.
    """
    if name is not None and state.runtime.runtime.policy_url is None and name not in policies(state):
        raise NotFound(f"no model is called {name[:100]!r}", "see GET /v1/models")


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """What `work` gives; it is cancelled when the client closes the connection. Raises Cancelled then."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(gone(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Cancelled("the client closed the connection")
        return working.result()
    finally:
        for task in (working, leaving):
            if not task.done():
                task.cancel()
                with suppress(BaseException):
                    await task
