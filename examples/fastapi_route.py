"""A FastAPI route that drafts as the person who asks. Needs fastapi; `edge-ttp serve` is the whole server.

fastapi dev examples/fastapi_route.py       serves it
python examples/fastapi_route.py            calls it once, without a network
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

from edge_ttp import AsyncRuntime, Budget, EdgeTTPError


class Asked(BaseModel):
    """What a client sends."""

    prompt: str
    user: str
    seconds: float = 10.0


@asynccontextmanager
async def life(app: FastAPI) -> AsyncIterator[None]:
    """One runtime for the app's life."""
    async with AsyncRuntime.open() as runtime:
        app.state.runtime = runtime
        yield


app = FastAPI(lifespan=life)


@app.exception_handler(EdgeTTPError)
async def refuse(_: Request, error: Exception) -> JSONResponse:
    """One line with the cure, as the command line says it."""
    assert isinstance(error, EdgeTTPError)
    return JSONResponse(error.as_dict(), status_code=422)


@app.post("/draft")
async def draft(asked: Asked, request: Request) -> dict[str, str]:
    """The answer. A client that hangs up cancels it."""
    runtime: AsyncRuntime = request.app.state.runtime
    made = await runtime.generate(asked.prompt, user=asked.user, budget=Budget(deadline_s=asked.seconds))
    return {"text": made.text, "id": made.generation_id, "because": made.selection.reason}


@app.post("/draft/stream")
async def stream(asked: Asked, request: Request) -> StreamingResponse:
    """The answer's text as it becomes certain."""
    runtime: AsyncRuntime = request.app.state.runtime
    return StreamingResponse(runtime.text(asked.prompt, user=asked.user, n=1), media_type="text/plain")


def main() -> None:
    """Calls both routes."""
    from fastapi.testclient import TestClient

    with TestClient(app) as client:
        sent = {"prompt": "The server moves on Tuesday.", "user": "ada"}
        print(client.post("/draft", json=sent).json())
        print(client.post("/draft/stream", json=sent).text)
        print(client.post("/draft", json={**sent, "prompt": " "}).json())


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
