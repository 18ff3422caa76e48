"""Ollama's endpoints as far as text goes: generate, chat, tags, version. A line of JSON for each piece of a stream.

`me` drafts as the person, as under /v1; Ollama's clients stream unless they say otherwise.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from edge_ttp import __version__
from edge_ttp.errors import EdgeTTPError, InvalidInput
from edge_ttp.schema import Generation, utc_now
from edge_ttp.server import drafting, wanted
from edge_ttp.server.endpoints import Endpoint, Exchange, unknown
from edge_ttp.server.protocol import finish_reason
from edge_ttp.server.replies import Refusal, refusal_of
from edge_ttp.server.sse import EventStream
from edge_ttp.server.wanted import ME, Wanted, parse_json

_OPTIONS = {
    "num_predict": "max_tokens",
    "repeat_penalty": "repetition_penalty",
    **{
        name: name
        for name in ("temperature", "top_p", "top_k", "min_p", "typical_p", "seed", "stop", "presence_penalty",
                     "frequency_penalty")
    },
}  # fmt: skip
"""Ollama's word in `options` -> OpenAI's field."""


class LineStream(EventStream):
    """A stream of lines of JSON instead of server-sent events."""

    media_type = "application/x-ndjson"
    comments = False

    def last(self, refusal: Refusal, path: str) -> bytes:
        """A refusal as the last line."""
        return _line(refusal.body(path))


async def tags(call: Exchange) -> dict[str, Any]:
    """The person and the bare policies."""
    names = await run_in_threadpool(drafting.policies, call.state)
    return {"models": [_listed(one) for one in (ME, *names)]}


def _listed(name: str) -> dict[str, Any]:
    details = {"format": "gguf", "family": "", "families": [], "parameter_size": "", "quantization_level": ""}
    now = utc_now().isoformat()
    return {"name": name, "model": name, "modified_at": now, "size": 0, "digest": "", "details": details}


async def version(call: Exchange) -> dict[str, Any]:
    """The version, which some clients ask for before anything else."""
    return {"version": __version__}


async def generate(call: Exchange) -> Response:
    """An answer to a prompt."""
    body = parse_json(await call.request.body())
    _refuse(body, "images", "suffix", "context", "raw")
    system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
    return await _answered(call, body, [*system, {"role": "user", "content": body.get("prompt")}], chat=False)


async def chat(call: Exchange) -> Response:
    """An answer to a conversation."""
    body = parse_json(await call.request.body())
    _refuse(body)
    return await _answered(call, body, body.get("messages"), chat=True)


def _refuse(body: Any, *names: str) -> None:
    if not isinstance(body, dict):
        raise InvalidInput("the request is no JSON object", 'send {"model": ..., ...}')
    for name in names:
        if body.get(name):
            raise InvalidInput(f"{name} cannot be honoured here", f"leave out {name}")


async def _answered(call: Exchange, body: dict[str, Any], messages: Any, *, chat: bool) -> Response:
    options = body.get("options") or {}
    if not isinstance(options, dict):
        raise InvalidInput("options is no object", "send options as an object")
    made: dict[str, Any] = {"model": str(body.get("model", "")).removesuffix(":latest"), "messages": messages}
    made |= {_OPTIONS[name]: value for name, value in options.items() if name in _OPTIONS}
    if isinstance(made.get("max_tokens"), int) and made["max_tokens"] < 0:
        del made["max_tokens"]  # Ollama's word for no limit
    form = body.get("format")
    if form == "json":
        made["response_format"] = {"type": "json_object"}
    elif isinstance(form, dict):
        made["response_format"] = {"type": "json_schema", "json_schema": {"schema": form}}
    asked = wanted.chat(made)
    if call.known is None and (asked.as_person or not call.state.bare_open):
        return unknown(call.path)
    await run_in_threadpool(drafting.known_policy, call.state, asked.policy)
    given = drafting.options(asked, call.known)
    if body.get("stream", True) is not False:
        return LineStream(_stream(call, asked, given, chat=chat))
    drawn = await drafting.unless_gone(call.request, drafting.generation(call.state, given))
    return JSONResponse(_whole(asked, drawn, drawn.text, chat=chat))


async def _stream(call: Exchange, asked: Wanted, given: dict[str, Any], *, chat: bool) -> AsyncIterator[bytes]:
    sent, certain, drawn = "", None, None
    try:
        async with aclosing(drafting.events(call.state, given)) as events:
            async for event in events:
                if event.generation is not None:
                    drawn = event.generation
                elif event.type == "selected":
                    certain = event.candidate
                elif event.type == "delta" and event.candidate == certain and event.text:
                    sent += event.text
                    yield _line(_piece(asked, event.text, chat=chat))
    except EdgeTTPError as error:
        refusal = refusal_of(error)
        yield _line({"error": f"{refusal.fact}; {refusal.cure}"})
        return
    assert drawn is not None
    if drawn.text.startswith(sent) and drawn.text != sent:
        yield _line(_piece(asked, drawn.text[len(sent) :], chat=chat))
    yield _line(_whole(asked, drawn, "", chat=chat))


def _piece(asked: Wanted, text: str, *, chat: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
    return {"model": asked.model, "created_at": utc_now().isoformat(), **said, "done": False}


def _whole(asked: Wanted, drawn: Generation, text: str, *, chat: bool) -> dict[str, Any]:
    """The last line: durations in nanoseconds."""
    times, usage = drawn.timings, drawn.usage
    return {
        **_piece(asked, text, chat=chat),
        "done": True,
        "done_reason": finish_reason(drawn.finish_reason),
        "total_duration": int(times.total_s * 1e9),
        "load_duration": 0,
        "prompt_eval_count": usage.prompt_tokens,
        "prompt_eval_duration": int(times.prefill_s * 1e9),
        "eval_count": usage.completion_tokens,
        "eval_duration": int(times.decode_s * 1e9),
    }


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


ENDPOINTS = (
    Endpoint("GET", "/api/tags", "Ollama: what `model` may be.", tags, token=False),
    Endpoint("GET", "/api/version", "Ollama: the version.", version, token=False),
    Endpoint("POST", "/api/generate", "Ollama: an answer to a prompt.", generate, token=False, missing=True),
    Endpoint("POST", "/api/chat", "Ollama: an answer to a conversation.", chat, token=False, missing=True),
)
