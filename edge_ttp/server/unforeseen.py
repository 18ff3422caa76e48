"""Faults of ours: the client gets a number, the log the same number and the place; no text of anybody goes anywhere."""

from __future__ import annotations

import logging
import secrets
import traceback
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from edge_ttp.server.replies import Refusal

_log = logging.getLogger("edge_ttp.server")

_ANSWERED = "edge_ttp.fault"
_FRAMES = 12


def fault(error: BaseException, scope: Scope) -> Refusal:
    """The answer to a fault, which is logged with its kind and the places it came through, the innermost first.

    Not with its message, which may hold what somebody wrote.
    """
    number = secrets.token_hex(4)
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = " < ".join(f"{Path(one.filename).name}:{one.lineno}" for one in reversed(frames))
    _log.error("fault %s: %s at %r: %s", number, type(error).__name__, str(scope["path"])[:200], places)
    scope[_ANSWERED] = True
    return Refusal(500, "fault", f"an unexpected fault ({number})", "see the server's log", 1)


class FaultsEndHere:
    """An application whose faults were told or logged. Whoever serves it would log them with all that they say."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As the application; a fault after the answer has begun cuts it off."""
        try:
            await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # answered already, or too late for an answer
            if not scope.get(_ANSWERED):
                fault(error, scope)
