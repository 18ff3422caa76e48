"""What the engine needs of a model and its KV cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt


class NoRoom(Exception):
    """Raised by a Decoder whose cache has no cell left for a batch; the cache is unchanged."""


class Aborted(Exception):
    """Raised by a Decoder whose computation was cut off because the call has to end; the cache is unchanged."""


class Constraint(Protocol):
    """Where a text stands in a grammar (bindings.Grammar)."""

    def prepare(self) -> None:
        """Does what `allowed` needs, so that the call may end between two of them. Raises InvalidInput."""

    def allowed(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of `tokens` may come next."""

    def accept(self, token: int) -> None:
        """Goes on behind an allowed token."""

    def copy(self) -> Self:
        """A state of its own at the same place."""

    def close(self) -> None:
        """Frees it."""


class Decoder(Protocol):
    """What the engine needs of a model and its KV cache (bindings.Context; tests use a small table of logits)."""

    @property
    def chunk(self) -> int:
        """Most prompt tokens computed at once."""

    @property
    def grain(self) -> int:
        """Tokens to which reuse changes nothing (policy/reading.py): a divisor of `chunk`, or `chunk` itself."""

    @property
    def shares_rows(self) -> bool:
        """Whether a row may belong to several sequences."""

    def prefill(self, tokens: Sequence[int], start: int, *, want_logits: bool) -> npt.NDArray[np.float32] | None:
        """Appends tokens to the prompt sequence (0); the last one's logits (vocabulary,) where wanted."""

    def step(
        self, tokens: Sequence[int], positions: Sequence[int], members: Sequence[Sequence[int]]
    ) -> npt.NDArray[np.float32]:
        """Logits (rows, vocabulary) after one token per row; row i belongs to the sequences members[i]."""

    def fork(self, sequences: Sequence[int]) -> None:
        """Makes each of `sequences` share what the prompt sequence holds."""

    def drop(self, sequence: int) -> None:
        """Forgets one sequence."""

    def truncate(self, length: int) -> bool:
        """Cuts the prompt sequence back; False where that is impossible."""

    def clear(self) -> None:
        """Empties the cache."""

    def piece(self, token: int) -> bytes:
        """The bytes of a token; may end inside a UTF-8 character."""

    def ends_answer(self, token: int) -> bool:
        """Whether a token ends an answer."""

    def constrain(self, grammar: str) -> Constraint:
        """The beginning of a text that follows a grammar. Raises InvalidInput or Aborted."""
