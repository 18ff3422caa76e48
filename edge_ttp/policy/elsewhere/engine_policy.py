"""A policy behind an address: what llama.py is for a file, for an engine that somebody else runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from edge_ttp.errors import Cancelled, EdgeTTPError, ModelUnavailable, OutOfCapacity
from edge_ttp.policy.elsewhere.address import EngineAddress
from edge_ttp.policy.elsewhere.drawing_elsewhere import DrawingElsewhere, Elsewhere
from edge_ttp.policy.elsewhere.openai_engine import OpenAIEngine, served
from edge_ttp.policy.elsewhere.openai_form import Abilities, Way, body, refuse_unsent, way_of
from edge_ttp.policy.elsewhere.persistence import Persistence, Refused
from edge_ttp.policy.elsewhere.spelling import as_messages, read, spelled, turns
from edge_ttp.policy.job import Claim, Ended, Flag, Job
from edge_ttp.policy.request import Control, Request, Sampled
from edge_ttp.schema import Sampling

_LOOK_S = 0.05
"""How often a call is looked at that waits for words."""

T = TypeVar("T")


class EnginePolicy:
    """One model of one engine. Safe to call from several threads; its connections live in a thread of their own.

    The engine is asked what it serves and what it can do when this is made: two short requests that hold nothing of
    anybody. Raises ModelUnavailable where there is none, NotFound where it does not serve `model`, Cancelled.
    """

    def __init__(
        self,
        address: EngineAddress,
        model: str | None = None,
        *,
        patience: Persistence | None = None,
        cancel: Flag | None = None,
    ) -> None:
        self.address = address
        self._patience = patience or Persistence()
        self._able: dict[Way, Abilities | None] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="edge-ttp-elsewhere", daemon=True)
        self._thread.start()
        self._drawings: dict[Job[Sampled], DrawingElsewhere] = {}
        self._lock = threading.Lock()
        self._closed = False
        try:
            self.model, self.context = self._wait(self._open(model), cancel)
        except BaseException:
            self.close()
            raise

    async def _open(self, wanted: str | None) -> tuple[str, int | None]:
        self._engine = OpenAIEngine(self.address, self._patience)
        name, context = served(await self._engine.models(), wanted, self.address)
        self.model = name
        chat = await self._find_out("chat/completions")
        if chat is None and await self._find_out("completions") is None:
            raise ModelUnavailable(
                f"the engine at {self.address.url} answers neither chat nor plain requests",
                "check the address, /v1 included",
            )
        return name, context

    async def _find_out(self, way: Way) -> Abilities | None:
        if way not in self._able:
            prompt = spelled("Hi") if way == "completions" else turns([("user", "Hi")])
            probe = Request(prompt=prompt, n=2, sampling=Sampling(), seed=1, max_tokens=1)

            def ask(able: Abilities, n: int) -> dict[str, Any]:
                return body(probe, self.model, able, n=n, seed=1, temperature=1.0)

            self._able[way] = await self._engine.abilities(way, ask)
        return self._able[way]

    # What a request needs of a policy (answer/ask.py)

    @property
    def device(self) -> str:
        """What decodes."""
        return f"the engine at {self.address.url}"

    @property
    def chats(self) -> bool:
        """Whether it takes conversations; otherwise it continues text."""
        return self._able.get("chat/completions") is not None

    @property
    def context_trained(self) -> int:
        """Longest prompt and answer together, in tokens; without end where the engine does not say."""
        return self.context or 2**31

    @property
    def gives_logprobs(self) -> bool:
        """Whether it says log-probabilities; known of the way it is usually asked."""
        able = self._able.get("chat/completions") or self._able.get("completions")
        return able is not None and able.logprobs

    @property
    def in_words(self) -> str:
        """What it serves and can do."""
        able = self._able.get("chat/completions") or self._able.get("completions") or Abilities()
        size = "" if self.context is None else f", context {self.context}"
        return f"{self.model}{size}, {'chat' if self.chats else 'plain text'}, {able.in_words}"

    def encode_text(self, text: str) -> tuple[int, ...]:
        """The text, spelled."""
        return spelled(text)

    def encode_chat(self, messages: Sequence[tuple[str, str]]) -> tuple[int, ...] | None:
        """The messages, spelled; None where the engine takes no conversations. The template is the engine's."""
        return turns(messages) if self.chats else None

    def tokens(self, text: str) -> tuple[int, ...]:
        """The text, spelled: about as many numbers as it has tokens."""
        return spelled(text)

    def text(self, tokens: Sequence[int]) -> str:
        """What `tokens` spell."""
        return read(tokens)

    def count_tokens(self, text: str) -> int:
        """About how many tokens the text has."""
        return len(spelled(text))

    def width(self, prompt_tokens: int, max_tokens: int, n: int, *, memory_bytes: int | None = None) -> int:
        """All of them: memory is the engine's. Raises OutOfCapacity where its context is surely too short."""
        if self.context is not None and prompt_tokens + max_tokens > self.context:
            raise OutOfCapacity(
                f"the prompt of about {prompt_tokens} tokens and an answer of {max_tokens} exceed "
                f"the engine's context of {self.context}",
                "shorten the prompt or lower --max-tokens",
            )
        return n

    def resident(self, prompt: Sequence[int], user: str = "") -> int:
        """0: what the engine keeps is not known."""
        return 0

    def held_bytes(self) -> int:
        """0: nothing of it is on this machine's account."""
        return 0

    def forget(self, user: str | None = None) -> None:
        """Nothing is kept here; what the engine keeps is its own."""

    def sample(
        self,
        request: Request,
        control: Control,
        *,
        memory_bytes: int | None = None,
        threads: tuple[int, int] | None = None,
        claim: Claim | None = None,
    ) -> Sampled:
        """Draws the candidates, waited for in this thread. As `begin`."""
        return self.begin(request, control).drive()

    def begin(
        self,
        request: Request,
        control: Control,
        *,
        memory_bytes: int | None = None,
        threads: tuple[int, int] | None = None,
        claim: Claim | None = None,
    ) -> Job[Sampled]:
        """A job that draws the candidates of `request`. A deadline or a cancel closes its connections within
        hundredths of a second and keeps what has come.

        Raises InvalidInput for what the protocol has no word for, OutOfCapacity for a begun answer that a conversation
        cannot go on with.
        """
        if self._closed:
            raise ModelUnavailable("the policy was closed", "open a new runtime")
        refuse_unsent(request)
        told = as_messages(request.prompt)
        if told is not None and told[1]:
            raise OutOfCapacity("an engine elsewhere does not go on with a begun answer", "allow more --max-tokens")
        job: Job[Sampled] = Job(
            self,
            lambda _: None,
            claim or Claim(),
            deadline=control.deadline,
            cancel=control.cancel,
            hear=control.hear,
        )
        drawing = DrawingElsewhere(
            Elsewhere(self._engine, self.model, self._find_out), request, control, job, way=way_of(request.prompt)
        )
        with self._lock:
            self._drawings[job] = drawing
        asyncio.run_coroutine_threadsafe(self._run(job, drawing), self._loop)
        return job

    async def _run(self, job: Job[Sampled], drawing: DrawingElsewhere) -> None:
        try:
            ended: Ended[Sampled] = Ended(await drawing.run(), None)
        except EdgeTTPError as error:
            ended = Ended(None, _in_our_words(error))
        except BaseException as error:  # noqa: BLE001  # whoever waits has to hear of it
            ended = Ended(None, error if isinstance(error, Exception) else Cancelled("the policy was closed"))
        with self._lock:
            self._drawings.pop(job, None)
        job.tell(ended)

    # Where a job's caller is heard (policy/job.py)

    def look_at(self, job: Job[Any]) -> None:
        """Ends a job whose flag was set."""
        self._in_loop(job, DrawingElsewhere.look)

    def resume(self, job: Job[Any], value: Any) -> None:
        """Lets a job go on that asked how many more are wanted."""
        self._in_loop(job, lambda drawing: drawing.reply(value))

    def _in_loop(self, job: Job[Any], act: Callable[[DrawingElsewhere], None]) -> None:
        with self._lock:
            drawing = self._drawings.get(job)
        if drawing is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, drawing)

    def cancel_all(self) -> None:
        """Ends the calls under way, each with what it has."""
        with self._lock:
            jobs = list(self._drawings)
        for job in jobs:
            job.cancel()

    def close(self) -> None:
        """Closes the connections. Calls under way end."""
        if self._closed:
            return
        self._closed = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if hasattr(self, "_engine"):
            await self._engine.close()

    def _wait(self, work: Coroutine[Any, Any, T], cancel: Flag | None) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        while True:
            try:
                return future.result(_LOOK_S)
            except TimeoutError:
                if future.done():
                    raise
                if cancel is not None and cancel.is_set():
                    future.cancel()
                    raise Cancelled("cancelled while the engine was asked what it serves") from None


def _in_our_words(error: EdgeTTPError) -> EdgeTTPError:
    """A refusal of the context's length as what it is."""
    if isinstance(error, Refused) and error.status in (400, 413, 422) and "context" in error.fact.lower():
        return OutOfCapacity(error.fact, "shorten the prompt or lower --max-tokens")
    return error
