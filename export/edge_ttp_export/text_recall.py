"""The runtime's own recall over a file of texts: a history database in a temporary folder, asked as of a moment."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from edge_ttp.history.store import History
from edge_ttp.schema import HistoryItem
from edge_ttp_export.text_files import Item

_START = datetime(2000, 1, 1, tzinfo=UTC)


def as_history(item: Item, number: int | None = None) -> HistoryItem:
    """The item as the runtime's history holds it, a minute younger than the user's item before it."""
    return HistoryItem(
        id=number, user_id=item.user_id, input=item.input, output=item.output, created_at=written_at(item.order)
    )


def written_at(order: int) -> datetime:
    """A moment for the item at this place of its user's order."""
    return _START + timedelta(minutes=order)


class Recall:
    """Finds a user's earlier items for an item, as the runtime would have found them at that time."""

    def __init__(self, history: History) -> None:
        self._history = history

    @classmethod
    @contextmanager
    def over(cls, users: Mapping[str, Sequence[Item]]) -> Iterator[Recall]:
        """Recall over all items of these users, in a database that is deleted at the end."""
        with (
            tempfile.TemporaryDirectory(prefix="edge-ttp-pools-") as folder,
            History.open(Path(folder) / "history.db") as history,
        ):
            history.add_many(as_history(item) for items in users.values() for item in items if item.output.strip())
            yield cls(history)

    def examples(self, item: Item, count: int) -> list[HistoryItem]:
        """At most `count` items that the user wrote before `item`, best first."""
        found = self._history.recall(item.user_id, item.input, count, before=written_at(item.order))
        return [one.item for one in found]
