"""What is known of the user when a request comes: similar items, newest items, their profile, what was learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ttp.answer.ask import DEFAULT_EXAMPLES, Ask, Rooms
from edge_ttp.answer.core import LOOKED_AT, choose_core, epoch
from edge_ttp.answer.prompt import Example
from edge_ttp.errors import HistoryUnavailable
from edge_ttp.history import History
from edge_ttp.learning.calibration import POPULATION, Calibration
from edge_ttp.learning.learned import Learned, learned
from edge_ttp.reward.user_profile import HISTORY_ITEMS, UserProfile
from edge_ttp.schema import PROMPT_KIND, HistoryItem

_CACHE_WAIT_S = 0.25
"""Longest wait for another writer before vectors are not kept."""


@dataclass(frozen=True)
class Recollection:
    """What is known of the user when the request comes."""

    examples: tuple[Example, ...]
    """Input and output, the most similar first."""
    recent: tuple[HistoryItem, ...]
    """The newest items, the newest first."""
    profile: UserProfile | None
    learned: Learned | None
    """None where nothing is scored."""
    core: tuple[Example, ...] = ()
    """What stands before the examples in every prompt of the user, in its order there."""
    notes: tuple[str, ...] = ()
    """What the user should know: nothing to imitate, or damaged rows."""

    @property
    def past(self) -> list[Example]:
        """Everything here that the user answered to something."""
        return [*self.core, *self.examples, *((item.input, item.output) for item in self.recent)]

    @property
    def calibration(self) -> Calibration:
        """The user's record, the population's where nothing is scored."""
        return POPULATION if self.learned is None else self.learned.record


def recollect(rooms: Rooms, ask: Ask) -> Recollection:
    """What this user wrote in answer to something similar, their profile, and what was learned of them.

    Nothing where the bare policy speaks.
    """
    if ask.speaker != "user":
        return Recollection((), (), None, None)
    sought = ask.prompt if ask.recall_for is None else ask.recall_for
    count = DEFAULT_EXAMPLES if ask.examples is None else ask.examples
    kind, fallen_back = _kind(rooms.history, ask)
    core = _core(rooms.history, ask, kind) if ask.core else ()
    known = {one.id for one in core if one.id is not None}
    similar = rooms.history.recall(ask.user, sought, count, kind=kind, exclude=known) if count else []
    recent = rooms.history.items(ask.user, kind=kind, limit=HISTORY_ITEMS, prompts=False)
    # The profile comes before the plan: a user's first one takes time that a deadline has to know of.
    profile = rooms.reward.profile(recent, StoredVectors(rooms.history)) if rooms.reward is not None else None
    return Recollection(
        examples=tuple((one.item.input, one.item.output) for one in similar),
        core=tuple((one.input, one.output) for one in core),
        recent=tuple(recent),
        profile=profile,
        learned=learned(rooms.history, ask.user, rooms.reward) if rooms.reward is not None else None,
        notes=(*fallen_back, *_notes(rooms.history, ask.user, recent)),
    )


def _core(history: History, ask: Ask, kind: str | None) -> tuple[HistoryItem, ...]:
    """The user's core, of this kind where there is one: chosen from what was there at the last epoch."""
    kinds = history.stats(ask.user).kinds
    count = kinds.get(kind, 0) if kind else sum(held for name, held in kinds.items() if name != PROMPT_KIND)
    newer = count - epoch(count)
    items = history.items(ask.user, kind=kind, limit=LOOKED_AT, prompts=False, skip=newer)
    return choose_core(items[::-1], ask.core)


def _kind(history: History, ask: Ask) -> tuple[str | None, tuple[str, ...]]:
    """The kind to keep to, and what to say of it: all kinds where the user has other ones only."""
    if ask.kind is None or history.items(ask.user, kind=ask.kind, limit=1):
        return ask.kind, ()
    others = history.stats(ask.user).kinds
    if not others:
        return ask.kind, ()
    named = ", ".join(f"{name} {count}" for name, count in others.items())[:200]
    return None, (f"nothing of kind {ask.kind!r} in the history of {ask.user!r}: all kinds are imitated ({named})",)


def _notes(history: History, user: str, recent: Sequence[HistoryItem]) -> Iterator[str]:
    """What the user should know of what was found."""
    if damaged := len(history.damaged):
        yield f"{damaged} damaged rows of the history were left out: see `edge-ttp history doctor`"
    if not recent:
        yield f"no history yet for {user!r}: nothing to imitate, answers are not personal"


class StoredVectors:
    """The reward model's vectors of history items, kept in the history beside them (user_profile.VectorCache)."""

    def __init__(self, history: History) -> None:
        self._history = history

    def get(self, item_ids: Sequence[int], encoder: str) -> dict[int, npt.NDArray[np.float32]]:
        """Vectors of these items made by this encoder."""
        return self._history.vectors(item_ids, encoder)

    def put(self, encoder: str, vectors: Mapping[int, npt.NDArray[np.float32]]) -> None:
        """Stores vectors where the history can be written; they can always be computed again."""
        if self._history.read_only:
            return
        # A locked history or a full disk must not cost the answer; recording it will say what is wrong.
        with suppress(HistoryUnavailable):
            self._history.put_vectors(encoder, vectors, wait_s=_CACHE_WAIT_S)
