"""Our own protocol: the first start - which model, whose texts - for the installation's owner alone.

A path or a model that is named here is read or fetched with the owner's rights: other tokens are refused.
"""

from __future__ import annotations

from pathlib import Path
from threading import Event as Flag
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from edge_ttp.budget import device
from edge_ttp.errors import Cancelled, InvalidInput
from edge_ttp.exchange.likely_places import likely_places
from edge_ttp.paths import expanded
from edge_ttp.registry.offers import suggest
from edge_ttp.server.endpoints import Endpoint, Exchange, Parameter
from edge_ttp.server.native_imports import summary
from edge_ttp.server.replies import Refusal
from edge_ttp.server.sse import EventStream
from edge_ttp.server.work import Tell, followed
from edge_ttp.system.settings import change_settings, settings_in_force

_USER = Parameter("user", "A sub-user of the token's user.")


class ModelChoice(BaseModel):
    """A policy that can be chosen."""

    name: str
    description: str
    licence: str
    licence_url: str
    size: int
    """Bytes, about."""
    here: bool
    """Whether its files are on this device."""
    along: bool
    """Whether they came along with this program: choosing it copies them, and needs no network."""
    fits: bool
    """Whether this device has the memory and the speed for it."""
    reason: str
    """Why it fits or not, in words; empty where nothing was asked."""


class WritingPlace(BaseModel):
    """A file or folder of this machine that may hold the owner's writing."""

    path: str
    sort: str
    """mail, conversations, notes or git."""
    git: bool


class Start(BaseModel):
    """What is there, and what is missing for a first answer."""

    ready: bool
    """Whether the policy that is used is on this device."""
    policy: str
    items: int
    """Texts of the user."""
    models: list[ModelChoice]
    places: list[WritingPlace]


class ChosenModel(BaseModel):
    """Which policy is to be used from now on."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=500)


class PathImport(BaseModel):
    """What to take in from this machine."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=4096)
    git: bool = False
    """The log of the repository at `path`."""
    kind: str | None = None
    authors: list[str] = []
    """Who the user is in mails, chats and logs. Empty: whoever the file tells."""


def only_owner(call: Exchange) -> Response | None:
    """The refusal of anybody but the installation's owner; None for the owner."""
    if call.bearer.name in ("own", "owner"):
        return None
    return Refusal(403, "owner_only", "only the installation's owner may do this", "use its own token").answer(
        call.path
    )


async def start(call: Exchange) -> Start | Response:
    """Models, places and what is there already."""
    refused = only_owner(call)
    if refused is not None:
        return refused
    runtime, user = call.state.runtime.runtime, call.user()

    def look() -> Start:
        lines = [one for one in runtime.registry.list() if one.kind == "policy" and one.variant_of is None]
        known = {one.name for one in lines}
        used = runtime.models.policy
        choices = [
            ModelChoice(
                name=one.name,
                description=one.description,
                licence=one.licence,
                licence_url=one.licence_url,
                size=one.size,
                here=one.installed,
                along=any(
                    source.type == "file"
                    for file in runtime.registry.manifest(one.name).files
                    for source in file.sources
                ),
                fits=True,
                reason="",
            )
            for one in lines
        ]
        offered = suggest(
            [one for one in runtime.registry.offers() if one.name not in known],
            memory_bytes=device.available_memory(),
            cores=device.cores(),
            language=settings_in_force(runtime.paths).language or "en",
        )
        choices += [
            ModelChoice(
                name=one.offer.name,
                description=one.offer.description,
                licence=one.offer.licence,
                licence_url=one.offer.licence_url,
                size=one.offer.download_mb * 10**6,
                here=False,
                along=False,
                fits=one.fits,
                reason=one.reason,
            )
            for one in offered
        ]
        ready = Path(used).is_file() or any(one.name == used.partition(":")[0] and one.here for one in choices)
        places = [WritingPlace(path=str(one.path), sort=one.sort, git=one.git) for one in likely_places(Path.home())]
        return Start(ready=ready, policy=used, items=runtime.history.count(user), models=choices, places=places)

    return await run_in_threadpool(look)


async def choose(call: Exchange) -> Response:
    """Progress events while the model is fetched (if it is not here), then `chosen`."""
    refused = only_owner(call)
    if refused is not None:
        return refused
    name, runtime = (await call.body(ChosenModel)).name, call.state.runtime.runtime

    def work(tell: Tell, cancel: Flag) -> dict[str, Any]:
        offered = {one.name for one in runtime.registry.offers()}
        if name not in offered:
            runtime.registry.manifest(name)  # a name of the store, never a path: raises NotFound
        path = runtime.registry.pull(
            name, progress=lambda done, total: tell({"done": done, "total": total}), cancel=cancel
        )
        called = name if name not in offered else path.parent.name
        change_settings(runtime.paths, "model", called)
        runtime.use_model(called)
        runtime.warm(cancel=cancel)
        call.state.loading = False
        return {"name": called}

    return EventStream(followed(call.path, work, "chosen"))


async def imported(call: Exchange) -> Response:
    """Progress events while a file, folder or repository is read, then `imported`."""
    refused = only_owner(call)
    if refused is not None:
        return refused
    wish, user, runtime = await call.body(PathImport), call.user(), call.state.runtime.runtime
    path = expanded(wish.path)
    if not path.is_absolute():
        raise InvalidInput(f"{wish.path[:200]!r} is not a whole path", "begin it with / or ~")

    def work(tell: Tell, cancel: Flag) -> dict[str, Any]:
        def advance(done: float) -> None:
            if cancel.is_set():
                raise Cancelled("the import was cancelled", "do it again: what is stored is skipped")
            tell({"done": done})

        form = "git" if wish.git else None
        done = runtime.import_(path, user=user, form=form, kind=wish.kind, authors=wish.authors, advance=advance)
        return summary(done).model_dump()

    return EventStream(followed(call.path, work, "imported"))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/ttp/v1/start",
        "What a first start needs: models to choose from, places where writing lies. The owner's token only.",
        start,
        gives=Start,
        queries=(_USER,),
    ),
    Endpoint(
        "POST",
        "/ttp/v1/start/model",
        "Use this policy from now on, fetched if it is not here: events `progress`, then `chosen`. The owner only.",
        choose,
        takes=ChosenModel,
        media="text/event-stream",
    ),
    Endpoint(
        "POST",
        "/ttp/v1/start/import",
        "Take in a file, folder or repository of this machine: events `progress`, then `imported`. The owner only.",
        imported,
        takes=PathImport,
        media="text/event-stream",
        queries=(_USER,),
    ),
)
