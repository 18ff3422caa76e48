"""What importers yield and exports are made of: records, each with its number in the file, and why one is no record.

Whether a record can be stored is not checked here: whoever stores it does (edge_ttp.history.importing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edge_ttp.schema import Feedback, Generation, HistoryItem

LEARNED = ("layer", "calibration", "evidence", "setting")
"""Sorts of a LearnedRecord, in the order in which they are exported."""


@dataclass(frozen=True)
class LearnedRecord:
    """Something that was learned about a user, or a setting of theirs."""

    sort: str
    """One of LEARNED."""
    user_id: str
    values: dict[str, Any]
    """Its other fields, as they stand in a line of an export; which they are, the history knows."""


Record = HistoryItem | Generation | Feedback | LearnedRecord


@dataclass(frozen=True)
class Numbered:
    """A record and its line, mail, file or commit, from 1."""

    number: int
    record: Record


@dataclass(frozen=True)
class BadRecord:
    """A record that cannot be read or stored. number: as in Numbered."""

    number: int
    reason: str


@dataclass(frozen=True)
class Skipped:
    """A record that is sound and not the user's own writing. number: as in Numbered."""

    number: int
    reason: str
    """Such as `from another sender`; few and the same for many records, so that they can be counted."""


@dataclass(frozen=True)
class Remark:
    """What the caller should know of how the whole was read: a guessed encoding, whose mails were taken."""

    text: str


Entry = Numbered | BadRecord | Skipped | Remark
"""What importers yield."""

Advance = Callable[[float], None]
"""Called with the amount read so far, not the step."""

Records = Callable[[], Iterator[Entry]]
"""Makes the stream of records from its beginning."""


def no_progress(done: float) -> None:
    """A progress callback that shows nothing."""
