"""A decoder for tests: a table of logits over a real bookkeeping of cells, sequences and positions, in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from edge_ttp.errors import InvalidInput
from edge_ttp.policy.decoder import Aborted, NoRoom
from edge_ttp.policy.json_grammar import MadeGrammar

Logits = npt.NDArray[np.float32]
Table = Callable[[tuple[int, ...]], npt.ArrayLike]
"""Logits (vocabulary,) after a whole sequence of tokens."""


class FakeClock:
    """Seconds that pass only when somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Places:
    """A grammar of tokens: which may stand at the first place, the second ..., and what was said so far."""

    def __init__(self, decoder: TableDecoder, places: list[set[int]], at: int = 0) -> None:
        self._decoder, self._places, self._at = decoder, places, at
        self._open = True
        decoder.states += 1

    def prepare(self) -> None:
        assert self._open

    def allowed(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        assert self._open
        return np.isin(tokens, sorted(self._places[self._at]))

    def accept(self, token: int) -> None:
        assert token in self._places[self._at]
        self._at += 1

    def copy(self) -> Places:
        return Places(self._decoder, self._places, self._at)

    def close(self) -> None:
        if self._open:
            self._decoder.states -= 1
        self._open = False


class TableDecoder:
    """An engine.Decoder that computes nothing and forgives nothing.

    A batch that breaks the rules of a KV cache (a position that does not follow, sequences of different content in
    one row, a row of nobody) fails the test. `cells` is the cache's size: beyond it NoRoom is raised, unchanged.
    """

    def __init__(
        self,
        table: Table,
        *,
        pieces: Sequence[bytes] = (),
        ends: Iterable[int] = (),
        cells: int = 100_000,
        chunk: int = 4,
        clock: FakeClock | None = None,
        step_s: float = 1.0,
    ) -> None:
        self._table = table
        self._pieces = pieces
        self._ends = frozenset(ends)
        self._size = cells
        self._clock = clock
        self._step_s = step_s
        self.chunk = self.grain = chunk
        self.prefills: list[tuple[int, tuple[int, ...]]] = []
        """Start and tokens of every prefill."""
        self.steps: list[tuple[tuple[int, tuple[int, ...]], ...]] = []
        """Token and members of every row of every step."""
        self.can_truncate = True
        self.shares_rows = True
        self.abort_in: int | None = None
        """Computations until one is aborted."""
        self.states = 0
        """Grammar states that are open."""
        self._owners: dict[int, set[int]] = {}  # cell -> sequences
        self._content: dict[int, list[tuple[int, int]]] = {}  # sequence -> its cells and tokens
        self._next = 0

    def cells_used(self) -> int:
        """Cells that some sequence holds."""
        return len(self._owners)

    def cells_of(self, sequence: int) -> int:
        """Cells that one sequence holds."""
        return len(self._content.get(sequence, []))

    def prefill(self, tokens: Sequence[int], start: int, *, want_logits: bool) -> Logits | None:
        assert 0 < len(tokens) <= self.chunk
        assert len(self._content.setdefault(0, [])) == start, "positions must follow one another"
        if self.cells_used() + len(tokens) > self._size:
            raise NoRoom
        self._tick()
        self.prefills.append((start, tuple(tokens)))
        for token in tokens:
            self._append(token, [0])
        return self._logits(0) if want_logits else None

    def step(self, tokens: Sequence[int], positions: Sequence[int], members: Sequence[Sequence[int]]) -> Logits:
        assert len(tokens) == len(positions) == len(members) > 0
        everybody = [sequence for row in members for sequence in row]
        assert len(set(everybody)) == len(everybody), "a sequence stands in one row only"
        assert 0 not in everybody, "the prompt's own sequence is not continued"
        for position, row in zip(positions, members, strict=True):
            contents = {tuple(token for _, token in self._content[sequence]) for sequence in row}
            assert len(contents) == 1, "sequences of one row must hold the same tokens"
            assert len(contents.pop()) == position, "positions must follow one another"
        if self.cells_used() + len(tokens) > self._size:
            raise NoRoom
        self._tick()
        self.steps.append(tuple((token, tuple(row)) for token, row in zip(tokens, members, strict=True)))
        for token, row in zip(tokens, members, strict=True):
            self._append(token, row)
        return np.stack([self._logits(row[0]) for row in members])

    def fork(self, sequences: Sequence[int]) -> None:
        for sequence in sequences:
            assert not self._content.get(sequence), "a sequence was left over"
            self._content[sequence] = list(self._content[0])
            for cell, _ in self._content[0]:
                self._owners[cell].add(sequence)

    def drop(self, sequence: int) -> None:
        for cell, _ in self._content.pop(sequence, []):
            self._disown(cell, sequence)

    def truncate(self, length: int) -> bool:
        if not self.can_truncate:
            return False
        content = self._content.get(0, [])
        for cell, _ in content[length:]:
            self._disown(cell, 0)
        del content[length:]
        return True

    def clear(self) -> None:
        self._owners.clear()
        self._content.clear()

    def piece(self, token: int) -> bytes:
        return self._pieces[token] if self._pieces else f"{token} ".encode()

    def ends_answer(self, token: int) -> bool:
        return token in self._ends

    def constrain(self, grammar: str) -> Places:
        if not grammar:
            raise InvalidInput("the grammar is empty", "write one")
        if isinstance(grammar, MadeGrammar):  # of real words: followed by the real engine alone
            return Places(self, [set(range(256))] * 512)
        return Places(self, [{int(token) for token in place} for place in grammar.split("|")])

    def _append(self, token: int, row: Sequence[int]) -> None:
        self._owners[self._next] = set(row)
        for sequence in row:
            self._content[sequence].append((self._next, token))
        self._next += 1

    def _disown(self, cell: int, sequence: int) -> None:
        self._owners[cell].discard(sequence)
        if not self._owners[cell]:
            del self._owners[cell]

    def _logits(self, sequence: int) -> Logits:
        return np.asarray(self._table(tuple(token for _, token in self._content[sequence])), dtype=np.float32)

    def _tick(self) -> None:
        if self._clock is not None:
            self._clock.now += self._step_s
        if self.abort_in is not None:
            self.abort_in -= 1
            if self.abort_in < 0:
                raise Aborted
