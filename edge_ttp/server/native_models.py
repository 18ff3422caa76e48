"""Our own protocol: models, the device, the plan for a request, the health of the installation, a user's diagnosis."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from edge_ttp import __version__
from edge_ttp.registry import DEFAULT_POLICY, DEFAULT_REWARD
from edge_ttp.schema import DEFAULT_RULE, MAX_TEXT, Budget, Rule, Sampling
from edge_ttp.server.endpoints import Endpoint, Exchange, Parameter

PROTOCOL = 1
"""Grows when something that clients rely on changes."""
_USER = Parameter("user", "A sub-user of the token's user.")


class Info(BaseModel):
    """Which server this is: for a client's handshake."""

    name: str = "edge-ttp"
    version: str
    protocol: int = PROTOCOL
    instance: str
    """Another one after every start."""
    pid: int
    user: str
    """The token's user."""
    policy: str = DEFAULT_POLICY
    """The policy that is meant where none is named or configured; this server may have been started with another."""
    default_reward: bool
    """Whether the reward model is the default one."""
    policy_url: str | None = None
    """The engine that draws and that prompts are sent to; None: this program draws."""


class ModelLine(BaseModel):
    """A model of the store."""

    name: str
    kind: str
    installed: bool
    default: bool
    size: int
    """Bytes."""
    licence: str
    description: str
    format: str


class PlanWish(BaseModel):
    """A request to be planned and not answered."""

    model_config = ConfigDict(extra="forbid")

    prompt: str | None = Field(default=None, max_length=MAX_TEXT)
    """None: like the user's newest item."""
    budget: Budget = Budget()
    select: Rule = DEFAULT_RULE
    sampling: Sampling = Sampling()
    kind: str | None = None


class Finding(BaseModel):
    """One finding of the doctor."""

    name: str
    status: str
    """ok, warn or fail."""
    detail: str
    cure: str


async def info(call: Exchange) -> Info:
    """Which server this is, and who asks."""
    return Info(
        version=__version__,
        instance=call.state.instance,
        pid=os.getpid(),
        user=call.bearer.user,
        policy_url=call.state.runtime.runtime.policy_url,
        default_reward=call.state.runtime.runtime.models.reward_name == DEFAULT_REWARD,
    )


async def models(call: Exchange) -> list[ModelLine]:
    """The models of the store."""
    entries = await run_in_threadpool(call.state.runtime.runtime.registry.list)
    return [
        ModelLine(
            name=one.name,
            kind=one.kind,
            installed=one.installed,
            default=one.default,
            size=one.size,
            licence=one.licence,
            description=one.description,
            format=one.format,
        )
        for one in entries
    ]


async def planned(call: Exchange) -> dict[str, Any]:
    """The plan with its curve of gain and time."""
    wish, user = await call.body(PlanWish), call.user()
    found = await run_in_threadpool(
        lambda: call.state.runtime.runtime.plan(
            wish.prompt, user=user, budget=wish.budget, select=wish.select, sampling=wish.sampling, kind=wish.kind
        )
    )
    return found.as_dict()


async def device(call: Exchange) -> dict[str, Any]:
    """What the machine has to give now."""
    from edge_ttp.budget.device import inspect

    return {"device": asdict(await run_in_threadpool(inspect))}


async def doctor(call: Exchange) -> list[Finding]:
    """The findings about this installation."""
    from edge_ttp.lab.doctor import examine

    checks = await run_in_threadpool(lambda: list(examine(call.state.runtime.runtime.paths)))
    return [Finding(name=one.name, status=one.status, detail=one.detail, cure=one.cure) for one in checks]


async def diagnosed(call: Exchange) -> dict[str, Any]:
    """What holds selection back for this user, by their own evidence."""
    from edge_ttp.lab.diagnosis.own_report import own_report

    user, runtime = call.user(), call.state.runtime.runtime
    resamples = call.number("bootstrap", 200, 2000)
    return await run_in_threadpool(
        lambda: own_report(runtime.history, runtime.models.reward(), user, resamples=resamples)
    )


ENDPOINTS = (
    Endpoint("GET", "/ttp/v1/info", "Version, protocol and instance, for a handshake.", info, gives=Info),
    Endpoint("GET", "/ttp/v1/models", "The models of the store.", models, gives=ModelLine, many=True),
    Endpoint(
        "POST",
        "/ttp/v1/plan",
        "How a request would be answered now: candidates, seconds, gain, and what bounds them.",
        planned,
        takes=PlanWish,
        queries=(_USER,),
        missing=True,
    ),
    Endpoint("GET", "/ttp/v1/device", "Cores, load, memory, power and GPUs.", device),
    Endpoint(
        "GET",
        "/ttp/v1/diagnose",
        "What holds selection back for this user, by what they wrote and said of answers.",
        diagnosed,
        queries=(_USER, Parameter("bootstrap", "Resamples for the intervals, 1 to 2,000. Default: 200.", number=True)),
        missing=True,
    ),
    Endpoint("GET", "/ttp/v1/doctor", "The health of the installation.", doctor, gives=Finding, many=True),
)
