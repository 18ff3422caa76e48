"""How long a candidate may be: by what the user usually writes, and by what the request asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_ttp.answer.ask import Ask, Policy
from edge_ttp.answer.controls import STRUCTURED_TOKENS
from edge_ttp.answer.extent import asked
from edge_ttp.answer.prompt import LENGTHS_FROM, tokens_for
from edge_ttp.schema import HistoryItem

BARE_TOKENS = 512
"""Longest answer of a bare policy where the caller says none: nobody's texts tell how long it should be."""

_ROOM = 1.3
"""Candidates may be longer than what is asked for by this factor: nobody counts words while writing."""

_TOKENS_PER_WORD = (1.3, 4.0)
"""Least and most tokens that a word is believed to take."""


@dataclass(frozen=True)
class AnswerLengths:
    """What is known of an answer's length before it is drawn, in tokens."""

    caps: tuple[int, ...]
    """Longest candidates that come into question, the fullest first."""
    usual: int
    """What most candidates keep to, at most the first cap."""
    typical: tuple[int, ...]
    """AnswerLengths that such answers have: of the user's own texts, or what was asked for."""
    several_lines: bool
    """Whether an answer of several lines is wanted, whatever the user usually writes."""

    def cut(self, longest: int) -> float:
        """Share of such answers that a cap of `longest` would cut, 0 to 1; the first cap cuts none."""
        return 0.0 if longest >= self.caps[0] else float(np.mean([length > longest for length in self.typical]))


def lengths_for(policy: Policy, ask: Ask, recent: Sequence[HistoryItem]) -> AnswerLengths:
    """What this request and these items, newest first, say of the answer's length."""
    if ask.speaker != "user":
        most = ask.sampling.max_tokens or BARE_TOKENS
        return AnswerLengths((most,), most, (), several_lines=True)
    own = [policy.count_tokens(item.output) for item in recent[:LENGTHS_FROM]]
    extent = asked(ask.prompt)
    several_lines = extent.several_lines or bool(ask.sampling.stop)
    usual = tokens_for(own)
    if ask.sampling.max_tokens:
        most = ask.sampling.max_tokens
        return AnswerLengths((most,), min(most, usual), tuple(own), several_lines)
    if ask.sampling.structured:
        most = max(usual, STRUCTURED_TOKENS)
        return AnswerLengths((most,), most, tuple(own), several_lines)
    wanted = _tokens(policy, ask.prompt, extent.words)
    if wanted > usual:
        return AnswerLengths((int(wanted * _ROOM), usual), wanted, (wanted,), several_lines)
    if ask.budget.deadline_s is None or not own:
        return AnswerLengths((usual,), usual, tuple(own), several_lines)
    # Under a deadline shorter ones too, that most of the user's own texts would keep to.
    shorter = {max(8, int(np.quantile(own, part)) + 2) for part in (0.5, 0.9)}
    caps = (usual, *sorted((cap for cap in shorter if cap < usual), reverse=True))
    return AnswerLengths(caps, usual, tuple(own), several_lines)


def _tokens(policy: Policy, request: str, words: int) -> int:
    """Tokens of an answer of so many words in the language of `request`."""
    if not words:
        return 0
    said = request[:2000]
    dense = sum(ord(character) > 0x2E7F for character in said)  # in Chinese and Japanese each is counted as a word
    counted = dense + len(said.split())
    each = policy.count_tokens(said) / max(1, counted)
    return round(words * min(_TOKENS_PER_WORD[1], max(_TOKENS_PER_WORD[0], each)))
