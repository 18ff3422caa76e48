"""Our own protocol: a text said again in the user's way."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from edge_ttp.schema import MAX_CANDIDATES, MAX_TEXT, Budget, Keep, Rewrite, Rewritten, Rule, Sampling
from edge_ttp.server import drafting
from edge_ttp.server.endpoints import Endpoint, Exchange, Parameter
from edge_ttp.server.sse import EventStream


class RewriteRequest(BaseModel):
    """What to say again, and how: the options of Runtime.rewrite."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=MAX_TEXT)
    notes: bool = False
    """The text is notes: it may be turned into sentences, with the user's greeting and closing."""
    keep: Keep = "words"
    """words: every word that says something stays. strict: facts are masked while drawing. loose: said freely."""
    kind: str | None = None
    n: int | None = Field(default=None, ge=1, le=MAX_CANDIDATES)
    budget: Budget = Budget()
    sampling: Sampling = Sampling()
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    select: Rule | None = None
    examples: int | None = Field(default=None, ge=0, le=64)
    system: str | None = Field(default=None, max_length=MAX_TEXT)
    store: bool = True
    model: str | None = None
    adapter: str | None = None
    """Name of a voice adapter of the store, or "none"; None: the one that the policy is given for this."""
    stream: bool = False
    """Events as they come, the last one (`rewritten`) with the whole result."""


async def rewrite(call: Exchange) -> Response:
    """The text in the user's words with what came of its facts, or the events."""
    asked, user = await call.body(RewriteRequest), call.user()
    given: dict[str, Any] = {
        "user": user,
        "kind": asked.kind,
        "n": asked.n,
        "budget": asked.budget,
        "sampling": asked.sampling,
        "seed": asked.seed,
        "store": asked.store,
        "model": asked.model,
        "adapter": asked.adapter,
        **asked.model_dump(include={"select", "examples", "system"}, exclude_none=True),
    }
    if asked.stream:
        how = Rewrite(notes=asked.notes, keep=asked.keep)
        return EventStream(drafting.as_messages(call.state, {**given, "prompt": asked.text, "rewrite": how}, call.path))
    work = drafting.rewritten(call.state, asked.text, {**given, "notes": asked.notes, "keep": asked.keep})
    made = await drafting.unless_gone(call.request, work)
    return JSONResponse(made.model_dump(mode="json"))


ENDPOINTS = (
    Endpoint(
        "POST",
        "/ttp/v1/rewrite",
        "Say a text again in the user's way, its facts kept; with stream, events as they come.",
        rewrite,
        takes=RewriteRequest,
        gives=Rewritten,
        queries=(Parameter("user", "A sub-user of the token's user."),),
        missing=True,
    ),
)
