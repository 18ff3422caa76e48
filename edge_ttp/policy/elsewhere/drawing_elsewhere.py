"""One call at an engine elsewhere: its candidates asked for, heard, asked for again where an answer broke off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from edge_ttp.errors import Cancelled, DeadlineTooShort, InvalidInput, ModelUnavailable
from edge_ttp.policy.elsewhere.hearing import Heard, shares
from edge_ttp.policy.elsewhere.openai_engine import Ear, OpenAIEngine
from edge_ttp.policy.elsewhere.openai_form import Abilities, AnswerLine, Way, body
from edge_ttp.policy.job import Asked, Job
from edge_ttp.policy.request import Control, Request, Sampled, StepReport
from edge_ttp.schema import FinishReason

_LOOK_S = 0.05
"""How often the caller's flag and the deadline are looked at while nothing comes."""

_EMPTY_ANSWERS = 8
"""How often a candidate is asked for again whose answer says nothing at all."""


@dataclass(frozen=True)
class Elsewhere:
    """Who is asked."""

    engine: OpenAIEngine
    model: str
    able: Callable[[Way], Awaitable[Abilities | None]]


@dataclass
class DrawingElsewhere:
    """The candidates of one request. Lives in the event loop of its policy."""

    who: Elsewhere
    request: Request
    control: Control
    job: Job[Sampled]
    way: Way
    heard: list[Heard] = field(default_factory=list)
    _first: float | None = None
    _prompt_tokens: int | None = None
    _asked_s: float = 0.0
    _waves: int = 0
    _reply: asyncio.Future[Any] | None = None
    _work: asyncio.Task[None] | None = None
    _ended: FinishReason | None = None

    async def run(self) -> Sampled:
        """Draws wave after wave. Raises Cancelled or DeadlineTooShort where nothing has come by then."""
        began = time.monotonic()
        able = await self.who.able(self.way)
        if able is None:
            raise InvalidInput(
                f"this engine does not answer {self.way} requests", "ask it in the other way, or choose another model"
            )
        most = self.request.n
        wave = min(most, self.control.first_wave or most)
        while wave > 0 and self._ended is None:
            begun = len(self.heard)
            fresh = [self._candidate(index) for index in range(begun, begun + wave)]
            self.heard += fresh
            self._waves += 1
            await self._draw(fresh, able)
            left = most - len(self.heard)
            wave = 0
            if self._ended is None and self.control.more is not None and left > 0:
                wave = min(left, int(await self._ask() or 0))
        return self._sampled(began)

    def _candidate(self, index: int) -> Heard:
        stops = tuple(stop.encode() for stop in self.request.stop)
        return Heard(index, (self.request.seed + index) % 2**63, self.request.max_tokens, stops)

    async def _draw(self, wanted: list[Heard], able: Abilities) -> None:
        """Hears the candidates to their ends, until it has to end."""
        sampling = self.request.sampling
        temperatures = sampling.temperatures or (sampling.temperature,)
        self._work = asyncio.ensure_future(self._all(shares(wanted, several=able.n, temperatures=temperatures), able))
        watch = asyncio.ensure_future(self._watch())
        try:
            await self._work
        except asyncio.CancelledError:
            if self._ended is None:
                raise
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch

    async def _all(self, groups: list[list[Heard]], able: Abilities) -> None:
        tasks = [asyncio.ensure_future(self._group(one, able)) for one in groups]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _group(self, group: list[Heard], able: Abilities) -> None:
        """Asks for these together until each is complete; one by one where an answer lacks some."""
        for _ in range(_EMPTY_ANSWERS):
            await self.who.engine.ask(self.way, lambda: self._try(group, able))
            missing = [one for one in group if not one.complete]
            if not missing:
                return
            if len(group) > 1:
                await self._all([[one] for one in missing], able)
                return
        raise ModelUnavailable("the engine answers without a word, again and again", "look into its log")

    def _try(self, group: list[Heard], able: Abilities) -> tuple[dict[str, Any], Ear] | None:
        """What is asked for those of the group that are not complete; they begin anew."""
        missing = [one for one in group if not one.complete]
        if not missing:
            return None
        for one in missing:
            one.begin_again()
        sampling = self.request.sampling
        temperatures = sampling.temperatures or (sampling.temperature,)
        told = body(
            self.request,
            self.who.model,
            able,
            n=len(missing),
            seed=missing[0].seed,
            temperature=temperatures[missing[0].index % len(temperatures)],
        )
        return told, _Ear(self, missing)

    async def _watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(_LOOK_S)

    def look(self) -> None:
        """Ends it where it has to end."""
        deadline = self.control.deadline
        reason: FinishReason | None = None
        if self.job.is_set():
            reason = "cancelled"
        elif deadline is not None and time.monotonic() >= deadline:
            reason = "deadline"
        if reason is None or self._ended is not None:
            return
        self._ended = reason
        if self._work is not None:
            self._work.cancel()
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(0)

    def reply(self, value: Any) -> None:
        """How many more are wanted."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(value)

    async def _ask(self) -> Any:
        started = time.monotonic()
        self._reply = asyncio.get_running_loop().create_future()
        self.job.tell(Asked([one.candidate() for one in self.heard]))
        try:
            return await self._reply
        finally:
            self._reply = None
            self._asked_s += time.monotonic() - started

    def take(self, line: AnswerLine, group: list[Heard]) -> bool:
        """One line of an answer to `group`; False where the engine would go on for nothing."""
        if self._first is None:
            self._first = time.monotonic()
        if line.prompt_tokens is not None:
            self._prompt_tokens = max(self._prompt_tokens or 0, line.prompt_tokens)
        before = {one.index for one in group if one.complete}
        for piece in line.pieces:
            if piece.choice < len(group):
                group[piece.choice].take(piece)
        if line.pieces and self.control.on_step is not None:
            self.job.tell(
                StepReport(
                    tokens=tuple(one.tokens for one in self.heard),
                    finished={one.index: one.candidate() for one in group if one.complete and one.index not in before},
                    texts={one.index: text for one in group if (text := one.new_text())},
                )
            )
        return not (all(one.complete for one in group) and any(one.cut for one in group))

    def _sampled(self, began: float) -> Sampled:
        come = [one for one in self.heard if one.complete or one.tokens]
        if not come and self._ended == "cancelled":
            raise Cancelled("cancelled before the first token")
        if not come and self._ended == "deadline":
            raise DeadlineTooShort(
                "the deadline passed before the engine said a word", "allow more time, or ask for less with --examples"
            )
        if self._ended is not None and self.control.on_step is not None:
            dropped = {one.index: one.candidate(self._ended) for one in come if not one.complete}
            self.job.tell(StepReport(tuple(one.tokens for one in self.heard), {}, dropped))
        first = self._first or time.monotonic()
        return Sampled(
            candidates=tuple(one.candidate(self._ended) for one in come),
            token_ids=tuple(one.token_ids for one in come),
            prompt_tokens=self._prompt_tokens or len(self.request.prompt),
            cached_tokens=0,
            prefill_s=max(0.0, first - began),
            decode_s=max(0.0, time.monotonic() - first - self._asked_s),
            sample_s=0.0,
            rows=sum(one.tokens for one in come),
            steps=max((one.tokens for one in come), default=0),
            waves=self._waves,
        )


@dataclass
class _Ear:
    """Hears one request's answer for the candidates that were asked for."""

    drawing: DrawingElsewhere
    group: list[Heard]

    def hear(self, line: AnswerLine) -> bool:
        """Hands the line on."""
        return self.drawing.take(line, self.group)

    def satisfied(self) -> bool:
        """Whether at least one of them has its end: an engine may give fewer choices than asked."""
        return any(one.complete for one in self.group)
