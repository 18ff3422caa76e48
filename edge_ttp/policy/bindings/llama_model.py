"""A GGUF file loaded for text generation: its weights, vocabulary and chat template."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ttp.errors import Cancelled, ModelUnavailable, OutOfCapacity
from edge_ttp.policy.bindings import library, messages
from edge_ttp.policy.bindings.library import llama_cpp

if TYPE_CHECKING:
    from edge_ttp.policy.bindings.grammar_tokens import GrammarTokens


class Model:
    """A GGUF file loaded for text generation.

    `spare_memory` keeps the weights as they are in the file: llama.cpp's faster layouts need a copy of them.
    Tokenizing is safe from any thread, and after `close` an error. Raises ModelUnavailable where the file is no
    language model or does not load.
    """

    def __init__(
        self,
        path: Path,
        *,
        gpu_layers: int = 0,
        spare_memory: bool = False,
        advance: Callable[[float], bool] | None = None,
    ) -> None:
        """`advance` is called with the part that is loaded, and ends the loading (Cancelled) by returning False."""
        parameters = llama_cpp.llama_model_default_params()
        ended = threading.Event()

        @llama_cpp.llama_progress_callback  # type: ignore[untyped-decorator]
        def loading(done: float, _: Any) -> bool:
            if advance is not None and not advance(done):
                ended.set()
            return not ended.is_set()

        parameters.progress_callback = loading
        parameters.n_gpu_layers = gpu_layers
        parameters.use_extra_bufts = not spare_memory
        library.check_process()
        messages.forget_complaints()
        self._lock = threading.Lock()
        self._pieces: dict[int, bytes] = {}
        self._ends: dict[int, bool] = {}
        self._grammar_tokens: GrammarTokens | None = None
        self._handle: Any = llama_cpp.llama_model_load_from_file(os.fsencode(path), parameters)
        if ended.is_set():
            self.close()
            raise Cancelled("cancelled while the model was loading")
        if not self._handle:
            raise ModelUnavailable(
                f"llama.cpp cannot load {path} ({messages.complaints('unknown reason')})",
                "check the file with `edge-ttp models verify`",
            )
        self._vocab = llama_cpp.llama_model_get_vocab(self._handle)
        self.vocab_size = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self.context_trained = int(llama_cpp.llama_model_n_ctx_train(self._handle))
        self.size_bytes = int(llama_cpp.llama_model_size(self._handle)) + messages.copied_bytes()
        """Bytes of the weights, copies in a faster layout included."""
        self.layers = int(llama_cpp.llama_model_n_layer(self._handle))
        self.on_gpu = gpu_layers > 0
        self.heads = int(llama_cpp.llama_model_n_head(self._handle)) or 1
        self.embedding = int(llama_cpp.llama_model_n_embd(self._handle))
        self.window = int(llama_cpp.llama_model_n_swa(self._handle))
        """Tokens that some layers see back; 0 where all see everything. A state of more tokens leaves out what these
        layers no longer see, and what is read behind it is then rounded differently."""
        self.description = self._text(llama_cpp.llama_model_desc)
        self.shares_rows = not (
            llama_cpp.llama_model_is_recurrent(self._handle) or llama_cpp.llama_model_is_hybrid(self._handle)
        )
        """Whether a batch row may belong to several sequences: not where a sequence has a state of its own."""
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
        """llama.cpp's pointer, for Context. Raises ModelUnavailable after close."""
        if not self._handle:
            raise _closed()
        return self._handle

    @property
    def vocab(self) -> Any:
        """llama.cpp's pointer to the vocabulary, for Grammar. Raises ModelUnavailable after close."""
        if not self._handle:
            raise _closed()
        return self._vocab

    @property
    def head_widths(self) -> tuple[int, int, int]:
        """Key and value heads of a layer, elements of a key, elements of a value."""
        architecture = self.metadata("general.architecture") or ""
        kv_heads = int(llama_cpp.llama_model_n_head_kv(self.handle)) or self.heads
        key = int(self.metadata(f"{architecture}.attention.key_length") or self.embedding // self.heads)
        value = int(self.metadata(f"{architecture}.attention.value_length") or self.embedding // self.heads)
        return kv_heads, key, value

    @property
    def adds_bos(self) -> bool:
        """Whether prompts of this model begin with a begin-of-text token."""
        with self._open():
            return bool(llama_cpp.llama_vocab_get_add_bos(self._vocab))

    @property
    def bos(self) -> int:
        """The begin-of-text token."""
        with self._open():
            return int(llama_cpp.llama_vocab_bos(self._vocab))

    @property
    def chat_template(self) -> str | None:
        """The chat template stored in the file (Jinja source), None where there is none."""
        with self._open():
            found = llama_cpp.llama_model_chat_template(self._handle, None)
            return found.decode("utf-8", "replace") if found else None

    def metadata(self, key: str) -> str | None:
        """The value of one GGUF metadata key as text, None where it is absent."""
        buffer = ctypes.create_string_buffer(4096)
        with self._open():
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
        with self._open():
            count = llama_cpp.llama_tokenize(self._vocab, data, len(data), buffer, size, False, control)
        if count < 0:
            raise OutOfCapacity(f"a text of {len(data):,} bytes cannot be tokenized", "shorten it")
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """The bytes that `token` stands for; may end inside a UTF-8 character. Empty for control tokens."""
        known = self._pieces.get(token)
        if known is None:
            with self._open():
                buffer = ctypes.create_string_buffer(256)
                length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
                if length < 0:
                    buffer = ctypes.create_string_buffer(-length)
                    length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
            known = self._pieces[token] = buffer.raw[:length]
        return known

    def ends_text(self, token: int) -> bool:
        """Whether `token` is an end-of-generation token."""
        with self._open():
            return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))

    def grammar_tokens(self) -> GrammarTokens:
        """The tokens for grammars, which need them all."""
        if self._grammar_tokens is None:
            from edge_ttp.policy.bindings.grammar_tokens import GrammarTokens

            self._grammar_tokens = GrammarTokens(self)
        return self._grammar_tokens

    def ends_answer(self, token: int) -> bool:
        """Whether `token` ends an answer: an end-of-generation token, or any other control token."""
        known = self._ends.get(token)
        if known is None:
            with self._open():
                attributes = llama_cpp.llama_vocab_get_attr(self._vocab, token)
                known = self._ends[token] = bool(
                    llama_cpp.llama_vocab_is_eog(self._vocab, token) or attributes & llama_cpp.LLAMA_TOKEN_ATTR_CONTROL
                )
        return known

    def _text(self, function: Any) -> str:
        buffer = ctypes.create_string_buffer(256)
        function(self._handle, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Keeps the model from being closed while the block reads it. Raises ModelUnavailable after close."""
        with self._lock:
            if not self._handle:
                raise _closed()
            yield

    def close(self) -> None:
        """Frees the weights. The model cannot be used afterwards."""
        with self._lock:
            if self._handle:
                llama_cpp.llama_model_free(self._handle)
                self._handle = None


def _closed() -> ModelUnavailable:
    return ModelUnavailable("the policy was closed", "open a new runtime")
