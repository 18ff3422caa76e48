"""Our own protocol: what is kept of a user and where, for how long, what forgetting would take, how they write."""

from __future__ import annotations

import stat

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from edge_ttp.errors import InvalidInput
from edge_ttp.exchange.dates import moment_of
from edge_ttp.learning.habits import NEWEST, habits
from edge_ttp.server.endpoints import Endpoint, Exchange, Parameter
from edge_ttp.server.native_history import Wish

_USER = Parameter("user", "A sub-user of the token's user.")
_SHOWN = 5
_LONGEST = 300


class Kept(BaseModel):
    """What is kept of a user, and how it is guarded."""

    user: str
    file: str
    """The history, where everything lies."""
    bytes: int
    mode: str
    """Its rights, as chmod writes them."""
    encrypted: bool
    items: int
    kinds: dict[str, int]
    generations: int
    judgments: dict[str, int]
    retention_days: int | None
    """Days that answers are kept; null: until they are forgotten."""
    people: list[str]
    """Users that this token may ask for, by the names that requests give: empty for the token's own."""


class Retention(BaseModel):
    """How long answers are kept."""

    model_config = ConfigDict(extra="forbid")

    days: int | None = Field(ge=1)
    """null: until they are forgotten."""


class Shortened(BaseModel):
    """What a new retention took at once."""

    retention_days: int | None
    deleted: int


class ForgetPreview(BaseModel):
    """What forgetting would take."""

    items: int
    generations: int
    texts: list[str]
    """The first of the user's texts, shortened."""
    answers: list[str]
    """The first of the answers, shortened."""


class HabitLine(BaseModel):
    """A habit in plain words."""

    name: str
    value: float
    phrase: str
    words: str
    example: str


async def kept(call: Exchange) -> Kept:
    """Counts, the file and its guards."""
    user, history, bearer = call.user(), call.state.runtime.history, call.bearer

    def look() -> Kept:
        stats, file = history.stats(user), history.path
        status = file.stat() if file.exists() else None
        others = [one for one in history.users() if bearer.owns(one) and one != bearer.user]
        prefix = "" if bearer.exact else bearer.user + "/"
        return Kept(
            user=user,
            file=str(file),
            bytes=status.st_size if status else 0,
            mode=f"{stat.S_IMODE(status.st_mode):04o}" if status else "",
            encrypted=history.health().encrypted,
            items=stats.items,
            kinds=stats.kinds,
            generations=stats.generations,
            judgments=stats.feedback,
            retention_days=history.retention(user),
            people=["", *(one.removeprefix(prefix) for one in sorted(others))],
        )

    return await run_in_threadpool(look)


async def kept_for(call: Exchange) -> Shortened:
    """The retention as it is now."""
    wish, user, history = await call.body(Retention), call.user(), call.state.runtime.history
    deleted = await run_in_threadpool(history.set_retention, user, wish.days)
    return Shortened(retention_days=wish.days, deleted=deleted)


async def previewed(call: Exchange) -> ForgetPreview:
    """What would go, counted and with its first texts. Nothing is forgotten."""
    wish, user, history = await call.body(Wish), call.user(), call.state.runtime.history
    if (wish.item is not None) + (wish.before is not None) + wish.everything != 1:
        raise InvalidInput("say what to forget", "give one of item, before, or everything")
    before = None if wish.before is None else moment_of("before", wish.before)

    def look() -> ForgetPreview:
        if wish.item is not None:
            return ForgetPreview(
                items=1, generations=0, texts=[_short(history.item(wish.item, user).output)], answers=[]
            )
        items = history.items(user, before=before) if before is not None else history.items(user)
        made = [one for one in history.generations(user) if before is None or one.created_at < before]
        return ForgetPreview(
            items=len(items),
            generations=len(made),
            texts=[_short(one.output) for one in items[:_SHOWN]],
            answers=[_short(one.text) for one in made[:_SHOWN]],
        )

    return await run_in_threadpool(look)


async def habits_of(call: Exchange) -> list[HabitLine]:
    """What the user's texts have in common."""
    user, history = call.user(), call.state.runtime.history

    def look() -> list[HabitLine]:
        items = history.items(user, limit=NEWEST, prompts=False)
        return [HabitLine(**vars(one)) for one in habits([one.output for one in items])]

    return await run_in_threadpool(look)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


ENDPOINTS = (
    Endpoint(
        "GET", "/ttp/v1/privacy", "What is kept of a user, and how it is guarded.", kept, gives=Kept, queries=(_USER,)
    ),
    Endpoint(
        "PUT",
        "/ttp/v1/privacy/retention",
        "How long answers are kept.",
        kept_for,
        takes=Retention,
        gives=Shortened,
        queries=(_USER,),
    ),
    Endpoint(
        "POST",
        "/ttp/v1/privacy/preview",
        "What forgetting would take, with the first texts; nothing is forgotten.",
        previewed,
        takes=Wish,
        gives=ForgetPreview,
        queries=(_USER,),
        missing=True,
    ),
    Endpoint(
        "GET",
        "/ttp/v1/habits",
        "How the user writes, in plain words with examples.",
        habits_of,
        gives=HabitLine,
        many=True,
        queries=(_USER,),
    ),
)
