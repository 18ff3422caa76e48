"""Asks an engine that speaks OpenAI's protocol: requests with retries, answers piece by piece, in an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from edge_ttp.errors import ModelUnavailable, NotFound
from edge_ttp.policy.elsewhere.address import KEY_VARIABLE, EngineAddress, engine_key
from edge_ttp.policy.elsewhere.openai_form import (
    Abilities,
    AnswerLine,
    NotOpenAI,
    Piece,
    Way,
    data_of,
    error_text,
    said,
)
from edge_ttp.policy.elsewhere.persistence import Failed, Lanes, Persistence, Refused, trying

if TYPE_CHECKING:
    import httpx

_FIRST_S = 2.0
"""How long an engine is looked for before anything was asked of it."""
LANES = 16
"""Requests at once, at most."""

_LONGEST_LINE = 4 * 2**20
_LONGEST_REFUSAL = 64 * 2**10
_WORTH_ANOTHER_TRY = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_CROWDED = frozenset({429, 503})


class Ear(Protocol):
    """Hears one answer."""

    def hear(self, line: AnswerLine) -> bool:
        """Takes a line; False where the engine would go on for nothing."""

    def satisfied(self) -> bool:
        """Whether an answer that ended here may be a whole one."""


Try = Callable[[], tuple[dict[str, Any], Ear] | None]
"""What a try asks for and who hears it; None where nothing is left to ask."""


class _Probe:
    """Keeps whatever comes."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def hear(self, line: AnswerLine) -> bool:
        """Keeps it."""
        self.pieces += line.pieces
        return True

    def satisfied(self) -> bool:
        """Whether anything came."""
        return bool(self.pieces)


