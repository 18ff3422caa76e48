"""Endpoints as data: a path, a method, what goes in and out; routes and the OpenAPI description are made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge_ttp.errors import EdgeTTPError, InvalidInput
from edge_ttp.server.access import Bearer
from edge_ttp.server.complaints import explained
from edge_ttp.server.replies import Refusal, refusal_of
from edge_ttp.server.state import State
from edge_ttp.server.wanted import parse_json

Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[["Exchange"], Awaitable[Any]]


class Exchange:
    """One request to an endpoint: who asks, with what."""

    def __init__(self, request: Request, bearer: Bearer | None, path: str) -> None:
        self.request = request
        self.state: State = request.app.state.edge_ttp
        self._bearer = bearer
        self.path = path

    @property
    def bearer(self) -> Bearer:
        """Whoever showed a known token. Only endpoints with a token ask for it."""
        assert self._bearer is not None
        return self._bearer

    @property
    def known(self) -> Bearer | None:
        """Whoever showed a known token, None for nobody."""
        return self._bearer

    def user(self) -> str:
        """The user that the request means: the token's, or the sub-user named in the query."""
        return self.bearer.user_for(self.request.query_params.get("user"))

    async def body(self, kind: type[Body]) -> Body:
        """The request's JSON as `kind`. Raises InvalidInput."""
        data = await self.request.body()
        try:
            return kind.model_validate(parse_json(data) if data else {})
        except ValidationError as wrong:
            raise explained(wrong) from wrong

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number of the query, 1 to `most`. Raises InvalidInput."""
        text = self.request.query_params.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
            raise InvalidInput(f"{name}={text[:50]!r} is out of range", f"choose 1 to {most}")
        return int(text)

    def text(self, name: str) -> str | None:
        """A text of the query, None where it is not given or empty."""
        return self.request.query_params.get(name) or None


@dataclass(frozen=True)
class Parameter:
    """A parameter of the query, as the description names it."""

    name: str
    about: str
    number: bool = False


@dataclass(frozen=True)
class Endpoint:
    """One thing that can be asked."""

    method: str
    path: str
    about: str
    handler: Handler
    takes: type[BaseModel] | None = None
    """The JSON body."""
    gives: type[BaseModel] | None = None
    """The JSON answer; None: an object described in words alone."""
    many: bool = False
    """The answer is a list of `gives`."""
    queries: tuple[Parameter, ...] = ()
    media: str = "application/json"
    """The answer's type."""
    stream: bool = False
    """The body is raw data."""
    token: bool = True
    """Whether a known token has to be shown."""
    missing: bool = False
    """Whether what the path names may not exist."""


def routes_of(endpoints: Sequence[Endpoint]) -> list[Route]:
    """Starlette's routes."""
    return [Route(one.path, _handler(one), methods=[one.method]) for one in endpoints]


def _handler(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        state: State = request.app.state.edge_ttp
        try:
            bearer = await run_in_threadpool(state.bearer, request)
            if endpoint.token and bearer is None:
                return unknown(endpoint.path)
            answer = await endpoint.handler(Exchange(request, bearer, endpoint.path))
        except EdgeTTPError as error:
            return refusal_of(error).answer(endpoint.path)
        if isinstance(answer, Response):
            return answer
        return JSONResponse(plain(answer))

    return handle


def unknown(path: str) -> Response:
    """The answer to somebody without a known token."""
    cure = "send Authorization: Bearer TOKEN (`edge-ttp tokens show` prints it)"
    answer = Refusal(401, "no_token", "no known token was shown", cure).answer(path)
    answer.headers["www-authenticate"] = "Bearer"
    return answer


def plain(value: Any) -> Any:
    """`value` as JSON takes it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
