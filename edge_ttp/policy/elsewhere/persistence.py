"""How long an engine elsewhere is waited for, which failures are worth another try, and how many requests it takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_ttp.errors import EdgeTTPError

if TYPE_CHECKING:
    import tenacity

LEAST_TRIES = 3
_WELL = 32
"""Requests that have to go well one after another before one more is sent at once."""


@dataclass(frozen=True)
class Persistence:
    """Time limits, in seconds."""

    connect_s: float = 5.0
    silence_s: float = 120.0
    """Longest wait for the next word of an answer, the first one included."""
    gone_s: float = 60.0
    """How long a request that fails is tried again, and at least LEAST_TRIES times in all."""
    first_wait_s: float = 0.25
    """Before the second try; twice as long before each further one, with chance in it."""
    longest_wait_s: float = 10.0


class Failed(Exception):
    """A request that may be worth another try."""

    def __init__(self, fact: str, *, after_s: float | None = None, crowded: bool = False) -> None:
        super().__init__(fact)
        self.fact = fact
        self.after_s = after_s
        """What the engine said to wait."""
        self.crowded = crowded
        """Whether fewer requests at once may help."""


def trying(patience: Persistence) -> tenacity.AsyncRetrying:
    """Tries a block again while it raises Failed and the patience lasts; then raises the last one."""
    import tenacity

    usual = tenacity.wait_random_exponential(multiplier=patience.first_wait_s, max=patience.longest_wait_s)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        said = error.after_s if isinstance(error, Failed) else None
        return float(usual(state)) if said is None else min(said, patience.longest_wait_s)

    return tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(Failed),
        wait=wait,
        stop=tenacity.stop_all(tenacity.stop_after_delay(patience.gone_s), tenacity.stop_after_attempt(LEAST_TRIES)),
        reraise=True,
    )


class Lanes:
    """How many requests run at once: fewer after the engine showed that they are too many for it.

    llama-cpp-python's server, for one, breaks an answer off when another request comes.
    """

    def __init__(self, widest: int) -> None:
        self.most = self._widest = widest
        self._well = 0
        self._running = 0
        self._free = asyncio.Condition()

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[None]:
        """Waits for its turn."""
        async with self._free:
            await self._free.wait_for(lambda: self._running < self.most)
            self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            async with self._free:
                self._free.notify()

    def narrow(self) -> None:
        """Half as many from now on."""
        self.most, self._well = max(1, self.most // 2), 0

    def went_well(self) -> None:
        """Counts a request that was answered; after many of them one more may run at once."""
        self._well += 1
        if self._well >= _WELL and self.most < self._widest:
            self.most, self._well = self.most + 1, 0


class Refused(EdgeTTPError):
    """What an engine elsewhere will not do, however often it is asked."""

    code, exit_code = "model_unavailable", 3

    def __init__(self, fact: str, cure: str, *, status: int) -> None:
        super().__init__(fact, cure)
        self.status = status
