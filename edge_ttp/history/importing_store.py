"""The part of the store that takes in what was written elsewhere: restoring records, imports and undoing them."""

from __future__ import annotations

from collections.abc import Iterable

from edge_ttp.exchange.records import Record
from edge_ttp.history import forgetting, imports
from edge_ttp.history.forgetting import Forgotten
from edge_ttp.history.forgetting_store import ForgettingStore
from edge_ttp.history.imports import OpenImport, PastImport
from edge_ttp.history.items import Counts
from edge_ttp.history.restore import restore
from edge_ttp.system.arguments import checked_arguments


@checked_arguments
class ImportingStore(ForgettingStore):
    """What `History` offers to importers."""

    def restore(
        self, records: Iterable[Record], *, strict: bool = False, opened: OpenImport | None = None
    ) -> tuple[Counts, list[tuple[int, str]]]:
        """Stores items, generations and feedback as they are, in one transaction; feedback makes no item here.

        Returns the counts, and (index, reason) of records that cannot be stored; under `strict` the first of these
        raises RefusedRecord and nothing is stored. The write lock is held while `records` is iterated. `opened`: the
        import that they belong to; it gets its number with the first record that is new.
        """
        with self._connections.writing() as db:
            number = None if opened is None else opened.number or imports.next_number(db)
            counts, refused, users = restore(db, records, strict=strict, number=number)
            if opened is not None and number is not None and counts.added:
                imports.note_import(db, number, opened.name, users)
        if opened is not None and counts.added:
            opened.number = number
        return counts, refused

    def imports(self, user_id: str | None = None) -> list[PastImport]:
        """The imports of this user (all users' if None) of which something is left, newest first."""
        with self._connections.reading() as db:
            return imports.select_imports(db, user_id, self._sieve)

    def undo_import(self, number: int, user_id: str | None = None) -> Forgotten:
        """Takes out what an import brought to this user (to all if None), and whatever was made of it, as `forget`.

        What was there before stays, also where the import held it too. NotFound if nothing of the import is left.
        """
        found = forgetting.forget(self._connections, user_id, forgetting.imported(user_id, number))
        self._tell(user_id)
        return found
