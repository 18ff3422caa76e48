"""Taking out what users no longer want kept, and where what is derived from their texts may be kept beside them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from edge_ttp.errors import InvalidInput, checked_type
from edge_ttp.history import forgetting
from edge_ttp.history.connection import Connections
from edge_ttp.history.forgetting import Forgotten
from edge_ttp.history.read_states import states_of
from edge_ttp.history.rows import to_milliseconds
from edge_ttp.history.sieve import Sieve
from edge_ttp.history.typed_lines import forget_typed, prepare_typed, typed_file
from edge_ttp.system.arguments import checked_arguments
from edge_ttp.system.help_page import Page


@checked_arguments
class ForgettingStore(metaclass=Page):
    """What `History` offers to those who forget, and to those who keep what has to be forgotten along."""

    def __init__(self, connections: Connections, sieve: Sieve) -> None:
        self._connections = connections
        self._sieve = sieve
        self._listeners: list[Callable[[str | None], None]] = []

    def forget(
        self,
        user_id: str,
        *,
        item_id: int | None = None,
        generation_id: str | None = None,
        before: datetime | None = None,
        everything: bool = False,
    ) -> Forgotten:
        """Takes out one item, one answer, all from before a moment, or everything of the user; one must be given.

        Goes with it: index, vectors, answers and drawn candidates that hold a forgotten text, judgments, evidence,
        posterior, all that was typed in a terminal. What remained in the file is overwritten. NotFound for an unknown
        user, or what is not theirs.
        """
        checked_type("user_id", user_id, str, optional=False)
        checked_type("item_id", item_id, int)
        checked_type("before", before, datetime)
        if (item_id is not None) + (generation_id is not None) + (before is not None) + everything != 1:
            raise InvalidInput("say what to forget", "give one of an item, an answer, a date, or everything")
        if item_id is not None:
            deletion = forgetting.one_item(user_id, item_id)
        elif generation_id is not None:
            deletion = forgetting.one_answer(user_id, generation_id)
        elif before is not None:
            deletion = forgetting.older(user_id, to_milliseconds(before))
        else:
            deletion = forgetting.everything(user_id)
        if everything:
            forget_typed(self._connections.path, user_id)  # also of one who has nothing else here
        found = forgetting.forget(self._connections, user_id, deletion)
        forget_typed(self._connections.path, user_id)
        self._tell(user_id)
        return found

    def on_forgotten(self, listener: Callable[[str | None], None]) -> None:
        """Has `listener` called with the user's name (None: all) whenever something of theirs was taken out here."""
        self._listeners.append(listener)

    def _tell(self, user_id: str | None) -> None:
        for listener in self._listeners:
            listener(user_id)

    def states_folder(self, user_id: str) -> Path | None:
        """Where a policy may keep what it has read of this user's texts; forgotten with them. It need not be there.

        None where the history is encrypted (the files would not be) or may not be written.
        """
        return (
            None
            if self._connections.encrypted or self._connections.read_only
            else states_of(self._connections.path, user_id)
        )

    def typed_lines(self, user_id: str) -> Path | None:
        """A private file for what this user types in a terminal, to be called back; forgotten with their texts.

        None where the history is encrypted: the file would not be.
        """
        if self._connections.encrypted:
            return None
        return prepare_typed(typed_file(self._connections.path, user_id))
