"""llama.cpp through llama-cpp-python's low-level API: the only module that touches `llama_cpp`.

`Model` is a loaded GGUF, `Context` a KV cache that decodes batches in which one row may belong to several sequences.
Neither is safe to use from two threads at once; the engine holds the lock.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import ModelUnavailable, OutOfCapacity
from edge_ttp.policy.engine import NoRoom

# libgomp's threads spin for milliseconds at every barrier (hundreds a token). With a neighbour on one of two cores that
# runs 30 times slower than one thread; with a short spin it is as fast on a quiet machine and loses a half on a busy
# one. The library reads its environment while it loads.
_SPIN = "GOMP_SPINCOUNT"
_spin_given = _SPIN in os.environ
os.environ.setdefault(_SPIN, "1000")

try:
    import llama_cpp
except (ImportError, OSError, RuntimeError) as broken:
    raise ModelUnavailable(
        f"llama-cpp-python does not load here ({broken})",
        "reinstall it: pip install --force-reinstall llama-cpp-python",
    ) from broken
finally:
    if not _spin_given:
        del os.environ[_SPIN]

Logits = npt.NDArray[np.float32]

_SYMBOLS = (
    "llama_model_load_from_file",
    "llama_model_free",
    "llama_init_from_model",
    "llama_free",
    "llama_get_memory",
    "llama_memory_clear",
    "llama_memory_seq_rm",
    "llama_memory_seq_cp",
    "llama_batch_init",
    "llama_batch_free",
    "llama_decode",
    "llama_get_logits_ith",
    "llama_tokenize",
    "llama_token_to_piece",
    "llama_vocab_is_eog",
    "llama_vocab_get_attr",
    "llama_chat_apply_template",
    "llama_model_chat_template",
    "llama_model_meta_val_str",
    "llama_set_n_threads",
    "llama_supports_gpu_offload",
    "llama_log_set",
    "llama_max_parallel_sequences",
    "llama_print_system_info",
)
_PARAMETERS = {"kv_unified", "n_outputs_max", "swa_full"}
_missing = [name for name in _SYMBOLS if not hasattr(llama_cpp, name)]
_missing += sorted(_PARAMETERS - {name for name, *_ in llama_cpp.llama_context_params._fields_})
if _missing:
    raise ModelUnavailable(
        f"this llama-cpp-python ({llama_cpp.__version__}) lacks {', '.join(_missing)}",
        "install the tested one: pip install llama-cpp-python==0.3.36",
    )

_ERROR = 4  # ggml_log_level GGML_LOG_LEVEL_ERROR
_complaints: deque[str] = deque(maxlen=8)  # llama.cpp's last error lines: the reason behind a bare NULL


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _collect_log(level: int, text: bytes, _data: Any) -> None:
    if level == _ERROR:
        _complaints.append(text.decode("utf-8", "replace").strip())


llama_cpp.llama_log_set(_collect_log, ctypes.c_void_p(0))


def version() -> str:
    """The version of llama-cpp-python."""
    return str(llama_cpp.__version__)


def system_info() -> str:
    """llama.cpp's own line on the CPU features and back ends it was built with."""
    return str(llama_cpp.llama_print_system_info().decode("utf-8", "replace")).strip()


def gpu_offload() -> bool:
    """Whether this build can put layers on a GPU."""
    return bool(llama_cpp.llama_supports_gpu_offload())


def max_sequences() -> int:
    """Most sequences that one context can hold."""
    return int(llama_cpp.llama_max_parallel_sequences())


