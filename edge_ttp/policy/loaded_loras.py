"""The LoRA adapters of one policy in memory: loaded when a request names them, by the state of their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edge_ttp.errors import ModelUnavailable
from edge_ttp.policy import bindings
from edge_ttp.policy.seats import Scaled, Seats
from edge_ttp.schema import LoraAdapter

KEPT = 4
"""Adapters in memory, for callers that switch between some."""

_FileState = tuple[Path, int, int]
"""A file as it was: path, time of its last change in ns, size."""


class Loras:
    """The adapters of one policy. Used by the engine's thread alone."""

    def __init__(self, model: bindings.Model, seats: Seats) -> None:
        self._model, self._seats = model, seats
        self._loaded: dict[_FileState, bindings.LoadedAdapter] = {}

    @property
    def loaded(self) -> frozenset[bindings.LoadedAdapter]:
        """Those in memory."""
        return frozenset(self._loaded.values())

    def load(self, adapters: Sequence[LoraAdapter], admit: Callable[[int], None]) -> list[Scaled]:
        """The adapters in memory, with their scales. A file that changed is loaded anew; those unused go.

        `admit` is called with the bytes of all of them before one is loaded, and raises where that is too much. Raises
        ModelUnavailable.
        """
        states = [_file_state(Path(adapter.path)) for adapter in adapters]
        missing = [state for state in dict.fromkeys(states) if state not in self._loaded]
        if missing:
            if len(self._loaded) + len(missing) > KEPT:
                self._unload([state for state in self._loaded if state not in states])
            admit(sum(state[2] for state in (*missing, *self._loaded)))
        for state in missing:
            self._loaded[state] = bindings.LoadedAdapter(self._model, state[0])
        return [(self._loaded[state], adapter.scale) for state, adapter in zip(states, adapters, strict=True)]

    def close(self) -> None:
        """Frees all of them. No call may be under way."""
        for adapter in self._loaded.values():
            adapter.close()
        self._loaded.clear()

    def _unload(self, states: Sequence[_FileState]) -> None:
        """Frees adapters that no call is using."""
        used = {adapter for seat in self._seats.all if seat.busy for adapter, _ in seat.adapters}
        for state in states:
            adapter = self._loaded[state]
            if adapter not in used:
                self._seats.clear(lambda seat, gone=adapter: any(one is gone for one, _ in seat.adapters))  # type: ignore[misc]
                self._loaded.pop(state).close()


def _file_state(path: Path) -> _FileState:
    try:
        state = path.stat()
    except OSError as error:
        raise ModelUnavailable(
            f"there is no adapter file {path} ({error.strerror})", "give a LoRA adapter as a .gguf file"
        ) from error
    return path.resolve(), state.st_mtime_ns, state.st_size
