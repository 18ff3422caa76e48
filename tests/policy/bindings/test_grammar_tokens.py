"""A vocabulary as llguidance sees it: read some at a time, its special tokens kept apart from texts."""

from __future__ import annotations

import numpy as np
import pytest
from llguidance import LLMatcher

from edge_ttp.policy.bindings.grammar_tokens import GrammarTokens
from edge_ttp.policy.json_grammar import START


class Pieces:
    """A vocabulary of bytes, an end token and another control token behind them."""

    def __init__(self, size: int = 258, ends: tuple[int, ...] = (256,)) -> None:
        self.vocab_size, self._ends = size, ends
        self.asked: list[int] = []

    def piece(self, token: int) -> bytes:
        self.asked.append(token)
        return bytes([token % 256])

    def ends_answer(self, token: int) -> bool:
        return token >= 256 and token in (256, 257)

    def ends_text(self, token: int) -> bool:
        return token in self._ends


def test_a_large_vocabulary_is_read_in_parts() -> None:
    pieces = Pieces(10_000)
    tokens = GrammarTokens(pieces)
    assert [tokens.advance() for _ in range(3)] == [False, False, True]
    assert len(pieces.asked) == 10_000 - 2
    tokens.tokenizer()
    assert tokens.advance()
    assert len(pieces.asked) == 10_000 - 2  # nothing is read again


def test_only_tokens_that_end_a_text_may_come_where_it_is_complete() -> None:
    tokens = GrammarTokens(Pieces())
    matcher = LLMatcher(tokens.tokenizer(), START + 'start: "ab"', log_level=0)
    assert tokens.ends == [256]
    said = []
    for token in (ord("a"), ord("b")):
        mask = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
        said.append(np.flatnonzero(mask[:258]).tolist())
        assert matcher.consume_token(token)
    assert said == [[ord("a")], [ord("b")]]
    mask = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
    assert np.flatnonzero(mask[:258]).tolist() == [256]


@pytest.mark.parametrize("ends", [(), (256, 257)])
def test_a_vocabulary_may_have_no_end_or_several(ends: tuple[int, ...]) -> None:
    tokens = GrammarTokens(Pieces(ends=ends))
    tokens.tokenizer()
    assert tokens.ends == [*ends]
