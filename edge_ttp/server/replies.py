"""Errors as HTTP answers: OpenAI's shape below /v1, with our cure and exit code; our own shape elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

from edge_ttp.errors import (
    Cancelled,
    DeadlineTooShort,
    DownloadFailed,
    EdgeTTPError,
    ExtraMissing,
    HistoryUnavailable,
    InvalidInput,
    ModelUnavailable,
    NotFound,
    OutOfCapacity,
)


class Full(EdgeTTPError):
    """More requests that draw than are taken at once."""

    code, exit_code = "too_many_requests", 2

    def __init__(self, fact: str = "too many requests are under way", cure: str = "try again in a moment") -> None:
        super().__init__(fact, cure)


STATUS: dict[type[EdgeTTPError], int] = {
    InvalidInput: 400,
    NotFound: 404,
    OutOfCapacity: 400,
    DeadlineTooShort: 400,
    ModelUnavailable: 503,
    HistoryUnavailable: 503,
    DownloadFailed: 502,
    ExtraMissing: 501,
    Cancelled: 499,
    Full: 429,
}
"""Error -> HTTP status. 503 is what another try may mend; SDKs try again by themselves then."""

_RETRY_AFTER_S = {429: "1", 503: "2"}
_OPENAI_CODES = {"out_of_capacity": "context_length_exceeded"}


def is_openai(path: str) -> bool:
    """Whether answers at `path` have OpenAI's shapes."""
    return path.startswith("/v1/")


@dataclass(frozen=True)
class Refusal:
    """What is wrong, and what to do."""

    status: int
    """HTTP status."""
    code: str
    fact: str
    cure: str
    exit_code: int = 2

    def body(self, path: str) -> dict[str, Any]:
        """The object that says so, in the shape that the path's clients read."""
        if is_openai(path):
            line = f"{self.fact}; {self.cure}" if self.cure else self.fact
            kind = "invalid_request_error" if self.status < 500 else "server_error"
            if self.status == 401:
                kind = "authentication_error"
            code = _OPENAI_CODES.get(self.code, self.code)
            error: dict[str, Any] = {"message": line, "type": kind, "param": None, "code": code}
            return {"error": {**error, "cure": self.cure, "exit_code": self.exit_code}}
        if path.startswith("/api/"):  # Ollama's clients show a text
            line = f"{self.fact}; {self.cure}" if self.cure else self.fact
            return {"error": line, "code": self.code, "cure": self.cure, "exit_code": self.exit_code}
        error = {"code": self.code, "message": self.fact, "cure": self.cure, "exit_code": self.exit_code}
        return {"error": error}

    def answer(self, path: str) -> JSONResponse:
        """The whole answer."""
        seconds = _RETRY_AFTER_S.get(self.status)
        headers = None if seconds is None else {"retry-after": seconds}
        return JSONResponse(self.body(path), status_code=self.status, headers=headers)


def refusal_of(error: EdgeTTPError) -> Refusal:
    """What an error is over HTTP."""
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
    return Refusal(status, error.code, error.fact, error.cure, error.exit_code)