class OpenAIEngine:
    """A connection to one engine. Made, used and closed in one event loop."""

    def __init__(self, address: EngineAddress, patience: Persistence) -> None:
        import httpx

        self.address, self._patience = address, patience
        key = engine_key()
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(patience.silence_s, connect=patience.connect_s),
            limits=httpx.Limits(max_connections=LANES + 2),
            # A redirect would send the prompt to somebody whom the user has not named; a proxy is theirs to name.
            follow_redirects=False,
            trust_env=not address.local,
            headers={"accept-encoding": "identity", **({"authorization": f"Bearer {key}"} if key else {})},
        )
        self.lanes = Lanes(LANES)

    async def close(self) -> None:
        """Ends every connection."""
        await self._client.aclose()

    async def models(self) -> list[dict[str, Any]]:
        """What the engine serves; empty where it does not say. Raises ModelUnavailable where there is no engine."""
        try:
            # Nobody has begun anything yet: a wrong address is said soon.
            async for attempt in trying(replace(self._patience, gone_s=min(self._patience.gone_s, _FIRST_S))):
                with attempt:
                    async with self._answer("GET", "models", None) as response:
                        found = await self._whole(response)
                        data = found.get("data") if isinstance(found, dict) else None
                        if not isinstance(data, list):
                            raise NotOpenAI("a list of models that is none")
                        return [one for one in data if isinstance(one, dict) and isinstance(one.get("id"), str)]
        except Failed as failed:
            raise self._gone(failed) from failed
        except NotOpenAI as wrong:
            raise ModelUnavailable(
                f"{self.address.url} does not speak OpenAI's protocol: it sent {wrong}",
                "check the address, /v1 included",
            ) from wrong
        except Refused as refused:
            if refused.status in (401, 403):
                raise
        return []

    async def abilities(self, way: Way, ask: Callable[[Abilities, int], dict[str, Any]]) -> Abilities | None:
        """What it can do this way, tried with two choices of one token; None where it cannot be asked this way.

        Raises ModelUnavailable where it cannot be reached.
        """
        for able in _LADDER:
            probe = _Probe()

            def attempt(able: Abilities = able, probe: _Probe = probe) -> tuple[dict[str, Any], Ear]:
                probe.pieces.clear()
                return ask(able, 2 if able.n else 1), probe

            try:
                await self.ask(way, attempt, patience=replace(self._patience, gone_s=0.0))
            except Refused as refused:
                if refused.status in (401, 403):
                    raise
                if refused.status == 404:
                    return None
                continue
            several = len({piece.choice for piece in probe.pieces}) > 1
            told = any(piece.logprob is not None for piece in probe.pieces)
            return Abilities(n=able.n and several, logprobs=able.logprobs and told, extras=able.extras)
        return None

    async def ask(self, way: Way, attempt: Try, *, patience: Persistence | None = None) -> None:
        """One answer, tried again as long as the patience lasts. Raises Refused, ModelUnavailable.

        With a `patience` of one's own what fails every time counts as refused.
        """
        try:
            async for one in trying(patience or self._patience):
                with one:
                    wanted = attempt()
                    if wanted is None:
                        return
                    try:
                        async with self.lanes.lane():
                            await self.once(way, *wanted)
                        self.lanes.went_well()
                    except Failed as failed:
                        if failed.crowded:
                            self.lanes.narrow()
                        raise
        except Failed as failed:
            if patience is not None:
                raise Refused(failed.fact, "", status=500) from failed
            raise self._gone(failed) from failed

    async def once(self, way: Way, body: dict[str, Any], ear: Ear) -> None:
        """One try of `ask`. Raises Failed, Refused."""
        async with self._answer("POST", way, body) as response:
            if "event-stream" not in response.headers.get("content-type", ""):
                whole = await self._bytes(response, _LONGEST_LINE)
                self._heard(whole, ear)
                self._check(ear)
                return
            async for line in self._lines(response):
                data = data_of(line)
                if data == b"[DONE]":
                    self._check(ear)
                    return
                if data is not None and not self._heard(data, ear):
                    return
        raise Failed("the answer broke off", crowded=True)

    @staticmethod
    def _check(ear: Ear) -> None:
        if not ear.satisfied():
            raise Failed("the answer ended before its end", crowded=True)

    @staticmethod
    def _heard(data: bytes, ear: Ear) -> bool:
        try:
            return ear.hear(said(data))
        except NotOpenAI as wrong:
            raise Failed(f"it sent {wrong}") from wrong

    @asynccontextmanager
    async def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> AsyncIterator[httpx.Response]:
        """The engine's response, its status looked at."""
        import httpx

        try:
            async with self._client.stream(method, f"{self.address.url}/{path}", json=body) as response:
                if response.status_code != 200:
                    await self._refuse(response)
                yield response
        except httpx.HTTPError as error:
            what = str(error).strip() or type(error).__name__
            crowded = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError)
            raise Failed(f"no answer: {what}", crowded=crowded) from error

    async def _refuse(self, response: httpx.Response) -> None:
        text = error_text(await self._bytes(response, _LONGEST_REFUSAL))
        status = response.status_code
        # llama-cpp-python's server says so with status 500.
        wrong = status == 500 and "validation error" in text
        if status in _WORTH_ANOTHER_TRY and not wrong:
            raise Failed(f"status {status}: {text}", after_s=_seconds(response), crowded=status in _CROWDED)
        cure = f"put its key into {KEY_VARIABLE}" if status in (401, 403) else "check the address and --model"
        raise Refused(f"the engine at {self.address.url} refuses (status {status}): {text}", cure, status=status)

    async def _lines(self, response: httpx.Response) -> AsyncIterator[bytes]:
        held = b""
        async for chunk in response.aiter_bytes():
            *whole, held = (held + chunk).split(b"\n")
            for line in whole:
                yield line.rstrip(b"\r")
            if len(held) > _LONGEST_LINE:
                raise Failed("it sent a line without an end")
        if held:
            yield held

    async def _whole(self, response: httpx.Response) -> Any:
        import json

        try:
            return json.loads(await self._bytes(response, _LONGEST_LINE))
        except (ValueError, RecursionError) as error:
            raise NotOpenAI("what is no JSON") from error

    @staticmethod
    async def _bytes(response: httpx.Response, most: int) -> bytes:
        data = b""
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > most:
                raise Failed("it sent more than an answer")
        return data

    def _gone(self, failed: Failed) -> ModelUnavailable:
        return ModelUnavailable(
            f"the engine at {self.address.url} does not answer ({failed.fact})", "start it, or check --policy-url"
        )


_LADDER = (
    Abilities(),
    Abilities(n=False),
    Abilities(logprobs=False),
    Abilities(n=False, logprobs=False),
    Abilities(extras=False),
    Abilities(n=False, logprobs=False, extras=False),
)
"""What is tried in turn, until the engine takes it."""


def served(models: list[dict[str, Any]], wanted: str | None, address: EngineAddress) -> tuple[str, int | None]:
    """The model to ask for, and its context in tokens where the engine says it. Raises NotFound."""
    if not models:
        return wanted or "default", None
    one = next((one for one in models if wanted in (None, one["id"])), None)
    if one is None:
        names = ", ".join(str(one["id"])[:60] for one in models[:5])
        raise NotFound(f"the engine at {address.url} serves no model {wanted!r}", f"choose one of: {names}")
    about = one.get("meta")
    context = one.get("max_model_len") or (about.get("n_ctx") if isinstance(about, dict) else None)
    return one["id"], context if type(context) is int and context > 0 else None


def _seconds(response: httpx.Response) -> float | None:
    """What a Retry-After header says, in seconds."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None
