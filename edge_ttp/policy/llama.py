"""A GGUF policy ready to draw candidates: the model, a KV cache sized for the call, and the turn that guards both."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ttp.errors import ModelUnavailable, OutOfCapacity
from edge_ttp.policy import bindings
from edge_ttp.policy.engine import Control, Engine, Request, Sampled
from edge_ttp.policy.turn import Turns

CHUNK = 128
"""Prompt tokens computed at once: small enough to cancel within a decode step, large enough for full speed."""

_CELL_STEP = 1024  # caches grow in these steps, so that similar calls keep one context
_FEWEST_SEQUENCES = 33
_MIB = 2**20
_WORKING_BYTES = 48 * _MIB  # llama.cpp's compute buffers for CHUNK rows of a small model, measured


_MEASURED_ROWS = (1, 8, 16)


@dataclass(frozen=True)
class Speeds:
    """Measured seconds: per prompt token, and per decode step of so many rows."""

    prefill_token_s: float
    rows: tuple[int, ...]
    step_s: tuple[float, ...]


class LlamaPolicy:
    """One loaded policy. Safe to call from several threads: calls are served one after another, in order.

    `threads` must not exceed the cores that are free: llama.cpp's threads wait for each other spinning, and with a
    busy neighbour on one of two cores two threads run many times slower than one.
    `memory_bytes` limits weights, cache and buffers together. Raises ModelUnavailable or OutOfCapacity.
    """

    def __init__(
        self, path: Path, *, threads: int, memory_bytes: int | None = None, gpu_layers: int | None = None
    ) -> None:
        if not path.is_file():
            raise ModelUnavailable(f"there is no model file {path}", "see `edge-ttp models list`")
        size = path.stat().st_size
        if memory_bytes is not None and size + _WORKING_BYTES > memory_bytes:
            needed = (size + _WORKING_BYTES) // _MIB
            raise OutOfCapacity(
                f"the model needs about {needed} MiB and {memory_bytes // _MIB} MiB are allowed",
                "allow more memory or choose a smaller model",
            )
        self.path = path
        self.threads = threads
        self.gpu_layers = gpu_layers if gpu_layers is not None else (999 if bindings.gpu_offload() else 0)
        self._memory_bytes = memory_bytes
        self._model = bindings.Model(path, gpu_layers=self.gpu_layers)
        self._context: bindings.Context | None = None
        self._engine: Engine | None = None
        self._turns = Turns()

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

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` alone."""
        return len(self._model.tokenize(text, control=False))

    def _begin(self, tokens: list[int]) -> tuple[int, ...]:
        if self._model.adds_bos and tokens[:1] != [self._model.bos]:
            tokens.insert(0, self._model.bos)
        return tuple(tokens)

    def held_bytes(self) -> int:
        """Bytes that weights, cache and buffers take now, by the same reckoning as the limits."""
        context = self._context  # another thread may be replacing it
        cells = context.cells if context is not None else 0
        return self._model.size_bytes + _WORKING_BYTES + cells * self.memory_per_token()

    def memory_per_token(self) -> int:
        """Bytes of KV cache that one token of one sequence takes."""
        return self._model.kv_bytes_per_token

    def width(self, prompt_tokens: int, max_tokens: int, n: int, *, memory_bytes: int | None = None) -> int:
        """How many of `n` candidates can be decoded at once within the memory.

        Raises OutOfCapacity where the prompt leaves no room for one.
        """
        if prompt_tokens + max_tokens > self.context_trained:
            raise OutOfCapacity(
                f"the prompt of {prompt_tokens} tokens and an answer of {max_tokens} exceed "
                f"the model's context of {self.context_trained}",
                "shorten the prompt or lower --max-tokens",
            )
        width = min(n, bindings.max_sequences() - 1)
        cells = self._most_cells(memory_bytes)
        if cells is not None:
            width = min(width, (cells - prompt_tokens) // max_tokens)
        if width < 1:
            raise OutOfCapacity(
                f"the memory allowed holds {cells} tokens, not the {prompt_tokens} of the prompt "
                f"and the {max_tokens} of an answer",
                "allow more memory or lower --max-tokens",
            )
        return width

    def sample(self, request: Request, control: Control, *, memory_bytes: int | None = None) -> Sampled:
        """Draws the candidates of `request`. Waits for earlier calls to end."""
        with self._turns.take(deadline=control.deadline, cancel=control.cancel):
            width = self.width(len(request.prompt), request.max_tokens, request.n, memory_bytes=memory_bytes)
            engine = self._prepare(len(request.prompt) + width * request.max_tokens, width, memory_bytes)
            try:
                return engine.sample(request, control, width=width)
            except ModelUnavailable:
                self._release()  # a cache that failed once is not trusted again
                raise

    def measure(self) -> Speeds:
        """Times this policy on this device: a prompt chunk, and decode steps of a few widths. About a second."""
        with self._turns.take():
            self._prepare(CHUNK * 2, _MEASURED_ROWS[-1], None)
            context = self._context
            assert context is not None
            filler = self._model.tokenize("measure this machine ", control=False) * CHUNK
            context.clear()
            prefill_s = []
            for start in (0, CHUNK):  # the first one also warms caches up
                started = time.perf_counter()
                context.prefill(filler[:CHUNK], start, want_logits=start > 0)
                prefill_s.append(time.perf_counter() - started)
            steps = []
            for rows in _MEASURED_ROWS * 3:
                sequences = range(1, rows + 1)
                context.fork(sequences)
                started = time.perf_counter()
                context.step(filler[:rows], [2 * CHUNK] * rows, [[sequence] for sequence in sequences])
                steps.append(time.perf_counter() - started)
                for sequence in sequences:
                    context.drop(sequence)
            self._engine = Engine(context)
            self._engine.forget()
        best = [min(steps[index :: len(_MEASURED_ROWS)]) for index in range(len(_MEASURED_ROWS))]
        return Speeds(prefill_token_s=prefill_s[-1] / CHUNK, rows=_MEASURED_ROWS, step_s=tuple(best))

    def _most_cells(self, memory_bytes: int | None) -> int | None:
        limits = [limit for limit in (self._memory_bytes, memory_bytes) if limit is not None]
        if not limits:
            return None
        free = min(limits) - self._model.size_bytes - _WORKING_BYTES
        return max(0, free) // self.memory_per_token() // 256 * 256

    def _prepare(self, cells: int, width: int, memory_bytes: int | None) -> Engine:
        """An engine whose cache holds `cells` tokens and `width` candidates; the one in use if it is large enough."""
        context = self._context
        if self._engine is not None and context is not None and context.cells >= cells and context.sequences > width:
            return self._engine
        self._release()
        wanted = -(-cells // _CELL_STEP) * _CELL_STEP
        most = self._most_cells(memory_bytes)
        if most is not None:
            wanted = max(cells, min(wanted, most))
        sequences = min(bindings.max_sequences(), max(_FEWEST_SEQUENCES, width + 1))
        self._context = bindings.Context(
            self._model, cells=wanted, sequences=sequences, chunk=CHUNK, threads=self.threads
        )
        self._engine = Engine(self._context)
        return self._engine

    def forget(self) -> None:
        """Drops the cached prompt, so that nothing of it stays in memory."""
        with self._turns.take():
            if self._engine is not None:
                self._engine.forget()

    def _release(self) -> None:
        if self._context is not None:
            self._context.close()
        self._context = self._engine = None

    def close(self) -> None:
        """Waits for the running call and frees the memory. The policy cannot be used afterwards."""
        with self._turns.take():
            self._release()
            self._model.close()