class Model:
    """A GGUF file loaded for text generation.

    Raises ModelUnavailable where the file is no language model or does not load.
    """

    def __init__(self, path: Path, *, gpu_layers: int = 0) -> None:
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = gpu_layers
        _complaints.clear()
        self._pieces: dict[int, bytes] = {}
        self._handle: Any = llama_cpp.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self._handle:
            reason = "; ".join(_complaints) or "unknown reason"
            raise ModelUnavailable(
                f"llama.cpp cannot load {path} ({reason[:300]})", "check the file with `edge-ttp models verify`"
            )
        self._vocab = llama_cpp.llama_model_get_vocab(self._handle)
        self.vocab_size = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self.context_trained = int(llama_cpp.llama_model_n_ctx_train(self._handle))
        self.size_bytes = int(llama_cpp.llama_model_size(self._handle))
        self.layers = int(llama_cpp.llama_model_n_layer(self._handle))
        self.description = self._text(llama_cpp.llama_model_desc)
        self._refuse_encoders(path)

    def _refuse_encoders(self, path: Path) -> None:
        architecture = self.metadata("general.architecture") or "unknown"
        encoder_only = not llama_cpp.llama_model_has_decoder(self._handle)
        pooled = self.metadata(f"{architecture}.pooling_type") not in (None, "0")
        bidirectional = self.metadata(f"{architecture}.attention.causal") == "false"
        if encoder_only or pooled or bidirectional or not self.vocab_size:
            self.close()
            raise ModelUnavailable(
                f"{path} is an embedding model ({architecture}), it cannot write text",
                "choose a language model: edge-ttp models list",
            )

    @property
    def handle(self) -> Any:
        """llama.cpp's pointer, for Context."""
        return self._handle

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of KV cache that one cell takes with 16-bit keys and values."""
        architecture = self.metadata("general.architecture") or ""
        heads = int(llama_cpp.llama_model_n_head(self._handle)) or 1
        embedding = int(llama_cpp.llama_model_n_embd(self._handle))
        kv_heads = int(llama_cpp.llama_model_n_head_kv(self._handle)) or heads
        key = int(self.metadata(f"{architecture}.attention.key_length") or embedding // heads)
        value = int(self.metadata(f"{architecture}.attention.value_length") or embedding // heads)
        return self.layers * kv_heads * (key + value) * 2

    @property
    def adds_bos(self) -> bool:
        """Whether prompts of this model begin with a begin-of-text token."""
        return bool(llama_cpp.llama_vocab_get_add_bos(self._vocab))

    @property
    def bos(self) -> int:
        """The begin-of-text token."""
        return int(llama_cpp.llama_vocab_bos(self._vocab))

    @property
    def chat_template(self) -> str | None:
        """The chat template stored in the file (Jinja source), None where there is none."""
        found = llama_cpp.llama_model_chat_template(self._handle, None)
        return found.decode("utf-8", "replace") if found else None

    def metadata(self, key: str) -> str | None:
        """The value of one GGUF metadata key as text, None where it is absent."""
        buffer = ctypes.create_string_buffer(4096)
        written = llama_cpp.llama_model_meta_val_str(self._handle, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if written >= 0 else None

    def render_chat(self, messages: Sequence[tuple[str, str]]) -> str | None:
        """`messages` (role, text) in this model's chat template, ending where the assistant begins to speak.

        None where the file has no template, or one that llama.cpp does not know.
        """
        template = self.chat_template
        if template is None:
            return None
        chat = (llama_cpp.llama_chat_message * len(messages))(
            *(llama_cpp.llama_chat_message(role=role.encode(), content=text.encode()) for role, text in messages)
        )
        size = 1024 + 2 * sum(len(role) + len(text.encode()) for role, text in messages)
        while True:
            buffer = ctypes.create_string_buffer(size)
            written = llama_cpp.llama_chat_apply_template(
                template.encode(), chat, len(messages), True, ctypes.cast(buffer, ctypes.c_char_p), size
            )
            if written < 0:
                return None
            if written <= size:
                return buffer.raw[:written].decode("utf-8", "replace")
            size = written

    def tokenize(self, text: str, *, control: bool) -> list[int]:
        """Token ids of `text`, no begin-of-text token added.

        Only with `control` do strings such as <|im_end|> become control tokens; a user's text never gets it.
        """
        data = text.encode("utf-8", "replace")
        size = len(data) + 8
        buffer = (llama_cpp.llama_token * size)()
        count = llama_cpp.llama_tokenize(self._vocab, data, len(data), buffer, size, False, control)
        if count < 0:
            raise OutOfCapacity(f"a text of {len(data):,} bytes cannot be tokenized", "shorten it")
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """The bytes that `token` stands for; may end inside a UTF-8 character. Empty for control tokens."""
        known = self._pieces.get(token)
        if known is None:
            buffer = ctypes.create_string_buffer(256)
            length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
            if length < 0:
                buffer = ctypes.create_string_buffer(-length)
                length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
            known = self._pieces[token] = buffer.raw[:length]
        return known

    def ends_answer(self, token: int) -> bool:
        """Whether `token` ends an answer: an end-of-generation token, or any other control token."""
        if llama_cpp.llama_vocab_is_eog(self._vocab, token):
            return True
        return bool(llama_cpp.llama_vocab_get_attr(self._vocab, token) & llama_cpp.LLAMA_TOKEN_ATTR_CONTROL)

    def _text(self, function: Any) -> str:
        buffer = ctypes.create_string_buffer(256)
        function(self._handle, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    def close(self) -> None:
        """Frees the weights. The model cannot be used afterwards."""
        if self._handle:
            llama_cpp.llama_model_free(self._handle)
            self._handle = None


class Context:
    """A KV cache of `cells` cells shared by up to `sequences` sequences, and the batch that fills it (engine.Decoder).

    Sequence 0 holds the prompt; the others are forked from it. Raises OutOfCapacity where it cannot be allocated.
    """

    def __init__(self, model: Model, *, cells: int, sequences: int, chunk: int, threads: int) -> None:
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
        parameters.no_perf = True
        _complaints.clear()
        self._handle: Any = llama_cpp.llama_init_from_model(model.handle, parameters)
        if not self._handle:
            raise OutOfCapacity(
                f"a context of {cells} tokens for {sequences} sequences cannot be allocated "
                f"({'; '.join(_complaints)[:200] or 'out of memory'})",
                "ask for fewer candidates or fewer tokens",
            )
        self._memory = llama_cpp.llama_get_memory(self._handle)
        self._batch = llama_cpp.llama_batch_init(rows, 0, sequences)
        self.cells, self.sequences, self.chunk = cells, sequences, chunk
        self._vocab_size = model.vocab_size
        self.piece, self.ends_answer = model.piece, model.ends_answer

    def prefill(self, tokens: Sequence[int], start: int, *, want_logits: bool) -> Logits | None:
        """Appends `tokens` at position `start` to sequence 0; the last token's logits (vocabulary,) where wanted.

        At most `chunk` tokens at once. Raises NoRoom.
        """
        batch = self._batch
        for index, token in enumerate(tokens):
            batch.token[index] = token
            batch.pos[index] = start + index
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
            batch.logits[index] = 0
        batch.logits[len(tokens) - 1] = want_logits
        batch.n_tokens = len(tokens)
        self._decode()
        return self._logits(len(tokens) - 1, 1)[0] if want_logits else None

    def step(self, tokens: Sequence[int], positions: Sequence[int], members: Sequence[Sequence[int]]) -> Logits:
        """Logits (rows, vocabulary) after one token per row; row i belongs to all sequences of members[i].

        The array is llama.cpp's own buffer: valid until the next call. Raises NoRoom.
        """
        batch = self._batch
        for index, token in enumerate(tokens):
            batch.token[index] = token
            batch.pos[index] = positions[index]
            batch.n_seq_id[index] = len(members[index])
            owners = batch.seq_id[index]
            for slot, sequence in enumerate(members[index]):
                owners[slot] = sequence
            batch.logits[index] = 1
        batch.n_tokens = len(tokens)
        self._decode()
        return self._logits(0, len(tokens))

    def _decode(self) -> None:
        code = llama_cpp.llama_decode(self._handle, self._batch)
        if code == 1:
            raise NoRoom
        if code != 0:
            reason = "; ".join(_complaints)[:200] or "no reason given"
            raise ModelUnavailable(
                f"llama.cpp failed while decoding (code {code}: {reason})",
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

    def set_threads(self, threads: int) -> None:
        """Threads for the next decode."""
        llama_cpp.llama_set_n_threads(self._handle, threads, threads)

    def close(self) -> None:
        """Frees the cache. The context cannot be used afterwards."""
        if self._handle:
            llama_cpp.llama_batch_free(self._batch)
            llama_cpp.llama_free(self._handle)
            self._handle = None


def plain_completer(path: Path, *, context: int, threads: int) -> Any:
    """llama-cpp-python's own `Llama` on the same file: what the benchmarks compare with."""
    return llama_cpp.Llama(
        model_path=str(path), n_ctx=context, n_threads=threads, n_threads_batch=threads, verbose=False
    )
