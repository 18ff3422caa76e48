"""OpenAI's endpoints: models, chat completions, completions, responses."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from edge_ttp.errors import EdgeTTPError
from edge_ttp.schema import Generation
from edge_ttp.server import drafting, wanted
from edge_ttp.server.endpoints import Endpoint, Exchange, unknown
from edge_ttp.server.protocol import (
    OWNER,
    ChatForm,
    Form,
    ResponseForm,
    TextForm,
    choices_of,
    extension_of,
    shown,
    usage_of,
)
from edge_ttp.server.replies import refusal_of
from edge_ttp.server.sse import DONE, EventStream, comment, message
from edge_ttp.server.wanted import ME, Wanted, parse_json

Read = Callable[[Any], Wanted]

_COMMENT_S = 1.0
"""Least time between two comments on progress."""


async def models(call: Exchange) -> dict[str, Any]:
    """What `model` may be: the person, with any of the policies, and the bare policies."""
    names = await run_in_threadpool(drafting.policies, call.state)
    ids = [ME, *(f"{ME}/{name}" for name in names), *names]
    return {"object": "list", "data": [_model(one, int(call.state.started)) for one in ids]}


async def model(call: Exchange) -> dict[str, Any]:
    """One of them. Raises NotFound."""
    name = call.request.path_params["model"]
    await run_in_threadpool(drafting.known_policy, call.state, _policy_of(name))
    return _model(name, int(call.state.started))


def _policy_of(name: str) -> str | None:
    return None if name == ME else name.removeprefix(ME + "/")


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": OWNER}


async def chat(call: Exchange) -> Response:
    """An answer to a conversation."""
    return await _answered(call, wanted.chat)


async def completion(call: Exchange) -> Response:
    """A text continued."""
    return await _answered(call, wanted.completion)


async def response(call: Exchange) -> Response:
    """An answer as a response object."""
    return await _answered(call, wanted.response, responses=True)


async def _answered(call: Exchange, read: Read, *, responses: bool = False) -> Response:
    asked = read(parse_json(await call.request.body()))
    if call.known is None and (asked.as_person or not call.state.bare_open):
        return unknown(call.path)
    await run_in_threadpool(drafting.known_policy, call.state, asked.policy)
    given = drafting.options(asked, call.known)
    headers = {"x-edge-ttp-ignored": ", ".join(asked.ignored)[:1000]} if asked.ignored else {}
    headers["x-request-id"] = "req_" + secrets.token_hex(12)
    if responses:
        form = ResponseForm("resp_" + secrets.token_hex(16), int(time.time()), asked.model)
        if asked.stream:
            return EventStream(_response_stream(call, asked, given, form), headers)
        drawn = await drafting.unless_gone(call.request, drafting.generation(call.state, given))
        best = drawn.candidates[drawn.chosen]
        body = form.whole("completed", best.text, usage_of(drawn), best.finish_reason)
        return JSONResponse({**body, **_extension(asked, drawn)}, headers=headers)
    made = _form(asked)
    if asked.stream:
        return EventStream(_stream(call, asked, given, made), headers)
    drawn = await drafting.unless_gone(call.request, drafting.generation(call.state, given))
    chosen = [drawn.candidates[index] for index in choices_of(drawn, asked.n)]
    return JSONResponse({**made.whole(chosen, usage_of(drawn)), **_extension(asked, drawn)}, headers=headers)


def _form(asked: Wanted) -> Form:
    number, now = secrets.token_hex(16), int(time.time())
    if asked.plain:
        return TextForm("cmpl-" + number, now, asked.model)
    return ChatForm("chatcmpl-" + number, now, asked.model)


def _extension(asked: Wanted, drawn: Generation) -> dict[str, Any]:
    return {"edge_ttp": extension_of(drawn, all_candidates=asked.extension.all_candidates)}


async def _stream(call: Exchange, asked: Wanted, given: dict[str, Any], form: Form) -> AsyncIterator[bytes]:
    """Chunks: text as soon as one candidate alone can be chosen, else the chosen texts at once, comments meanwhile."""
    sent: list[str] = [""] * asked.n
    begun = [False] * asked.n

    def piece(index: int, text: str) -> bytes:
        first, begun[index] = not begun[index], True
        sent[index] += text
        return message(form.piece(index, text, first=first))

    drawn: Generation | None = None
    certain: int | None = None
    said_at = time.monotonic()
    try:
        async with aclosing(drafting.events(call.state, given)) as events:
            async for event in events:
                if event.generation is not None:
                    drawn = event.generation
                elif event.type == "selected" and asked.n == 1:
                    certain = event.candidate  # nothing competes with it: its text is final as it comes
                elif event.type == "delta" and event.candidate == certain and event.text:
                    yield piece(0, event.text)
                if asked.extension.events:
                    yield message(form.event(shown(event)))
                elif event.type == "progress" and certain is None and time.monotonic() - said_at > _COMMENT_S:
                    said_at = time.monotonic()
                    yield comment(f"{sum(event.tokens)} tokens of {len(event.tokens)} candidates")
    except EdgeTTPError as error:
        yield message(refusal_of(error).body(call.path))
        return
    assert drawn is not None
    for index, place in enumerate(choices_of(drawn, asked.n)):
        best = drawn.candidates[place]
        rest = best.text[len(sent[index]) :] if best.text.startswith(sent[index]) else ""
        if rest or not begun[index]:
            yield piece(index, rest)
        end = form.end(index, best.finish_reason)
        yield message({**end, **_extension(asked, drawn)} if index == 0 else end)
    if asked.include_usage:
        yield message(form.usage(usage_of(drawn)))
    yield DONE


async def _response_stream(
    call: Exchange, asked: Wanted, given: dict[str, Any], form: ResponseForm
) -> AsyncIterator[bytes]:
    """The events of a response; each has a name and a number."""
    number = -1

    def line(event: dict[str, Any]) -> bytes:
        nonlocal number
        number += 1
        return message({**event, "sequence_number": number}, event["type"])

    for event in form.beginning():
        yield line(event)
    sent = ""
    certain: int | None = None
    drawn: Generation | None = None
    try:
        async with aclosing(drafting.events(call.state, given)) as events:
            async for event_ in events:
                if event_.generation is not None:
                    drawn = event_.generation
                elif event_.type == "selected":
                    certain = event_.candidate
                elif event_.type == "delta" and event_.candidate == certain and event_.text:
                    sent += event_.text
                    yield line(form.piece(event_.text))
    except EdgeTTPError as error:
        detail = refusal_of(error).body(call.path)["error"]
        yield line({"type": "error", "code": detail["code"], "message": detail["message"], "param": None})
        return
    assert drawn is not None
    best = drawn.candidates[drawn.chosen]
    if best.text.startswith(sent) and best.text != sent:
        yield line(form.piece(best.text[len(sent) :]))
    for event in form.ending(best.text, usage_of(drawn), best.finish_reason):
        yield line(event)


ENDPOINTS = (
    Endpoint("GET", "/v1/models", "What `model` may be.", models, token=False),
    Endpoint("GET", "/v1/models/{model:path}", "One of them.", model, token=False, missing=True),
    Endpoint("POST", "/v1/chat/completions", "An answer to a conversation.", chat, token=False, missing=True),
    Endpoint("POST", "/v1/completions", "A text continued.", completion, token=False, missing=True),
    Endpoint("POST", "/v1/responses", "An answer as a response object.", response, token=False, missing=True),
)
