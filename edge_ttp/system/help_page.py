"""What help() of a public class shows: a page of what an app calls, without the plumbing."""

from __future__ import annotations

from collections.abc import Iterable


class Page(type):
    """The metaclass of such a class. Its `_inner` names, which other rooms call, are left out too."""

    def __dir__(cls) -> Iterable[str]:
        inner: frozenset[str] = getattr(cls, "_inner", frozenset())
        return [name for name in super().__dir__() if not name.startswith("_") and name not in inner]
