"""Our own protocol: files of the user's writing, taken in, listed and undone."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from threading import Event as Flag
from typing import Any

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from edge_ttp.errors import Cancelled, HistoryUnavailable, NotFound, write_cure
from edge_ttp.history.importing import Imported
from edge_ttp.paths import private_folder
from edge_ttp.server.endpoints import Endpoint, Exchange, Parameter
from edge_ttp.server.sse import EventStream
from edge_ttp.server.work import Tell, followed

_USER = Parameter("user", "A sub-user of the token's user.")
_NAME = re.compile(r"[^\w. -]")


class UnstoredRecord(BaseModel):
    """A record that could not be stored."""

    number: int
    """Line, mail or conversation of the file, from 1."""
    reason: str


class ImportSummary(BaseModel):
    """What became of an import."""

    id: int | None
    """By which it can be undone; null where nothing was added."""
    added: int
    duplicates: int
    bad: int
    named: list[UnstoredRecord]
    """The first bad records."""
    skipped: dict[str, int]
    """Why records were passed over that are not the user's own writing -> how many."""
    remarks: list[str]


class ImportLine(BaseModel):
    """What is left of an import."""

    id: int
    name: str
    created_at: str
    items: int


class Undone(BaseModel):
    """What went with an import."""

    items: int


async def imported(call: Exchange) -> Response:
    """The body, a file called `name`, into the user's history."""
    user, name = call.user(), _NAME.sub("_", Path(call.text("name") or "").name)[-200:]
    if not name.strip(". "):  # `..` is a folder
        name = "import.jsonl"
    kind, form = call.text("kind"), call.text("form")
    folder = tempfile.TemporaryDirectory(prefix="import-", dir=private_folder(call.state.runtime.runtime.paths.cache))
    path = Path(folder.name) / name
    try:
        with path.open("wb") as file:
            async for part in call.request.stream():
                await run_in_threadpool(file.write, part)
    except OSError as error:
        folder.cleanup()
        raise HistoryUnavailable(f"the file cannot be taken in ({error.strerror})", write_cure(error)) from error
    except BaseException:
        folder.cleanup()
        raise

    def work(tell: Tell, cancel: Flag) -> dict[str, Any]:
        def advance(done: float) -> None:
            if cancel.is_set():
                raise Cancelled("the import was cancelled", "send the file again: what is stored is skipped")
            tell({"done": done})

        with folder:
            done = call.state.runtime.runtime.import_(path, user=user, kind=kind, form=form, advance=advance)
        return summary(done).model_dump()

    if call.text("stream") == "true":
        return EventStream(followed(call.path, work, "imported"))
    return JSONResponse(await run_in_threadpool(work, lambda _: None, Flag()))


async def listed(call: Exchange) -> list[ImportLine]:
    """The user's imports, newest first."""
    user = call.user()
    rows = await run_in_threadpool(call.state.runtime.history.imports, user)
    return [
        ImportLine(id=one.id, name=Path(one.name).name, created_at=one.created_at.isoformat(), items=one.items)
        for one in rows
    ]


async def undone(call: Exchange) -> Undone:
    """Takes an import out again."""
    user, text = call.user(), call.request.path_params["import_id"]
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise NotFound(f"there is no import {text[:50]!r}", "see GET /ttp/v1/history/imports")
    gone = await run_in_threadpool(call.state.runtime.history.undo_import, int(text), user)
    return Undone(items=gone.items)


def summary(done: Imported) -> ImportSummary:
    """The outcome as it is sent."""
    return ImportSummary(
        id=done.id,
        added=done.added,
        duplicates=done.duplicates,
        bad=done.bad,
        named=[UnstoredRecord(number=one.number, reason=one.reason) for one in done.named],
        skipped=dict(done.skipped),
        remarks=list(done.remarks),
    )


ENDPOINTS = (
    Endpoint(
        "POST",
        "/ttp/v1/history/import",
        "A file of the user's writing (the body) into the history: mails, conversations, tables, notes, JSON lines.",
        imported,
        gives=ImportSummary,
        stream=True,
        queries=(
            _USER,
            Parameter("name", "The file's name, whose ending helps to tell what it is."),
            Parameter("kind", "Kind of every item."),
            Parameter("form", "The format, where the file should not tell it."),
            Parameter("stream", "true: events `progress`, then `imported`."),
        ),
    ),
    Endpoint(
        "GET", "/ttp/v1/history/imports", "The user's imports.", listed, gives=ImportLine, many=True, queries=(_USER,)
    ),
    Endpoint(
        "DELETE",
        "/ttp/v1/history/imports/{import_id}",
        "Take an import out again.",
        undone,
        gives=Undone,
        queries=(_USER,),
        missing=True,
    ),
)
