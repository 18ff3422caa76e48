"""Our own protocol: generations, what the user did with them, and what was learned from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from threading import Event as Flag
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from edge_ttp.schema import MAX_TEXT, Feedback, FeedbackKind, Generation
from edge_ttp.server.endpoints import Endpoint, Exchange, Parameter
from edge_ttp.server.native_history import MOST_ROWS
from edge_ttp.server.sse import EventStream
from edge_ttp.server.work import Tell, followed

_USER = Parameter("user", "A sub-user of the token's user.")


class Judgment(BaseModel):
    """What the user did with a generation."""

    model_config = ConfigDict(extra="forbid")

    kind: FeedbackKind
    candidate: int | None = Field(default=None, ge=0)
    """For `prefer`: the preferred one, from 0. None: the chosen one."""
    text: str | None = Field(default=None, max_length=MAX_TEXT)
    """For `edit`: what was really sent."""


class Learning(BaseModel):
    """How long to learn from past texts."""

    model_config = ConfigDict(extra="forbid")

    for_s: float | None = Field(default=None, gt=0)
    while_idle: bool = False


class LearnedSummary(BaseModel):
    """What is known of the user's weights."""

    trust: float
    """Share of the user's own weights, 0 to 1."""
    evidence: int
    """Pools behind them."""
    record: dict[str, Any]
    """The calibration record."""


async def generations(call: Exchange) -> list[Generation]:
    """The stored answers, newest first."""
    user, limit = call.user(), call.number("limit", 20, MOST_ROWS)
    return await run_in_threadpool(call.state.runtime.history.generations, user, limit)


async def generation(call: Exchange) -> Generation:
    """One stored answer, whole."""
    return await run_in_threadpool(
        call.state.runtime.history.generation, call.request.path_params["generation_id"], call.user()
    )


async def judged(call: Exchange) -> Feedback:
    """The judgment as stored; it takes the place of what was said before."""
    given, user = await call.body(Judgment), call.user()
    return await run_in_threadpool(
        lambda: call.state.runtime.runtime.feedback(
            call.request.path_params["generation_id"],
            given.kind,
            user=user,
            candidate=given.candidate,
            text=given.text,
        )
    )


async def retracted(call: Exchange) -> list[Feedback]:
    """What was said and is taken back."""
    user = call.user()
    gone = await run_in_threadpool(
        lambda: call.state.runtime.runtime.retract(call.request.path_params["generation_id"], user=user)
    )
    return list(gone)


async def learned(call: Exchange) -> LearnedSummary:
    """What the user's evidence says."""
    user = call.user()
    found = await run_in_threadpool(call.state.runtime.runtime.learned, user)
    return LearnedSummary(trust=found.trust, evidence=found.evidence, record=asdict(found.record))


async def adapted(call: Exchange) -> Response:
    """Progress events while the policy answers past inputs, and a last one that says what was done."""
    wish, user = await call.body(Learning), call.user()
    return EventStream(followed(call.path, _adapting(call, wish, user), "adapted"))


def _adapting(call: Exchange, wish: Learning, user: str) -> Callable[[Tell, Flag], dict[str, Any]]:
    def work(tell: Tell, cancel: Flag) -> dict[str, Any]:
        done = asdict(
            call.state.runtime.runtime.adapt(
                user,
                for_s=wish.for_s,
                while_idle=wish.while_idle,
                cancel=cancel,
                on_progress=lambda at: tell(asdict(at)),
            )
        )
        done["learned"] = {key: done["learned"][key] for key in ("trust", "evidence", "record")}
        return done

    return work


ENDPOINTS = (
    Endpoint(
        "GET",
        "/ttp/v1/generations",
        "The stored answers, newest first.",
        generations,
        gives=Generation,
        many=True,
        queries=(_USER, Parameter("limit", f"At most so many, 1 to {MOST_ROWS}.", number=True)),
    ),
    Endpoint(
        "GET",
        "/ttp/v1/generations/{generation_id}",
        "One stored answer with all candidates.",
        generation,
        gives=Generation,
        queries=(_USER,),
        missing=True,
    ),
    Endpoint(
        "POST",
        "/ttp/v1/generations/{generation_id}/feedback",
        "What the user did with an answer; replaces what was said of it before.",
        judged,
        takes=Judgment,
        gives=Feedback,
        queries=(_USER,),
        missing=True,
    ),
    Endpoint(
        "DELETE",
        "/ttp/v1/generations/{generation_id}/feedback",
        "Take back what was said of an answer.",
        retracted,
        gives=Feedback,
        many=True,
        queries=(_USER,),
        missing=True,
    ),
    Endpoint(
        "GET",
        "/ttp/v1/learned",
        "What was learned of the user.",
        learned,
        gives=LearnedSummary,
        queries=(_USER,),
        missing=True,
    ),
    Endpoint(
        "POST",
        "/ttp/v1/adapt",
        "Learn from past texts: events `progress`, then `adapted`. Closing the connection ends it; nothing is lost.",
        adapted,
        takes=Learning,
        media="text/event-stream",
        queries=(_USER,),
        missing=True,
    ),
)
