"""A GGUF policy ready to draw candidates: the model, its adapters, and a cache for every call that is under way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from edge_ttp.budget import device
from edge_ttp.budget.timed import CHUNK, Timed
from edge_ttp.errors import InvalidInput, ModelUnavailable, OutOfCapacity
from edge_ttp.policy import bindings, gpu, timing
from edge_ttp.policy.job import Claim, Flag, Job, Steps
from edge_ttp.policy.loaded_loras import Loras
from edge_ttp.policy.memory import LIBRARY_BYTES, MIB, Footprint, Layout
from edge_ttp.policy.prefix_files import FolderOf, PrefixFiles
from edge_ttp.policy.prefixes import ReadWith
from edge_ttp.policy.read_prompts import ReadPrompts
from edge_ttp.policy.request import Control, Request, Sampled
from edge_ttp.policy.running import decode_text
from edge_ttp.policy.scheduler import Scheduler
from edge_ttp.policy.seats import Scaled, Seat, Seats, read_with
from edge_ttp.registry.gguf import read_header

T = TypeVar("T")

_ROOM_BESIDE = 64 * MIB  # for a vocabulary and a call, besides the weights and their copies
_ADDRESS_BYTES = 64 * MIB  # addresses that the C library reserves for a thread's allocations, most of them never used
_STACK_BYTES = 8 * MIB


class LlamaPolicy:
    """One loaded policy. Safe to call from several threads: calls take their steps by turns (policy/scheduler.py).

    `threads` must not exceed the cores that are free: llama.cpp's threads wait for each other spinning, and with a
    busy neighbour on one of two cores two threads run many times slower than one.
    `memory_bytes` limits weights, cache and buffers together, in calls that bring no limit of their own too; None:
    what this device has free at the time.
    `gpu_layers` None: as many as the wheel and the GPU's memory allow.
    `advance` is called with the part that is loaded (0 to 1), and ends the loading by returning False (Cancelled).
    `scheduler` is shared by all policies of a runtime; None: one of its own, which ends with it.
    `states`: the file's SHA-256, and where what was read of a user may be kept on disk; None: nowhere.
    Raises ModelUnavailable or OutOfCapacity.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        memory_bytes: int | None = None,
        gpu_layers: int | None = None,
        scheduler: Scheduler | None = None,
        advance: Callable[[float], bool] | None = None,
        states: tuple[str, FolderOf] | None = None,
    ) -> None:
        if not path.is_file():
            raise ModelUnavailable(f"there is no model file {path}", "see `edge-ttp models list`")
        size = path.stat().st_size
        self.threads = threads
        self._scheduler = scheduler or Scheduler()
        self._shares_scheduler = scheduler is not None
        self._memory_bytes = memory_bytes
        self._gpu_bytes: int | None = None
        limit = _least(_free_bytes(threads), memory_bytes)
        if size + LIBRARY_BYTES > limit:  # llama.cpp crashes rather than fails where memory ends while it loads
            raise OutOfCapacity(
                f"the model {path.name} needs over {(size + LIBRARY_BYTES) // MIB} MiB, {limit / MIB:.4g} MiB are "
                + ("allowed" if limit == memory_bytes else "free"),
                "allow more memory or choose a smaller model",
            )
        spare = 2 * size + _ROOM_BESIDE > limit
        self.path = path
        gpus = bindings.gpus()
        self.gpu_layers = gpu_layers if gpu_layers is not None else _layers_for(path, gpus)
        try:
            self._model = bindings.Model(path, gpu_layers=self.gpu_layers, spare_memory=spare, advance=advance)
        except ModelUnavailable:
            if gpu_layers is not None or self.gpu_layers == 0:
                raise
            self.gpu_layers = 0  # a GPU that takes no layers must not cost the answer
            self._model = bindings.Model(path, spare_memory=spare, advance=advance)
        self.device = gpu.in_words(self.gpu_layers, self._model.layers, gpus)
        """What decodes: `cpu`, or how many layers lie on which GPU."""
        if self.device != "cpu":
            # Layers take their part of the cache along; the part that is not placed is on the host.
            placed = min(1.0, self.gpu_layers / self._model.layers)
            self._gpu_bytes = int(gpu.room(gpus) / placed)
        kv_heads, key, value = self._model.head_widths
        self._footprint = Footprint(
            weights=self._model.size_bytes,
            vocabulary=self._model.vocab_size,
            embedding=self._model.embedding,
            heads=self._model.heads,
            kv_elements=self._model.layers * kv_heads * (key + value),
            blocks_of_32=key % 32 == 0 and value % 32 == 0,
            chunk=CHUNK,
        )
        self._pool = ThreadPoolExecutor(1, "edge-ttp-sample") if threads > 1 else None
        self._seats = Seats(self._model, chunk=CHUNK, threads=threads, pool=self._pool)
        self._loras = Loras(self._model, self._seats)
        self._read = ReadPrompts(self._seats, self._footprint, None if states is None else self._files(*states))
        self._closed = False

    @property
    def context_trained(self) -> int:
        """Longest prompt and answer together, in tokens."""
        return self._model.context_trained

    @property
    def description(self) -> str:
        """llama.cpp's own words for this model."""
        return self._model.description

    @property
    def chat_template(self) -> str | None:
        """The chat template stored in the file."""
        return self._model.chat_template

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Tokens of a plain text prompt. Control tokens written in it stay plain text."""
        return self._begin(self._model.tokenize(text, control=False))

    def encode_chat(self, messages: Sequence[tuple[str, str]]) -> tuple[int, ...] | None:
        """Tokens of `messages` (role, text) in the model's own chat template; None where it has none that is known.

        The template is rendered around marks that stand for the texts; only its own parts may become control tokens,
        so that a text with <|im_end|> in it cannot speak for somebody else.
        """
        marks = [f"\x02{index}\x03" for index in range(len(messages))]
        rendered = self._model.render_chat([(role, mark) for (role, _), mark in zip(messages, marks, strict=True)])
        if rendered is None or any(rendered.count(mark) != 1 for mark in marks):
            return None
        tokens: list[int] = []
        for (_, text), mark in zip(messages, marks, strict=True):
            before, rendered = rendered.split(mark, 1)
            tokens += self._model.tokenize(before, control=True)
            tokens += self._model.tokenize(text, control=False)
        tokens += self._model.tokenize(rendered, control=True)
        return self._begin(tokens)

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens of `text` alone."""
        return tuple(self._model.tokenize(text, control=False))

    def text(self, tokens: Sequence[int]) -> str:
        """What the tokens of one answer say, with the space around it; control tokens say nothing."""
        return decode_text(b"".join(self._model.piece(token) for token in tokens))

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` has alone."""
        return len(self.tokens(text))

    def _begin(self, tokens: list[int]) -> tuple[int, ...]:
        if self._model.adds_bos and tokens[:1] != [self._model.bos]:
            tokens.insert(0, self._model.bos)
        return tuple(tokens)

    def held_bytes(self) -> int:
        """Bytes that weights, cache and buffers take now, by the same reckoning as the limits."""
        return self._seats.held_bytes(self._footprint)

    def sequence_bytes(self, max_tokens: int) -> int:
        """Bytes that one more candidate of so many tokens takes."""
        return self._footprint.sequence + max_tokens * self._footprint.cell("f16")

    def layout(self, prompt_tokens: int, max_tokens: int, n: int, *, memory_bytes: int | None = None) -> Layout:
        """How `n` candidates would be decoded within the memory: how many at once, in how many waves.

        Raises OutOfCapacity where the context or the memory leaves no room for one.
        """
        if prompt_tokens + max_tokens > self.context_trained:
            raise OutOfCapacity(
                f"the prompt of {prompt_tokens} tokens and an answer of {max_tokens} exceed "
                f"the model's context of {self.context_trained}",
                "shorten the prompt or lower --max-tokens",
            )
        return self._footprint.lay_out(
            prompt=prompt_tokens,
            max_tokens=max_tokens,
            n=n,
            most_sequences=bindings.max_sequences(),
            limit=self._limit(memory_bytes),
        )

    def width(self, prompt_tokens: int, max_tokens: int, n: int, *, memory_bytes: int | None = None) -> int:
        """How many of `n` candidates are decoded at once. Raises OutOfCapacity as `layout`."""
        return self.layout(prompt_tokens, max_tokens, n, memory_bytes=memory_bytes).width

    def resident(self, prompt: Sequence[int], user: str = "") -> int:
        """How many of the prompt's first tokens were read for this user, and need not be read again."""
        self._read.look(user, ReadWith())
        return self._seats.resident(prompt, user, ReadWith())

    def sample(
        self,
        request: Request,
        control: Control,
        *,
        memory_bytes: int | None = None,
        threads: tuple[int, int] | None = None,
        claim: Claim | None = None,
    ) -> Sampled:
        """Draws the candidates of `request`, waited for in this thread, which `control` is called from.

        As `begin`. Raises what the call raised.
        """
        return self.begin(request, control, memory_bytes=memory_bytes, threads=threads, claim=claim).drive()

    def begin(
        self,
        request: Request,
        control: Control,
        *,
        memory_bytes: int | None = None,
        threads: tuple[int, int] | None = None,
        claim: Claim | None = None,
    ) -> Job[Sampled]:
        """A job that draws the candidates of `request` by turns with others, and is heard by `control`.

        `threads`: for reading the prompt and for drawing; None: all of them for both.
        """

        self._check_open()

        def start(job: Job[Sampled]) -> Steps[Sampled] | None:
            self._check_open()
            adapters = self._loras.load(request.sampling.adapters, lambda size: self._admit(size, memory_bytes))
            widest = request.n if control.first_wave is None else min(request.n, control.first_wave)
            layout = self.layout(len(request.prompt), request.max_tokens, widest, memory_bytes=memory_bytes)
            seat = self._take(request.prompt, layout, adapters, memory_bytes, job.claim.user)
            if seat is None:
                return None
            job.abort = seat.context.abort
            on_step = None if control.on_step is None else job.tell
            steps = seat.engine.steps(request, replace(control, cancel=job, on_step=on_step), width=layout.width)
            reading, drawing = threads or (self.threads, self.threads)
            seat.context.use_threads(reading=min(reading, self.threads), drawing=min(drawing, self.threads))

            def finish(sampled: Sampled) -> Sampled:
                self._read.keep(seat, request.prompt[: request.core])
                return replace(sampled, notes=layout.notes)

            return self._sitting(seat, steps, finish)

        return self._scheduler.submit(start, claim, deadline=control.deadline, cancel=control.cancel, hear=control.hear)

    def measure(self, threads: int | None = None, *, thorough: bool = False, cancel: Flag | None = None) -> Timed:
        """Times this policy on this device with so many threads (None: all): reading a prompt, and decode steps.

        About a second for a small model. Thorough: longer prompts and wider steps as well, some ten times as long.
        Calls go first: it waits for those under way, and makes way for those that come. Raises Cancelled.
        """
        self._check_open()
        used = self.threads if threads is None else threads
        rows, prompt = timing.extent(self.context_trained, thorough=thorough)
        filler = (self._model.tokenize("measure this machine ", control=False) or [0]) * (prompt + CHUNK)

        def start(job: Job[Timed]) -> Steps[Timed] | None:
            self._check_open()
            seat = self._take((), self.layout(prompt + CHUNK, 2, rows[-1]), [], None, "")
            if seat is None:
                return None
            seat.engine.forget()
            seat.context.use_threads(reading=used, drawing=used)
            steps = timing.measuring(seat.context, filler, prompt, rows, threads=used, stop=job)
            return self._sitting(seat, steps, lambda timed: timed)

        return self._scheduler.submit(start, Claim(priority="background"), cancel=cancel).drive()

    def _take(
        self, prompt: Sequence[int], layout: Layout, adapters: list[Scaled], memory_bytes: int | None, owner: str
    ) -> Seat | None:
        self._read.look(owner, read_with(adapters, layout.cache_type))
        limit = self._limit(memory_bytes)
        return self._seats.take(
            prompt,
            layout,
            adapters,
            owner=owner,
            footprint=self._footprint,
            loaded=self._loras.loaded,
            limit=limit,
        )

    def _sitting(self, seat: Seat, steps: Steps[T], finish: Callable[[T], T]) -> Steps[T]:
        """The steps of a call in its seat, which it gives back in the end."""
        broken = False
        try:
            with closing(steps):
                answer = None
                while True:
                    seat.context.arm()
                    try:
                        message = steps.send(answer)
                    except StopIteration as finished:
                        return finish(finished.value)
                    answer = yield message
        except ModelUnavailable:
            broken = True  # a cache that failed once is not trusted again
            raise
        finally:
            self._seats.give(seat, footprint=self._footprint, broken=broken)

    def forget(self, user: str | None = None) -> None:
        """Empties and overwrites what was read for this user (None: for all), so that nothing of a prompt stays in
        memory; caches of calls under way when these end. Files are the history's, and go with it."""
        self._check_open()
        self._scheduler.call(lambda: self._read.forget(user))

    def close(self) -> None:
        """Waits for the calls under way and frees the memory. Later calls, also those waiting now, raise."""
        self._closed = True
        if not self._shares_scheduler:
            self._scheduler.close()
            self._free()
            return
        try:
            self._scheduler.submit(self._ending).drive()
        except InvalidInput:  # the scheduler was closed: nothing runs any more
            self._free()

    def _ending(self, _: Job[None]) -> Steps[None] | None:
        if self._seats.busy:
            return None

        def steps() -> Steps[None]:
            yield from ()
            self._free()

        return steps()

    def _free(self) -> None:
        self._seats.clear()
        self._seats.prefixes.forget()
        self._loras.close()
        if self._pool is not None:
            self._pool.shutdown()
        self._model.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ModelUnavailable("the policy was closed", "open a new runtime")

    def _limit(self, memory_bytes: int | None) -> int:
        free = _free_bytes(self.threads) + self.held_bytes()
        return _least(free, self._gpu_bytes, self._memory_bytes if memory_bytes is None else memory_bytes)

    def _admit(self, adapters: int, memory_bytes: int | None) -> None:
        """Reckons with so many bytes of adapters. Raises OutOfCapacity where they are too many."""
        footprint = replace(self._footprint, weights=self._model.size_bytes + adapters)
        if footprint.fixed > self._limit(memory_bytes):
            raise OutOfCapacity(
                f"the model and its adapters need {-(-footprint.fixed // MIB)} MiB, more than is allowed",
                "allow more memory or leave adapters out",
            )
        self._footprint = footprint

    def _files(self, model: str, folder_of: FolderOf) -> PrefixFiles:
        build = f"{bindings.version()} {bindings.system_info()} {self.device} {CHUNK}"
        return PrefixFiles(folder_of, model=model, build=build)


def _layers_for(path: Path, gpus: Sequence[device.Gpu]) -> int:
    """Layers to put on `gpus`, by the file's header."""
    if not gpus:
        return 0
    header = read_header(path)
    layers = header.metadata.get(f"{header.architecture}.block_count")
    return gpu.layers_for(path.stat().st_size, layers if isinstance(layers, int) else 0, gpus)


def _least(first: int, *others: int | None) -> int:
    return min([first, *(other for other in others if other is not None)])


def _free_bytes(threads: int) -> int:
    """Bytes that can be taken now. Under a limit of the address space, what threads reserve is not among them."""
    free = device.available_memory()
    if sys.platform != "win32":
        import resource

        if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
            # Besides the threads that decode: the engine's, and the one that helps with drawing.
            free -= _ADDRESS_BYTES + (threads + min(threads, 2)) * _STACK_BYTES
    return max(0, free)
