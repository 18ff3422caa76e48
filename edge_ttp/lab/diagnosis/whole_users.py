"""Which rows are kept where there are more than memory has room for: those of whole users, chosen at random.

Every id has a lot: a number from 0 to 1 that depends on it alone. A user is kept while their lot is below a share that
is halved whenever too many rows are held; once users are few, their queries' lots decide instead. So the choice depends
neither on the order of the rows nor on how many there are, and everything kept is whole.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

ENOUGH = 5_000
"""Users of whom none is dropped any more: from then on, queries are."""


@dataclass(frozen=True)
class Share:
    """What part is kept: of users, and of the kept users' queries."""

    users: float = 1.0
    queries: float = 1.0

    @property
    def whole(self) -> bool:
        """Whether everything is kept."""
        return self.users == 1.0 and self.queries == 1.0

    def halved(self, users: int) -> Share:
        """Half as much, where so many users are held."""
        if users > ENOUGH:
            return Share(self.users / 2, self.queries)
        return Share(self.users, self.queries / 2)


WHOLE = Share()
"""Everything is kept."""


def lot(name: str) -> float:
    """The lot of an id, 0 to 1, evenly spread."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
