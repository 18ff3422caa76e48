"""Whether the tables of a file are this program's own: none missing, none altered, nothing foreign among them.

A view in the place of a table, a trigger that eats rows or a column with other rules would make every statement mean
something else. Such a file is not used; what can be read of it is copied into a new one (history/salvage.py).
"""

from __future__ import annotations

import sqlite3
from functools import cache
from types import SimpleNamespace

from edge_ttp.history import migrations
from edge_ttp.history.migrations import BOOKKEEPING, Step, computes_nothing

_OWN_PREFIXES = ("sqlite_", BOOKKEEPING, f"idx_{BOOKKEEPING}")
"""Names that SQLite and sqlite-utils give."""
_MAX_NAMED = 3

Entry = tuple[str, str, str | None]
"""Type (table, index, trigger), the table it belongs to, SQL."""


@cache
def expected(steps: tuple[Step, ...]) -> dict[str, Entry]:
    """name -> entry of the schema after these migrations, as the SQLite at hand writes it."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for step in steps:
            step(SimpleNamespace(conn=db))
        rows = db.execute("SELECT name, type, tbl_name, sql FROM sqlite_master")
        return {name: (kind, table, sql) for name, kind, table, sql in rows if not name.startswith("sqlite_")}
    finally:
        db.close()


def differences(db: sqlite3.Connection, steps: int) -> list[str]:
    """What is wrong with the schema of a file that `steps` migrations were applied to; empty where nothing is."""
    wanted = dict(expected(migrations.STEPS[:steps]))
    problems: list[str] = []
    for name, kind, table, sql in db.execute("SELECT name, type, tbl_name, sql FROM sqlite_master"):
        if not isinstance(name, str) or not isinstance(kind, str):
            problems.append("a name cannot be read")
            continue
        known = wanted.pop(name, None)
        if known is not None:
            if not _same((kind, table, sql), known):
                problems.append(f"{name} is another {_printable(kind)} than it was made")
        elif not (name.startswith(_OWN_PREFIXES) and computes_nothing(kind, sql)):
            problems.append(f"the {_printable(kind)} {_printable(name)} is none of this program's")
    return problems + [f"the {kind} {name} is missing" for name, (kind, _, _) in wanted.items()]


def in_words(problems: list[str]) -> str:
    """The first of them on one line."""
    more = f", and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
    return ", ".join(problems[:_MAX_NAMED]) + more


def _same(entry: Entry, known: Entry) -> bool:
    """Whether an entry is as it was made. FTS5 makes tables of its own, whose SQL its versions write differently."""
    kind, table, sql = entry
    if (kind, table) != known[:2]:
        return False
    return sql == known[2] or (table.startswith("item_index_") and computes_nothing(kind, sql))


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text[:60])
