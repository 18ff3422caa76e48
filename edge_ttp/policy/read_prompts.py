"""Between a policy's caches and a user's files: what was read of them is fetched once, and kept when it is new."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from edge_ttp.policy.memory import Footprint
from edge_ttp.policy.prefix_files import PrefixFiles
from edge_ttp.policy.prefixes import WORTH, Prefix, ReadWith
from edge_ttp.policy.reading import alike
from edge_ttp.policy.seats import Seat, Seats, allowed


class ReadPrompts:
    """What one policy has read of its users, in memory and on disk."""

    def __init__(self, seats: Seats, footprint: Footprint, files: PrefixFiles | None) -> None:
        """`files` None: nothing is kept on disk."""
        self._seats, self._footprint, self._files = seats, footprint, files
        self._lock = threading.Lock()
        self._on_disk: dict[tuple[str, ReadWith], list[list[int]]] = {}  # tokens of the files looked at

    def look(self, owner: str, read_with: ReadWith) -> None:
        """Fetches what the disk has of this user, the first time."""
        if self._files is None or (owner, read_with) in self._on_disk:
            return
        with self._lock:
            if (owner, read_with) in self._on_disk:
                return
            found = self._files.load(owner, read_with)
            most = allowed(self._footprint)
            for prefix in found:
                self._seats.prefixes.put(prefix, most=most)
            self._on_disk[owner, read_with] = [one.tokens.tolist() for one in found]

    def keep(self, seat: Seat, core: Sequence[int]) -> None:
        """Writes what the seat has read of the user's core (its first tokens), where the disk does not have it."""
        key, core = (seat.owner, seat.read_with), core[: self._seats.whole(len(core))]
        if self._files is None or seat.stale or len(core) < WORTH or alike(seat.engine.held[0], core) < len(core):
            return
        with self._lock:
            known = self._on_disk.setdefault(key, [])
            if any(one == list(core) for one in known):
                return
            state = seat.context.save(len(core))
            if self._files.save(Prefix(*key, np.array(core, dtype=np.int32), state)):
                known.append(list(core))

    def forget(self, owner: str | None) -> None:
        """Takes what was read of this user (None: of all) out of the memory. On the engine's thread."""
        self._seats.wipe(owner)
        with self._lock:
            self._on_disk = {key: held for key, held in self._on_disk.items() if owner not in (None, key[0])}
