"""Our own protocol: what a user wrote - list, search, add, recall, forget, export."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response, StreamingResponse

from edge_ttp.errors import InvalidInput, NotFound
from edge_ttp.exchange.dates import moment_of
from edge_ttp.schema import MAX_TEXT, HistoryItem, utc_now
from edge_ttp.server.endpoints import Endpoint, Exchange, Parameter

MOST_ROWS = 1000
_USER = Parameter("user", "A sub-user of the token's user.")
_LIMIT = Parameter("limit", f"At most so many, 1 to {MOST_ROWS}. 50 where it is not given.", number=True)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewItem(_Body):
    """Something the user wrote."""

    input: str = Field(default="", max_length=MAX_TEXT)
    output: str = Field(min_length=1, max_length=MAX_TEXT)
    kind: str = "text"
    date: str | None = None
    """When it was written, ISO 8601. None: now."""
    metadata: dict[str, Any] = {}


class FoundItem(_Body):
    """An item that a search or a recall found."""

    item: HistoryItem
    score: float | None = None
    """recall: BM25, above 0; 0 for a recent item that shares no word."""
    field: str | None = None
    """search: where the words stand, `input` or `output`."""
    snippet: str | None = None
    highlights: list[tuple[int, int]] = []
    """search: (start, end) of the words in the snippet."""


class Wish(_Body):
    """What to forget: exactly one of them."""

    item: int | None = None
    before: str | None = None
    """Everything older than this moment, ISO 8601."""
    everything: bool = False
    preview: bool = False
    """Only count what would go."""


class Gone(_Body):
    """What went, or would go."""

    items: int
    generations: int
    calibrations: int = 0
    overwritten: bool = False
    """Whether the remains in the file were overwritten at once; else at the next opening."""
    preview: bool = False


class Counted(_Body):
    """What the history holds of the user."""

    items: int
    kinds: dict[str, int]
    sources: dict[str, int]
    oldest: str | None
    newest: str | None
    generations: int
    feedback: dict[str, int]


async def listed(call: Exchange) -> list[HistoryItem]:
    """The newest items."""
    user, limit, kind = call.user(), call.number("limit", 50, MOST_ROWS), call.text("kind")
    history = call.state.runtime.history
    return await run_in_threadpool(lambda: history.items(user, kind=kind, limit=limit))


async def added(call: Exchange) -> HistoryItem:
    """The item as stored."""
    given, user = await call.body(NewItem), call.user()
    item = HistoryItem(
        user_id=user,
        input=given.input,
        output=given.output,
        kind=given.kind,
        source="server",
        metadata=given.metadata,
        created_at=utc_now() if given.date is None else moment_of("date", given.date),
    )
    return await run_in_threadpool(call.state.runtime.history.add, item)


async def searched(call: Exchange) -> list[FoundItem]:
    """Items that hold every word of `q`."""
    user, limit, words = call.user(), call.number("limit", 50, MOST_ROWS), call.text("q") or ""
    rows = await run_in_threadpool(call.state.runtime.history.search, user, words, limit)
    return [
        FoundItem(item=row.item, field=row.field, snippet=row.snippet, highlights=list(row.highlights)) for row in rows
    ]


async def recalled(call: Exchange) -> list[FoundItem]:
    """Items that resemble `q`, as a request would recall them."""
    user, limit, text = call.user(), call.number("limit", 4, MOST_ROWS), call.text("q") or ""
    history, kind = call.state.runtime.history, call.text("kind")
    rows = await run_in_threadpool(lambda: history.recall(user, text, limit, kind=kind))
    return [FoundItem(item=row.item, score=row.score) for row in rows]


async def forgotten(call: Exchange) -> Gone:
    """What went; with `preview`, what would go."""
    wish, user = await call.body(Wish), call.user()
    if (wish.item is not None) + (wish.before is not None) + wish.everything != 1:
        raise InvalidInput("say what to forget", "give one of item, before, or everything")
    before = None if wish.before is None else moment_of("before", wish.before)
    history = call.state.runtime.history
    if wish.preview:

        def count() -> Gone:
            if wish.item is not None:
                history.item(wish.item, user)
                return Gone(items=1, generations=0, preview=True)
            items = history.items(user, before=before) if before is not None else history.items(user)
            made = history.generations(user)
            old = [one for one in made if before is None or one.created_at < before]
            return Gone(items=len(items), generations=len(old), preview=True)

        return await run_in_threadpool(count)
    gone = await run_in_threadpool(
        lambda: history.forget(user, item_id=wish.item, before=before, everything=wish.everything)
    )
    return Gone(
        items=gone.items, generations=gone.generations, calibrations=gone.calibrations, overwritten=gone.overwritten
    )


async def counted(call: Exchange) -> Counted:
    """Counts of the user's own."""
    found = await run_in_threadpool(call.state.runtime.history.stats, call.user())
    return Counted(
        items=found.items,
        kinds=found.kinds,
        sources=found.sources,
        oldest=found.oldest.isoformat() if found.oldest else None,
        newest=found.newest.isoformat() if found.newest else None,
        generations=found.generations,
        feedback=found.feedback,
    )


async def exported(call: Exchange) -> Response:
    """JSON lines of everything that the user owns."""
    user, history = call.user(), call.state.runtime.history
    everything = call.text("everything") == "true"
    from edge_ttp.exchange.jsonl import line_of

    if user not in await run_in_threadpool(history.users):
        raise NotFound(f"nothing is stored for {user!r}", "add or import something first")

    def lines() -> Iterator[str]:
        return (line_of(record) for record in history.records(user, everything=everything))

    async def sent() -> AsyncIterator[str]:
        async for line in iterate_in_threadpool(lines()):
            yield line

    name = {"content-disposition": 'attachment; filename="history.jsonl"'}
    return StreamingResponse(sent(), media_type="application/jsonl", headers=name)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/ttp/v1/history",
        "The user's newest items.",
        listed,
        gives=HistoryItem,
        many=True,
        queries=(_USER, _LIMIT, Parameter("kind", "Only items of this kind.")),
    ),
    Endpoint(
        "POST",
        "/ttp/v1/history",
        "Add something the user wrote.",
        added,
        takes=NewItem,
        gives=HistoryItem,
        queries=(_USER,),
    ),
    Endpoint(
        "GET",
        "/ttp/v1/history/search",
        "Items that hold every word of q.",
        searched,
        gives=FoundItem,
        many=True,
        queries=(_USER, Parameter("q", "Words."), _LIMIT),
    ),
    Endpoint(
        "GET",
        "/ttp/v1/history/recall",
        "Items that resemble q, as a request would recall them.",
        recalled,
        gives=FoundItem,
        many=True,
        queries=(_USER, Parameter("q", "A prompt."), _LIMIT, Parameter("kind", "Only items of this kind.")),
    ),
    Endpoint(
        "POST",
        "/ttp/v1/history/forget",
        "Forget an item, what is older than a moment, or everything; with preview, count it.",
        forgotten,
        takes=Wish,
        gives=Gone,
        queries=(_USER,),
        missing=True,
    ),
    Endpoint(
        "GET", "/ttp/v1/history/stats", "What the history holds of the user.", counted, gives=Counted, queries=(_USER,)
    ),
    Endpoint(
        "GET",
        "/ttp/v1/history/export",
        "Everything of the user as JSON lines.",
        exported,
        media="application/jsonl",
        queries=(_USER, Parameter("everything", "true: generations, judgments and what was learned too.")),
        missing=True,
    ),
)
