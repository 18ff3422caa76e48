"""Our own protocol: models are loaded and given back on demand, for the installation's owner alone."""

from __future__ import annotations

from threading import Event as Flag
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from edge_ttp.server import drafting
from edge_ttp.server.endpoints import Endpoint, Exchange
from edge_ttp.server.native_setup import only_owner
from edge_ttp.server.sse import EventStream
from edge_ttp.server.work import Tell, followed


class NamedPolicy(BaseModel):
    """Which policy is meant."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(default=None, min_length=1, max_length=500)
    """A policy of the store. None: to load, the one that is used; to unload, every model."""


class InMemory(BaseModel):
    """What is in memory now."""

    models: list[str]
    """Names of policies and of the reward model."""
    policies: dict[str, int]
    """Bytes of each policy: weights, caches, buffers."""
    process: int
    """Bytes that the whole server takes."""


async def memory(call: Exchange) -> InMemory:
    """The models in memory."""
    runtime = call.state.runtime.runtime

    def look() -> InMemory:
        held = runtime.memory()
        return InMemory(models=list(runtime.loaded), policies=held.policies, process=held.process)

    return await run_in_threadpool(look)


async def load(call: Exchange) -> Response:
    """Progress events while models are loaded, then `loaded`."""
    refused = only_owner(call)
    if refused is not None:
        return refused
    model, runtime = (await call.body(NamedPolicy)).model, call.state.runtime.runtime
    await run_in_threadpool(drafting.known_policy, call.state, model)

    def work(tell: Tell, cancel: Flag) -> dict[str, Any]:
        runtime.warm(
            model=model,
            cancel=cancel,
            on_progress=lambda step: tell({"doing": step.doing, "done": step.done, "total": 1.0}),
        )
        return {"models": list(runtime.loaded)}

    return EventStream(followed(call.path, work, "loaded"))


async def unload(call: Exchange) -> InMemory | Response:
    """What is still in memory: models of requests under way go when these end, and all come back when needed."""
    refused = only_owner(call)
    if refused is not None:
        return refused
    model, runtime = (await call.body(NamedPolicy)).model, call.state.runtime.runtime
    await run_in_threadpool(runtime.unload, model)
    return await memory(call)


ENDPOINTS = (
    Endpoint("GET", "/ttp/v1/memory", "The models in memory and what they take.", memory, gives=InMemory),
    Endpoint(
        "POST",
        "/ttp/v1/models/load",
        "Load a policy and the reward model now: events `progress`, then `loaded`. The owner only.",
        load,
        takes=NamedPolicy,
        media="text/event-stream",
        missing=True,
    ),
    Endpoint(
        "POST",
        "/ttp/v1/models/unload",
        "Give a policy's memory back, or all models'; requests under way end first. The owner only.",
        unload,
        takes=NamedPolicy,
        gives=InMemory,
        missing=True,
    ),
)
