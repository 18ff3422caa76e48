"""The KV caches of one policy: a seat for every call under way, and some kept with the prompts they have read.

Every call has a cache of its own, so that what it draws does not depend on who is drawing beside it: cells lie as they
would lie alone, and adapters belong to one cache. What a seat has read is kept as a state (policy/prefixes.py) before
another prompt takes its place, and put back when it is wanted again. Nobody gets what was read for somebody else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from edge_ttp.policy import bindings
from edge_ttp.policy.engine import Engine
from edge_ttp.policy.memory import MIB, CacheType, Footprint, Layout
from edge_ttp.policy.prefixes import WORTH, Prefix, Prefixes, ReadWith
from edge_ttp.policy.reading import reusable
from edge_ttp.system.freed import give_back

Scaled = tuple[bindings.LoadedAdapter, float]
"""An adapter and its scale."""

_SMALL = 192 * MIB
"""What caches may take while nobody draws, where the model is smaller: to make one takes a tenth of a second."""

COMPANY = 4
"""Calls that may always be under way together, however large, where memory allows it."""

UNDER_WAY = 512 * MIB
"""What caches of more calls under way may take together, where the model is smaller; further calls wait for a seat.
More calls side by side would only make all of them slower.
"""

KEPT = 4
"""Most caches kept while nobody draws with them; other prompts are kept as states."""


@dataclass(eq=False)
class Seat:
    """A KV cache and the engine that draws with it."""

    context: bindings.Context
    engine: Engine
    room: frozenset[bindings.LoadedAdapter]
    """Adapters it can decode with: llama.cpp reserves room for those that are loaded when it makes a context."""
    adapters: list[Scaled] = field(default_factory=list)
    """What it decodes with now."""
    owner: str = ""
    """Whose prompt it has read."""
    busy: bool = False
    stale: bool = False
    """To be wiped when it is given back."""
    used: int = 0

    @property
    def read_with(self) -> ReadWith:
        """What its state depends on."""
        return read_with(self.adapters, self.context.cache_type)

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
        self._dropped = False
        self.prefixes = Prefixes()
        """What was read before, and lies in no cache now."""

    @property
    def all(self) -> tuple[Seat, ...]:
        """Every seat, busy or not."""
        return tuple(self._seats)

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return any(seat.busy for seat in self._seats)

    def held_bytes(self, footprint: Footprint) -> int:
        """Bytes that weights, caches, states and buffers take now."""
        return footprint.fixed + sum(_bytes(footprint, seat) for seat in self.all) + self.prefixes.size

    def resident(self, prompt: Sequence[int], owner: str, adapters: ReadWith) -> int:
        """How many of the prompt's first tokens a free cache or a state holds for this user."""
        free = [seat for seat in self.all if not seat.busy and seat.owner == owner]
        inside = max((seat.engine.resident(prompt) for seat in free if seat.read_with == adapters), default=0)
        return max(inside, self._kept(prompt, owner, adapters)[1])

    def take(
        self,
        prompt: Sequence[int],
        layout: Layout,
        adapters: list[Scaled],
        *,
        owner: str,
        footprint: Footprint,
        loaded: frozenset[bindings.LoadedAdapter],
        limit: int,
    ) -> Seat | None:
        """A seat for a call of this layout, with as much of the prompt as was read for this user.

        None where `limit` (bytes for the whole policy) leaves no room beside the calls under way, or these are many and
        large (COMPANY, UNDER_WAY). States and free seats make way where they must. Raises OutOfCapacity where llama.cpp
        cannot allocate the cache.
        """
        if self._crowded(footprint, layout):
            return None
        free = sorted((seat for seat in self._seats if not seat.busy), key=lambda seat: seat.used)
        wanted = {adapter for adapter, _ in adapters}
        fitting = [seat for seat in free if _holds(seat, layout) and wanted <= seat.room]
        # The one that has read most of it; of those that have read none of it, the one that was not used for longest.
        seat = max(fitting, key=lambda one: _read(one, prompt, owner, adapters), default=None)
        free = [one for one in free if one is not seat]
        self._spare(footprint, layout, seat, limit)
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
        inside = _read(seat, prompt, owner, adapters)
        try:
            if inside < len(prompt) or not prompt:  # what it holds will be cut or replaced
                self._stash(seat, footprint, limit)
            seat.adapt(adapters)
            if seat.owner != owner:
                seat.engine.forget()
                seat.owner = owner
            self._pass_on(seat, prompt, inside, footprint, limit)
            sound = self._put_back(seat, prompt, inside)
        except BaseException:
            self.drop(seat)
            raise
        if not sound:  # nobody knows what a context holds that took half a state
            self.drop(seat)
            seat = self._make(layout, footprint, loaded, limit)
            seat.busy, seat.owner = True, owner
            seat.adapt(adapters)
        return seat

    def _pass_on(self, seat: Seat, prompt: Sequence[int], inside: int, footprint: Footprint, limit: int) -> None:
        """Keeps as a state what another free seat has read of the prompt, where that is more than the `inside` of this
        one: a call that asks for more candidates than the last one of the same prompt needs a larger seat.
        """
        others = [
            one
            for one in self._seats
            if one is not seat and not one.busy and one.owner == seat.owner and one.read_with == seat.read_with
        ]
        best = max(others, key=lambda one: one.engine.resident(prompt), default=None)
        if best is not None and best.engine.resident(prompt) > inside:
            self._stash(best, footprint, limit)

    def _put_back(self, seat: Seat, prompt: Sequence[int], inside: int) -> bool:
        """Puts the state into the seat that saves more of the prompt than the `inside` that it holds; False if that
        failed.
        """
        prefix, kept = self._kept(prompt, seat.owner, seat.read_with)
        if prefix is None or kept <= inside:
            return True
        self.prefixes.used(prefix)
        if seat.context.load(prefix.state, len(prefix.tokens)):
            seat.engine.adopt(prefix.tokens.tolist(), prefix.after)
            return True
        self.prefixes.drop(prefix)
        return False

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
        while len(free) > 1 and (len(free) > KEPT or sum(_bytes(footprint, one) for one in free) > allowed(footprint)):
            self._stash(free[0], footprint, None)
            self.drop(free.pop(0))
            self._dropped = True
        if self._dropped and not self.busy:  # a crowd has left
            self._dropped = False
            give_back()

    def wipe(self, owner: str | None = None) -> None:
        """Empties and overwrites what was read for this user (None: for all); caches of calls under way when these
        end.
        """
        self.prefixes.forget(owner)
        for seat in self._seats:
            if owner is not None and seat.owner != owner:
                continue
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

    def whole(self, length: int) -> int:
        """Of so many tokens at the beginning of a prompt, those whose state gives the same logits: a window at most."""
        return min(length, self._model.window) if self._model.window else length

    def _kept(self, prompt: Sequence[int], owner: str, adapters: ReadWith) -> tuple[Prefix | None, int]:
        """The state that saves most of the prompt, and how many of its tokens need not be read with it."""
        prefix, shared = self.prefixes.find(owner, adapters, prompt)
        if prefix is None:
            return None, 0
        if prefix.after is not None and shared == len(prompt) == len(prefix.tokens):
            return prefix, shared
        grain = bindings.grain_of(self._model, adapters.cache_type, self._chunk)
        return prefix, reusable(shared, len(prompt), grain=grain, chunk=self._chunk)

    def _stash(self, seat: Seat, footprint: Footprint, limit: int | None) -> None:
        """Keeps what a free seat has read as a state, where it is worth the memory."""
        tokens, after = seat.engine.held
        if len(tokens) < WORTH or seat.stale or self.prefixes.holds(seat.owner, seat.read_with, tokens):
            return
        most = allowed(footprint)
        if limit is not None:
            most = min(most, limit - (self.held_bytes(footprint) - self.prefixes.size))
        length = self.whole(len(tokens))
        if length * footprint.state(seat.context.cache_type) > most:
            return
        self.prefixes.put(
            Prefix(
                owner=seat.owner,
                read_with=seat.read_with,
                tokens=np.array(tokens[:length], dtype=np.int32),
                state=seat.context.save(length),
                after=None if after is None or length < len(tokens) else after.copy(),
            ),
            most=most,
        )

    def _spare(self, footprint: Footprint, layout: Layout, seat: Seat | None, limit: int) -> None:
        """Drops states until the call has room."""
        new = 0 if seat is not None else _size(footprint, layout.cells, layout.width + 1, layout)
        over = self.held_bytes(footprint) + new - limit
        if over > 0:
            self.prefixes.shrink(max(0, self.prefixes.size - over))

    def _too_much(self, footprint: Footprint, layout: Layout, seat: Seat | None, limit: int) -> bool:
        """Whether all seats, a new one for the layout among them where there is no `seat`, exceed the limit."""
        new = 0 if seat is not None else _size(footprint, layout.cells, layout.width + 1, layout)
        return self.held_bytes(footprint) + new > limit

    def _crowded(self, footprint: Footprint, layout: Layout) -> bool:
        """Whether a call of this layout has to wait until one of many others has ended."""
        busy = [_bytes(footprint, seat) for seat in self._seats if seat.busy]
        new = _size(footprint, layout.cells, layout.width + 1, layout)
        return len(busy) >= COMPANY and sum(busy) + new > max(footprint.weights, UNDER_WAY)

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


def allowed(footprint: Footprint) -> int:
    """Bytes that caches may take together while nobody draws with them."""
    return max(footprint.weights, _SMALL)


def _holds(seat: Seat, layout: Layout) -> bool:
    context = seat.context
    return (
        context.cells >= layout.cells and context.sequences > layout.width and context.cache_type == layout.cache_type
    )


def _read(seat: Seat, prompt: Sequence[int], owner: str, adapters: list[Scaled]) -> int:
    """Tokens of the prompt that the seat holds, read for this user with these adapters."""
    return seat.engine.resident(prompt) if seat.owner == owner and seat.adapters == adapters else 0


def read_with(adapters: Sequence[Scaled], cache_type: CacheType) -> ReadWith:
    """What a state depends on that is read with these adapters."""
    return ReadWith(tuple((adapter.sha256, scale) for adapter, scale in adapters), cache_type)


def _size(footprint: Footprint, cells: int, sequences: int, layout: Layout) -> int:
    return footprint.total(cells, sequences, layout.cache_type) - footprint.fixed


def _bytes(footprint: Footprint, seat: Seat) -> int:
    context = seat.context
    return footprint.total(context.cells, context.sequences, context.cache_type) - footprint.fixed
