"""A model's tokens as llguidance sees them: made once for a model, some at a time, as the call's time allows."""

from __future__ import annotations

from typing import Any, Protocol

from llguidance import LLTokenizer, TokenizerWrapper

_SPECIAL = b"\xff"
"""Begins a token that no text is made of (toktrie's SPECIAL_TOKEN_MARKER)."""
_AT_ONCE = 4096


class Pieces(Protocol):
    """What is asked of a model (bindings.Model)."""

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""

    def piece(self, token: int) -> bytes:
        """The bytes of a token."""

    def ends_answer(self, token: int) -> bool:
        """Whether a token ends an answer."""

    def ends_text(self, token: int) -> bool:
        """Whether a token is one of those by which the model says that it is done."""


class GrammarTokens:
    """The tokens of `model`, of which grammars allow some. Keeps nothing of llama.cpp's."""

    def __init__(self, model: Pieces) -> None:
        self._model = model
        self._tokens: list[bytes] = []
        self.ends: list[int] = []
        """Tokens that may come where a text is complete; all of them once `tokenizer` was called."""
        self._made: Any = None
        self.size = model.vocab_size

    def advance(self) -> bool:
        """Reads some more tokens; whether all are there."""
        if self._made is None:
            first = len(self._tokens)
            for token in range(first, min(first + _AT_ONCE, self.size)):
                special = self._model.ends_answer(token)
                if special and self._model.ends_text(token):
                    self.ends.append(token)
                self._tokens.append(_SPECIAL + b"<%d>" % token if special else self._model.piece(token))
            if len(self._tokens) == self.size:
                self._made = LLTokenizer(TokenizerWrapper(_Tokens(self._tokens, self.ends)), slices=[])
        return self._made is not None

    def tokenizer(self) -> Any:
        """llguidance's view of the tokens."""
        while not self.advance():
            pass
        return self._made


class _Tokens:
    """What llguidance asks of a tokenizer. It never tokenizes: tokens come to it drawn."""

    bos_token_id = None

    def __init__(self, tokens: list[bytes], ends: list[int]) -> None:
        self.tokens = tokens
        self.special_token_ids = ends
        self.eos_token_id = ends[0] if ends else len(tokens) - 1

    def __call__(self, text: bytes) -> list[int]:
        return []
