"""Grammars that candidates follow: which tokens may come next.

llguidance does the work: an Earley parser whose every step has a limit, whatever the grammar is, so that a hostile one
costs neither the process nor more than a moment.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher

from edge_ttp.errors import InvalidInput
from edge_ttp.policy import gbnf, gbnf_bounds
from edge_ttp.policy.bindings.llama_model import Model
from edge_ttp.policy.json_grammar import LIMITS, START, MadeGrammar, in_words


class Grammar:
    """The state of one text in a grammar: which tokens may follow (engine.Constraint).

    `text` is GBNF, which starts at its rule `root`, or what was made here in llguidance's notation. Raises InvalidInput
    for one that is not valid or beyond a limit.
    """

    def __init__(self, model: Model, text: str) -> None:
        compiled = text if isinstance(text, MadeGrammar) else _compiled(text)
        self._matcher: Any = LLMatcher(model.grammar_tokens().tokenizer(), compiled, log_level=0, limits=LIMITS)
        self._size = model.vocab_size
        self._ends = model.grammar_tokens().ends
        self._may_follow: npt.NDArray[np.bool_] | None = None
        if self._matcher.is_error():
            raise InvalidInput(f"the grammar is not valid ({in_words(self._matcher.get_error())})", "simplify it")

    def prepare(self) -> None:
        """Finds out what may follow, unless that is known. Raises InvalidInput where it is too much to find out."""
        if self._may_follow is None:
            mask = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
            if self._matcher.is_error():
                if "NoExtensionBias" in self._matcher.get_error():
                    raise InvalidInput("no text at all fits the grammar", "allow more")
                raise InvalidInput(
                    f"the grammar is too ambiguous to follow ({in_words(self._matcher.get_error())})", "simplify it"
                )
            self._may_follow = np.unpackbits(mask, count=self._size, bitorder="little").astype(np.bool_)
            if self._may_follow[self._ends].any():
                self._may_follow[self._ends] = True

    def allowed(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of `tokens` may come next."""
        self.prepare()
        assert self._may_follow is not None
        return self._may_follow[tokens]

    def accept(self, token: int) -> None:
        """Goes on behind `token`, which must be allowed."""
        self._may_follow = None
        if not self._matcher.consume_token(token):
            raise InvalidInput(f"the grammar cannot be followed ({in_words(self._matcher.get_error())})", "simplify it")

    def copy(self) -> Grammar:
        """A state of its own at the same place."""
        twin = object.__new__(Grammar)
        twin._matcher = self._matcher.deep_copy()
        twin._size, twin._ends, twin._may_follow = self._size, self._ends, self._may_follow
        return twin

    def close(self) -> None:
        """Frees the state."""
        self._matcher = None


def _compiled(text: str) -> str:
    rules = gbnf.read(text)
    gbnf_bounds.refuse_unbounded(rules)
    return START + rules.lark()
