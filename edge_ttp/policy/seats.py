"""The KV caches of one policy: a seat for every call under way, and some kept with the prompts they have read.

Every call has a cache of its own, so that what it draws does not depend on who is drawing beside it: cells lie as they
would lie alone, and adapters belong to one cache.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from edge_ttp.policy import bindings
from edge_ttp.policy.engine import Engine
from edge_ttp.policy.memory import MIB, Footprint, Layout

Scaled = tuple[bindings.LoadedAdapter, float]
"""An adapter and its scale."""

_SMALL = 192 * MIB
"""What caches may take while nobody draws, where the model is smaller: to make one takes a tenth of a second."""

KEPT = 4
"""Most caches kept while nobody draws with them: as many conversations go on without being read anew."""


@dataclass(eq=False)
class Seat:
    """A KV cache and the engine that draws with it."""

    context: bindings.Context
    engine: Engine
    room: frozenset[bindings.LoadedAdapter]
    """Adapters it can decode with: llama.cpp reserves room for those that are loaded when it makes a context."""
    adapters: list[Scaled] = field(default_factory=list)
    """What it decodes with now."""
    busy: bool = False
    stale: bool = False
    """To be wiped when it is given back."""
    used: int = 0

    def adapt(self, adapters: list[Scaled]) -> None:
        """Decodes with these adapters from now on; what was read with others is forgotten."""
        if adapters != self.adapters:
            self.engine.forget()
            self.context.adapt(adapters)
            self.adapters = adapters


class Seats:
    """The seats of one policy. Taken and given back by the engine's thread; the rest may be asked by any."""

    def __init__(self, model: bindings.Model, *, chunk: int, threads: int, pool: Executor | None) -> None:
        self._model, self._chunk, self._threads, self._pool = model, chunk, threads, pool
        self._seats: list[Seat] = []
        self._count = itertools.count()

    @property
    def all(self) -> tuple[Seat, ...]:
        """Every seat, busy or not."""
        return tuple(self._seats)

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return any(seat.busy for seat in self._seats)

    def held_bytes(self, footprint: Footprint) -> int:
        """Bytes that weights, caches and buffers take now."""
        return footprint.fixed + sum(_bytes(footprint, seat) for seat in self.all)

    def resident(self, prompt: Sequence[int]) -> int:
        """How many of the prompt's first tokens a free cache holds."""
        return max((seat.engine.resident(prompt) for seat in self.all if not seat.busy), default=0)

    def take(
        self,
        prompt: Sequence[int],
        layout: Layout,
        adapters: list[Scaled],
        *,
        footprint: Footprint,
        loaded: frozenset[bindings.LoadedAdapter],
        limit: int,
    ) -> Seat | None:
        """A seat for a call of this layout, with as much of the prompt as any free one has read.

        None where `limit` (bytes for the whole policy) leaves no room beside the calls under way. Free seats make way
        where they must. Raises OutOfCapacity where llama.cpp cannot allocate the cache.
        """
        free = sorted((seat for seat in self._seats if not seat.busy), key=lambda seat: seat.used)
        wanted = {adapter for adapter, _ in adapters}
        fitting = [seat for seat in free if _holds(seat, layout) and wanted <= seat.room]
        seat = max(fitting, key=lambda one: _read(one, prompt, adapters), default=None)
        if seat is not None and not _read(seat, prompt, adapters):
            # Rather a new cache than one in which another conversation goes on, while they are few and small.
            new = _size(footprint, layout.cells, layout.width + 1, layout)
            small = sum(_bytes(footprint, one) for one in free) + new <= _allowed(footprint)
            seat = None if len(free) < KEPT and small else fitting[0]
        free = [one for one in free if one is not seat]
        while free and self._too_much(footprint, layout, seat, limit):
            self.drop(free.pop(0))
        if seat is not None and self._too_much(footprint, layout, seat, limit):
            self.drop(seat)
            seat = None
        if self._too_much(footprint, layout, seat, limit) and self.busy:
            return None
        if seat is None:
            seat = self._make(layout, footprint, loaded, limit)
        seat.busy = True
        seat.adapt(adapters)
        return seat

    def give(self, seat: Seat, *, footprint: Footprint, broken: bool = False) -> None:
        """Takes a seat back. A `broken` one, whose cache failed, is not trusted again."""
        seat.busy = False
        seat.used = next(self._count)
        if broken:
            self.drop(seat)
            return
        if seat.stale:
            self._wipe(seat)
        free = sorted((one for one in self._seats if not one.busy), key=lambda one: one.used)
        while len(free) > 1 and (len(free) > KEPT or sum(_bytes(footprint, one) for one in free) > _allowed(footprint)):
            self.drop(free.pop(0))

    def wipe(self) -> None:
        """Empties and overwrites all caches: those of calls under way when they end."""
        for seat in self._seats:
            if seat.busy:
                seat.stale = True
            else:
                self._wipe(seat)

    def drop(self, seat: Seat) -> None:
        """Frees one seat."""
        self._seats.remove(seat)
        seat.context.close()

    def clear(self, which: Callable[[Seat], bool] = lambda _: True) -> None:
        """Frees the seats that no call is using, of those that `which` is true for."""
        for seat in [one for one in self._seats if not one.busy and which(one)]:
            self.drop(seat)

    def _too_much(self, footprint: Footprint, layout: Layout, seat: Seat | None, limit: int) -> bool:
        """Whether all seats, a new one for the layout among them where there is no `seat`, exceed the limit."""
        new = 0 if seat is not None else _size(footprint, layout.cells, layout.width + 1, layout)
        return self.held_bytes(footprint) + new > limit

    def _make(
        self, layout: Layout, footprint: Footprint, loaded: frozenset[bindings.LoadedAdapter], limit: int
    ) -> Seat:
        others = self.held_bytes(footprint) - footprint.fixed
        cells, sequences = footprint.rounded(layout, most_sequences=bindings.max_sequences(), limit=limit - others)
        context = bindings.Context(
            self._model,
            cells=cells,
            sequences=sequences,
            chunk=self._chunk,
            threads=self._threads,
            cache_type=layout.cache_type,
        )
        seat = Seat(context, Engine(context, pool=self._pool), loaded)
        self._seats.append(seat)
        return seat

    @staticmethod
    def _wipe(seat: Seat) -> None:
        seat.engine.forget()
        seat.context.wipe()
        seat.stale = False


def _allowed(footprint: Footprint) -> int:
    """Bytes that caches may take together while nobody draws with them."""
    return max(footprint.weights, _SMALL)


def _holds(seat: Seat, layout: Layout) -> bool:
    context = seat.context
    return (
        context.cells >= layout.cells and context.sequences > layout.width and context.cache_type == layout.cache_type
    )


def _read(seat: Seat, prompt: Sequence[int], adapters: list[Scaled]) -> int:
    """Tokens of the prompt that the seat holds, read with these adapters."""
    return seat.engine.resident(prompt) if seat.adapters == adapters else 0


def _size(footprint: Footprint, cells: int, sequences: int, layout: Layout) -> int:
    return footprint.total(cells, sequences, layout.cache_type) - footprint.fixed


def _bytes(footprint: Footprint, seat: Seat) -> int:
    context = seat.context
    return footprint.total(context.cells, context.sequences, context.cache_type) - footprint.fixed
