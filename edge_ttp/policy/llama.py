"""A GGUF policy ready to draw candidates: the model, a KV cache sized for the call, and the turn that guards both."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

from edge_ttp.budget import device
from edge_ttp.budget.timed import CHUNK, Timed
from edge_ttp.errors import ModelUnavailable, OutOfCapacity
from edge_ttp.policy import bindings, gpu
from edge_ttp.policy.engine import Engine
from edge_ttp.policy.memory import LIBRARY_BYTES, MIB, Footprint, Layout
from edge_ttp.policy.request import Control, Request, Sampled
from edge_ttp.policy.turn import Turns
from edge_ttp.registry.gguf import read_header
from edge_ttp.schema import LoraAdapter

_KEPT_ADAPTERS = 4  # adapters in memory, for callers that switch between some
_Scaled = tuple[bindings.LoadedAdapter, float]
_FileState = tuple[Path, int, int]
"""A file as it was: path, time of its last change in ns, size."""

_ROOM_BESIDE = 64 * MIB  # for a vocabulary and a call, besides the weights and their copies
_QUICK_ROWS = (1, 2, 8, 16)
_THOROUGH_ROWS = (1, 2, 4, 8, 16, 32)
_THOROUGH_PROMPT = 1024
_ADDRESS_BYTES = 64 * MIB  # addresses that the C library reserves for a thread's allocations, most of them never used
_STACK_BYTES = 8 * MIB


class LlamaPolicy:
    """One loaded policy. Safe to call from several threads: calls are served one after another, in order.

    `threads` must not exceed the cores that are free: llama.cpp's threads wait for each other spinning, and with a
    busy neighbour on one of two cores two threads run many times slower than one.
    `memory_bytes` limits weights, cache and buffers together, in calls that bring no limit of their own too; None:
    what this device has free at the time.
    `gpu_layers` None: as many as the wheel and the GPU's memory allow.
    Raises ModelUnavailable or OutOfCapacity.
    """

    def __init__(
        self, path: Path, *, threads: int, memory_bytes: int | None = None, gpu_layers: int | None = None
    ) -> None:
        if not path.is_file():
            raise ModelUnavailable(f"there is no model file {path}", "see `edge-ttp models list`")
        size = path.stat().st_size
        self.threads = threads
        self._memory_bytes = memory_bytes
        self._gpu_bytes: int | None = None
        limit = _least(_free_bytes(threads), memory_bytes)
        # llama.cpp crashes rather than fails where memory ends while it loads.
        if size + LIBRARY_BYTES > limit:
            raise OutOfCapacity(
                f"the model {path.name} needs over {(size + LIBRARY_BYTES) // MIB} MiB, {limit // MIB} MiB are free",
                "allow more memory or choose a smaller model",
            )
        spare = 2 * size + _ROOM_BESIDE > limit
        self.path = path
        gpus = bindings.gpus()
        self.gpu_layers = gpu_layers if gpu_layers is not None else _layers_for(path, gpus)
        try:
            self._model = bindings.Model(path, gpu_layers=self.gpu_layers, spare_memory=spare)
        except ModelUnavailable:
            if gpu_layers is not None or self.gpu_layers == 0:
                raise
            self.gpu_layers = 0  # a GPU that takes no layers must not cost the answer
            self._model = bindings.Model(path, spare_memory=spare)
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
        self._loaded: dict[_FileState, bindings.LoadedAdapter] = {}
        self._adapters: list[_Scaled] = []  # what the context decodes with
        self._context: bindings.Context | None = None
        self._engine: Engine | None = None
        self._pool = ThreadPoolExecutor(1, "edge-ttp-sample") if threads > 1 else None
        self._turns = Turns()
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

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` has alone."""
        return len(self.tokens(text))

    def _begin(self, tokens: list[int]) -> tuple[int, ...]:
        if self._model.adds_bos and tokens[:1] != [self._model.bos]:
            tokens.insert(0, self._model.bos)
        return tuple(tokens)

    def held_bytes(self) -> int:
        """Bytes that weights, cache and buffers take now, by the same reckoning as the limits."""
        context = self._context
        if context is None:
            return self._footprint.fixed
        return self._footprint.total(context.cells, context.sequences, context.cache_type)

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

    def resident(self, prompt: Sequence[int]) -> int:
        """How many of the prompt's first tokens the cache holds now, and need not be read again."""
        engine = self._engine
        return 0 if engine is None else engine.resident(prompt)

    def sample(
        self,
        request: Request,
        control: Control,
        *,
        memory_bytes: int | None = None,
        threads: tuple[int, int] | None = None,
    ) -> Sampled:
        """Draws the candidates of `request`. Waits for earlier calls to end.

        `threads`: for reading the prompt and for drawing; None: all of them for both.
        """
        with self._turn(deadline=control.deadline, cancel=control.cancel):
            adapters = self._load(request.sampling.adapters, memory_bytes)
            widest = request.n if control.first_wave is None else min(request.n, control.first_wave)
            layout = self.layout(len(request.prompt), request.max_tokens, widest, memory_bytes=memory_bytes)
            context, engine = self._prepare(layout, memory_bytes)
            reading, drawing = threads or (self.threads, self.threads)
            context.use_threads(reading=min(reading, self.threads), drawing=min(drawing, self.threads))
            try:
                if adapters != self._adapters:
                    engine.forget()
                    context.adapt(adapters)
                    self._adapters = adapters
                with context.abortable(control.cancel, control.deadline):
                    sampled = engine.sample(request, control, width=layout.width)
            except ModelUnavailable:
                self._release()  # a cache that failed once is not trusted again
                raise
        return replace(sampled, notes=layout.notes)

    def measure(self, threads: int | None = None, *, thorough: bool = False) -> Timed:
        """Times this policy on this device with so many threads (None: all): reading a prompt, and decode steps.

        About a second for a small model. Thorough: longer prompts and wider steps as well, some ten times as long.
        Waits for running calls; the prompt in the cache is lost.
        """
        used = self.threads if threads is None else threads
        wanted = _THOROUGH_ROWS if thorough else _QUICK_ROWS
        prompt = min(_THOROUGH_PROMPT if thorough else 2 * CHUNK, self.context_trained // 2 // CHUNK * CHUNK)
        with self._turn():
            context, engine = self._prepare(self.layout(prompt + CHUNK, 2, wanted[-1]), None)
            engine.forget()
            context.use_threads(reading=used, drawing=used)
            filler = (self._model.tokenize("measure this machine ", control=False) or [0]) * (prompt + CHUNK)
            chunks: list[tuple[int, int, float]] = []
            steps: list[tuple[int, int, float]] = []
            context.prefill(filler[:CHUNK], 0, want_logits=True)  # caches warm up
            context.clear()
            for start in range(0, prompt, CHUNK):
                started = time.perf_counter()
                context.prefill(filler[:CHUNK], start, want_logits=True)
                chunks.append((CHUNK, start, time.perf_counter() - started))
                end = start + CHUNK
                if end in (2 * CHUNK, prompt):
                    steps += self._timed_steps(context, filler, end, [n for n in wanted if n < context.sequences])
            small = 16
            context.truncate(CHUNK)
            started = time.perf_counter()
            context.prefill(filler[:small], CHUNK, want_logits=True)
            chunks.append((small, CHUNK, time.perf_counter() - started))
            context.clear()
        return Timed(used, tuple(chunks), tuple(steps))

    def _timed_steps(
        self, context: bindings.Context, filler: list[int], position: int, widths: Sequence[int]
    ) -> list[tuple[int, int, float]]:
        """Decode steps of these widths behind a prompt: (rows, cells, the quicker of two seconds)."""
        found = []
        for rows in widths:
            sequences = range(1, rows + 1)
            context.fork(sequences)
            taken = []
            for at in range(position, position + 2):
                started = time.perf_counter()
                context.step(filler[:rows], [at] * rows, [[sequence] for sequence in sequences])
                taken.append(time.perf_counter() - started)
            for sequence in sequences:
                context.drop(sequence)
            found.append((rows, position + rows, min(taken)))
        return found

    def forget(self) -> None:
        """Empties and overwrites the cache, so that nothing of a prompt stays in memory."""
        with self._turn():
            if self._engine is not None and self._context is not None:
                self._engine.forget()
                self._context.wipe()

    def close(self) -> None:
        """Waits for the running call and frees the memory. Later calls, also those waiting now, raise."""
        with self._turns.take():
            self._closed = True
            self._release()
            for adapter in self._loaded.values():
                adapter.close()
            self._loaded.clear()
            if self._pool is not None:
                self._pool.shutdown()
            self._model.close()

    @contextmanager
    def _turn(self, *, deadline: float | None = None, cancel: Event | None = None) -> Iterator[None]:
        with self._turns.take(deadline=deadline, cancel=cancel):
            if self._closed:
                raise ModelUnavailable("the policy was closed", "open a new runtime")
            yield

    def _limit(self, memory_bytes: int | None) -> int:
        free = _free_bytes(self.threads) + self.held_bytes()
        return _least(free, self._gpu_bytes, self._memory_bytes if memory_bytes is None else memory_bytes)

    def _load(self, adapters: Sequence[LoraAdapter], memory_bytes: int | None) -> list[_Scaled]:
        """The adapters in memory, with their scales. A file that changed is loaded anew; those unused go."""
        states = [_file_state(Path(adapter.path)) for adapter in adapters]
        missing = [state for state in dict.fromkeys(states) if state not in self._loaded]
        if missing:
            self._release()  # llama.cpp reserves room for adapters when it makes a context
            if len(self._loaded) + len(missing) > _KEPT_ADAPTERS:
                for state in [state for state in self._loaded if state not in states]:
                    self._loaded.pop(state).close()
            size = sum(state[2] for state in (*missing, *self._loaded))
            footprint = replace(self._footprint, weights=self._model.size_bytes + size)
            if footprint.fixed > self._limit(memory_bytes):
                raise OutOfCapacity(
                    f"the model and its adapters need {-(-footprint.fixed // MIB)} MiB, more than is allowed",
                    "allow more memory or leave adapters out",
                )
            self._footprint = footprint
        for state in missing:
            self._loaded[state] = bindings.LoadedAdapter(self._model, state[0])
        return [(self._loaded[state], adapter.scale) for state, adapter in zip(states, adapters, strict=True)]

    def _prepare(self, layout: Layout, memory_bytes: int | None) -> tuple[bindings.Context, Engine]:
        """A cache that holds `layout`, and its engine: those in use if they are large enough and not too large."""
        limit = self._limit(memory_bytes)
        context = self._context
        if (
            self._engine is not None
            and context is not None
            and context.cells >= layout.cells
            and context.sequences > layout.width
            and context.cache_type == layout.cache_type
            and self.held_bytes() <= limit
        ):
            return context, self._engine
        self._release()
        cells, sequences = self._footprint.rounded(layout, most_sequences=bindings.max_sequences(), limit=limit)
        self._context = context = bindings.Context(
            self._model,
            cells=cells,
            sequences=sequences,
            chunk=CHUNK,
            threads=self.threads,
            cache_type=layout.cache_type,
        )
        self._engine = Engine(context, pool=self._pool)
        return context, self._engine

    def _release(self) -> None:
        if self._context is not None:
            self._context.close()
        self._context = self._engine = None
        self._adapters = []


def _layers_for(path: Path, gpus: Sequence[device.Gpu]) -> int:
    """Layers to put on `gpus`, by the file's header."""
    if not gpus:
        return 0
    header = read_header(path)
    layers = header.metadata.get(f"{header.architecture}.block_count")
    return gpu.layers_for(path.stat().st_size, layers if isinstance(layers, int) else 0, gpus)


def _file_state(path: Path) -> _FileState:
    try:
        state = path.stat()
    except OSError as error:
        raise ModelUnavailable(
            f"there is no adapter file {path} ({error.strerror})", "give a LoRA adapter as a .gguf file"
        ) from error
    return path.resolve(), state.st_mtime_ns, state.st_size


def _least(first: int, *others: int | None) -> int:
    return min([first, *(other for other in others if other is not None)])


def _free_bytes(threads: int) -> int:
    """Bytes that can be taken now. Under a limit of the address space, what threads reserve is not among them."""
    free = device.available_memory()
    if sys.platform != "win32":
        import resource

        if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
            # Besides the threads that decode: the one that watches the deadline, and the one that helps with drawing.
            free -= _ADDRESS_BYTES + (threads + min(threads, 2)) * _STACK_BYTES
    return max(0, free)
