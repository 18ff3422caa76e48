"""Our own protocol: an answer, whole or as events."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from edge_ttp.errors import InvalidInput
from edge_ttp.schema import MAX_CANDIDATES, MAX_TEXT, Budget, Generation, Rule, Sampling, Speaker
from edge_ttp.server import drafting
from edge_ttp.server.endpoints import Endpoint, Exchange, Parameter
from edge_ttp.server.sse import EventStream


class Message(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str = Field(max_length=MAX_TEXT)


class DraftRequest(BaseModel):
    """What to answer, and how: the options of Runtime.generate."""

    model_config = ConfigDict(extra="forbid")

    prompt: str | None = Field(default=None, max_length=MAX_TEXT)
    messages: list[Message] | None = Field(default=None, max_length=10_000)
    """Instead of `prompt`: a conversation that ends with a user's message."""
    system: str | None = Field(default=None, max_length=MAX_TEXT)
    context: list[str] = []
    """Documents for this answer: shown to the policy, never stored as the user's writing."""
    remember: str | None = Field(default=None, max_length=MAX_TEXT)
    """The input under which an accepted text is kept."""
    n: int | None = Field(default=None, ge=1, le=MAX_CANDIDATES)
    budget: Budget = Budget()
    select: Rule | None = None
    sampling: Sampling = Sampling()
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    speaker: Speaker = "user"
    kind: str | None = None
    examples: int | None = Field(default=None, ge=0, le=64)
    core: int = Field(default=0, ge=0, le=64)
    store: bool = True
    model: str | None = None
    """Name of a policy of the store; None: the default one."""
    adapter: str | None = None
    """Name of a voice adapter of the store, or "none"; None: the one that the policy is given for this."""
    stream: bool = False
    """Events as they come, the last one with the whole answer."""


async def generate(call: Exchange) -> Response:
    """The whole answer, or its events."""
    draft = await call.body(DraftRequest)
    if (draft.prompt is None) == (draft.messages is None):
        raise InvalidInput("there is no prompt", "give prompt or messages, not both")
    given: dict[str, Any] = draft.model_dump(
        include={
            "prompt",
            "messages",
            "system",
            "context",
            "remember",
            "n",
            "select",
            "seed",
            "kind",
            "examples",
            "core",
            "adapter",
        },
        exclude_none=True,
    )
    given |= {
        "user": call.user(),
        "budget": draft.budget,
        "sampling": draft.sampling,
        "store": draft.store and draft.speaker == "user",
        "speaker": draft.speaker,
        "model": draft.model,
    }
    if draft.stream:
        return EventStream(drafting.as_messages(call.state, given, call.path))
    drawn = await drafting.unless_gone(call.request, drafting.generation(call.state, given))
    return JSONResponse(drawn.model_dump(mode="json"))


ENDPOINTS = (
    Endpoint(
        "POST",
        "/ttp/v1/generate",
        "Answer as the user would; with stream, events as they come, the last one with the whole answer.",
        generate,
        takes=DraftRequest,
        gives=Generation,
        queries=(Parameter("user", "A sub-user of the token's user."),),
        missing=True,
    ),
)
