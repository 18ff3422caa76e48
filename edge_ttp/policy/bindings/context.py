"""A KV cache that decodes batches in which one row may belong to several sequences."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import ModelUnavailable, OutOfCapacity
from edge_ttp.policy.bindings import library, messages
from edge_ttp.policy.bindings.library import llama_cpp
from edge_ttp.policy.bindings.llama_model import Model
from edge_ttp.policy.bindings.loaded_adapter import LoadedAdapter
from edge_ttp.policy.decoder import Aborted, NoRoom
from edge_ttp.policy.memory import CacheType
from edge_ttp.policy.reading import GRAIN

if TYPE_CHECKING:
    from edge_ttp.policy.bindings.grammar import Grammar

Logits = npt.NDArray[np.float32]


_Bytes = ctypes.POINTER(ctypes.c_uint8)
_GGML_TYPE: dict[CacheType, int] = {"f16": 1, "q8_0": 8}


def _flag_reader() -> Any:
    """A native function that is true while the first of the two bytes it is given is not 0: strlen.

    llama.cpp asks between all parts of a computation, from its own threads. A Python callback there would cost more
    than a tenth of a small model's time.
    """
    libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
    return llama_cpp.ggml_abort_callback(ctypes.cast(libc.strlen, ctypes.c_void_p).value)


_is_set = _flag_reader()


def _flash_attention(model: Model, cache_type: CacheType) -> int:
    """llama.cpp's switch: 1 on, 0 off, -1 as it sees fit.

    On a CPU it is slower for batches of several candidates (a quarter at 600 tokens of prompt), sums in 16 bits, and
    its results depend on the other rows. Without it, a candidate's logits are the same to the bit whatever runs beside
    it. Values of 8 bits cannot do without.
    """
    if cache_type == "q8_0":
        return 1
    return -1 if model.on_gpu else 0


def grain_of(model: Model, cache_type: CacheType, chunk: int) -> int:
    """Tokens to which reuse is exact (policy/reading.py).

    Flash attention's results depend on the other rows: only whole chunks are then computed alike.
    """
    return GRAIN if _flash_attention(model, cache_type) == 0 and chunk % GRAIN == 0 else chunk


class Context:
    """A KV cache of `cells` cells shared by up to `sequences` sequences, and the batch that fills it (engine.Decoder).

    Sequence 0 holds the prompt; the others are forked from it. Not safe for two threads at once, but for `abort`.
    Raises OutOfCapacity where it cannot be allocated.
    """

    def __init__(
        self,
        model: Model,
        *,
        cells: int,
        sequences: int,
        chunk: int,
        threads: int,
        cache_type: CacheType = "f16",
        flash_attention: bool | None = None,
    ) -> None:
        """`flash_attention` None: where it pays (`_flash_attention`); otherwise for measurements."""
        rows = max(chunk, sequences)
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = cells
        parameters.n_seq_max = sequences
        parameters.n_batch = rows
        parameters.n_ubatch = rows
        parameters.n_outputs_max = sequences  # logits only for the rows that are sampled from
        parameters.n_threads = threads
        parameters.n_threads_batch = threads
        parameters.kv_unified = True  # otherwise n_ctx is split between sequences and a prompt cannot be shared
        parameters.swa_full = True  # a sliding-window cache could not be cut back to a shared prefix
        parameters.type_k = parameters.type_v = _GGML_TYPE[cache_type]
        parameters.flash_attn_type = (
            _flash_attention(model, cache_type) if flash_attention is None else int(flash_attention)
        )
        parameters.no_perf = True
        messages.forget_complaints()
        self._handle: Any = llama_cpp.llama_init_from_model(model.handle, parameters)
        if not self._handle:
            raise OutOfCapacity(
                f"a context of {cells} tokens for {sequences} sequences cannot be allocated "
                f"({messages.complaints('out of memory')})",
                "ask for fewer candidates or fewer tokens",
            )
        self._memory = llama_cpp.llama_get_memory(self._handle)
        self._abort = ctypes.create_string_buffer(2)  # the flag, and the end of a string
        llama_cpp.llama_set_abort_callback(self._handle, _is_set, ctypes.cast(self._abort, ctypes.c_void_p))
        self._allocate_batch(rows, sequences)
        self.cells, self.sequences, self.chunk, self.cache_type = cells, sequences, chunk, cache_type
        self.grain = grain_of(model, cache_type, chunk)
        self._vocab_size = model.vocab_size
        self.shares_rows = model.shares_rows
        self.piece, self.ends_answer = model.piece, model.ends_answer
        self._model = model
        self._reading = self._drawing = self._running = threads

    def use_threads(self, *, reading: int, drawing: int) -> None:
        """Threads for prompts and for decode steps from now on."""
        self._reading, self._drawing = reading, drawing

    def _run_on(self, threads: int) -> None:
        if threads != self._running:
            llama_cpp.llama_set_n_threads(self._handle, threads, threads)
            self._running = threads

    @property
    def handle(self) -> Any:
        """llama.cpp's pointer."""
        return self._handle

    def _allocate_batch(self, rows: int, sequences: int) -> None:
        """llama_batch over arrays of this object: numpy fills them a hundred times faster than ctypes."""
        self._tokens = np.zeros(rows, dtype=np.int32)
        self._positions = np.zeros(rows, dtype=np.int32)
        self._owner_counts = np.zeros(rows, dtype=np.int32)
        self._owners = np.zeros(rows + sequences, dtype=np.int32)  # all rows' sequences, one after another
        self._owner_starts = np.zeros(rows, dtype=np.uintp)  # where each row's begin
        self._wants_logits = np.zeros(rows, dtype=np.int8)
        batch = self._batch = llama_cpp.llama_batch()
        for name, array in (
            ("token", self._tokens),
            ("pos", self._positions),
            ("n_seq_id", self._owner_counts),
            ("seq_id", self._owner_starts),
            ("logits", self._wants_logits),
        ):
            kind = type(getattr(batch, name))
            setattr(batch, name, ctypes.cast(ctypes.c_void_p(array.ctypes.data), kind))

    def prefill(self, tokens: Sequence[int], start: int, *, want_logits: bool) -> Logits | None:
        """Appends `tokens` at position `start` to sequence 0; the last token's logits (vocabulary,) where wanted.

        At most `chunk` tokens at once. Raises NoRoom or Aborted, the cache then unchanged.
        """
        count = len(tokens)
        self._run_on(self._reading)
        self._tokens[:count] = tokens
        self._positions[:count] = np.arange(start, start + count)
        self._wants_logits[:count] = 0
        self._wants_logits[count - 1] = want_logits
        self._decode(np.zeros(count, dtype=np.int32), np.ones(count, dtype=np.int32))
        return self._logits(count - 1, 1)[0] if want_logits else None

    def step(self, tokens: Sequence[int], positions: Sequence[int], members: Sequence[Sequence[int]]) -> Logits:
        """Logits (rows, vocabulary) after one token per row; row i belongs to all sequences of members[i].

        The array is llama.cpp's own buffer: valid until the next call. Raises NoRoom or Aborted, the cache then
        unchanged.
        """
        rows = len(tokens)
        self._run_on(self._drawing)
        self._tokens[:rows] = tokens
        self._positions[:rows] = positions
        self._wants_logits[:rows] = 1
        counts = np.fromiter(map(len, members), dtype=np.int32, count=rows)
        owners = np.fromiter((one for row in members for one in row), dtype=np.int32, count=int(counts.sum()))
        try:
            self._decode(owners, counts)
        except Aborted:
            # llama.cpp takes an aborted row back from the first of its sequences alone.
            for position, row in zip(positions, members, strict=True):
                for sequence in row:
                    llama_cpp.llama_memory_seq_rm(self._memory, sequence, position, -1)
            raise
        return self._logits(0, rows)

    def _decode(self, owners: npt.NDArray[np.int32], counts: npt.NDArray[np.int32]) -> None:
        rows = len(counts)
        self._owners[: len(owners)] = owners
        self._owner_counts[:rows] = counts
        starts = np.cumsum(counts) - counts
        self._owner_starts[:rows] = self._owners.ctypes.data + starts * self._owners.itemsize
        self._batch.n_tokens = rows
        library.check_process()
        code = llama_cpp.llama_decode(self._handle, self._batch)
        if code == 1:
            raise NoRoom
        if code == 2:
            raise Aborted
        if code != 0:
            raise ModelUnavailable(
                f"llama.cpp failed while decoding (code {code}: {messages.complaints('no reason given')})",
                "try again with fewer candidates; if it persists, check the file with `edge-ttp models verify`",
            )

    def _logits(self, first: int, count: int) -> Logits:
        # Outputs lie one after another in the order of the batch, so the first row's address is enough.
        pointer = llama_cpp.llama_get_logits_ith(self._handle, first)
        if not pointer:
            raise ModelUnavailable("llama.cpp returned no logits", "update llama-cpp-python to the tested version")
        return np.ctypeslib.as_array(pointer, shape=(count, self._vocab_size))

    def fork(self, sequences: Sequence[int]) -> None:
        """Makes each of `sequences` share everything that sequence 0 holds."""
        for sequence in sequences:
            llama_cpp.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)

    def drop(self, sequence: int) -> None:
        """Removes `sequence`; cells that no other sequence shares become free."""
        llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def truncate(self, length: int) -> bool:
        """Cuts sequence 0 back to its first `length` tokens; False where the cache cannot (then clear it)."""
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, 0, length, -1))

    def clear(self) -> None:
        """Empties the cache."""
        llama_cpp.llama_memory_clear(self._memory, False)

    def wipe(self) -> None:
        """Empties the cache and overwrites its memory."""
        llama_cpp.llama_memory_clear(self._memory, True)

    def save(self, length: int) -> npt.NDArray[np.uint8]:
        """The state of the first `length` tokens of sequence 0, in bytes. No other sequence may be there."""
        whole = length == self.length(0)
        source = 0 if whole else 1
        if not whole:
            llama_cpp.llama_memory_seq_cp(self._memory, 0, source, 0, length)
        try:
            size = int(llama_cpp.llama_state_seq_get_size(self._handle, source))
            state = np.empty(size, dtype=np.uint8)
            written = llama_cpp.llama_state_seq_get_data(self._handle, state.ctypes.data_as(_Bytes), size, source)
        finally:
            if not whole:
                self.drop(source)
        return state[: int(written)]

    def load(self, state: npt.NDArray[np.uint8], length: int) -> bool:
        """Puts a state that `save` gave for `length` tokens into sequence 0 of the emptied cache; whether it is there.

        The state must come from the same model, adapters, cache type and build: llama.cpp checks little. Where it is
        not there, the context must not be used any more.
        """
        self.clear()
        read = llama_cpp.llama_state_seq_set_data(self._handle, state.ctypes.data_as(_Bytes), state.nbytes, 0)
        return int(read) == state.nbytes and self.length(0) == length

    def length(self, sequence: int) -> int:
        """Tokens that `sequence` holds."""
        return int(llama_cpp.llama_memory_seq_pos_max(self._memory, sequence)) + 1

    def adapt(self, adapters: Sequence[tuple[LoadedAdapter, float]]) -> None:
        """Decodes with these adapters and scales from now on. What the cache holds was computed without: clear it."""
        count = len(adapters)
        handles = (llama_cpp.llama_adapter_lora_p_ctypes * count)(*(adapter.handle for adapter, _ in adapters))
        scales = (ctypes.c_float * count)(*(scale for _, scale in adapters))
        if llama_cpp.llama_set_adapters_lora(self._handle, handles, count, scales) != 0:
            raise ModelUnavailable("llama.cpp does not take the adapters", "use fewer, or one that fits the model")

    def constrain(self, grammar: str) -> Grammar:
        """The beginning of a text that follows a grammar. Raises InvalidInput, and Aborted as a computation does."""
        from edge_ttp.policy.bindings.grammar import Grammar  # llguidance: most requests need none

        tokens = self._model.grammar_tokens()
        while not tokens.advance():  # once for a model, a second for large vocabularies
            if self._abort[0] != b"\x00":
                raise Aborted
        return Grammar(self._model, grammar)

    def arm(self) -> None:
        """Before a step: an `abort` that came too late for the step before it is forgotten."""
        self._abort[0] = b"\x00"

    def abort(self) -> None:
        """Makes the computation under way raise Aborted. May be called from any thread.

        On a CPU at once; on a GPU computations run to their end.
        """
        self._abort[0] = b"\x01"

    def close(self) -> None:
        """Frees the cache. The context cannot be used afterwards."""
        if self._handle:
            llama_cpp.llama_free(self._handle)
            self._handle = None
