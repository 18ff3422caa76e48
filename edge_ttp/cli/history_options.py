"""What the commands of `edge-ttp history` share: options, whose history is meant, opening it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_ttp.cli.output import end_with, note

if TYPE_CHECKING:
    from rich.table import Table

    from edge_ttp.history import History
    from edge_ttp.history.sieve import DamagedRow

User = Annotated[
    str | None,
    typer.Option("--user", "-u", help="Whose history. Default: EDGE_TTP_USER, else as configured, else `me`."),
]
AllUsers = Annotated[bool, typer.Option("--all-users", help="All users of this installation.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is there already.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many.")]
NAMED = 20
"""Damaged rows that are named."""

REMAINS = (
    "what remains in the file could not be overwritten yet (another program has the history open, or the disk is "
    "full): the next opening does it"
)
"""What is said where forgotten texts are gone for every reader, and not yet overwritten."""

STDIN = "-"
"""The name that means standard input."""


@contextmanager
def open_history() -> Iterator[History]:
    """The history of this installation, closed at the end. Damaged rows are named, and the command ends with exit 4."""
    from edge_ttp.history import History
    from edge_ttp.paths import locate
    from edge_ttp.system.settings import settings_in_force

    paths = locate()
    with History.open(paths.database, retention_days=settings_in_force(paths).retention_days) as history:
        yield history
        tell_damaged(history)


def tell_damaged(history: History) -> None:
    """Names the rows that were left out on stderr, and lets the command end with HistoryUnavailable."""
    from edge_ttp.history.sieve import CURE

    tell_left_out(history.damaged, CURE)


def tell_left_out(damaged: Sequence[DamagedRow], cure: str) -> None:
    """Names damaged rows on stderr, and lets the command end with HistoryUnavailable where there are some."""
    from edge_ttp.errors import HistoryUnavailable

    for row in damaged[:NAMED]:
        note(f"left out: {row}")
    if damaged:
        end_with(HistoryUnavailable(f"{counted(len(damaged), 'damaged row')} of the history left out", cure))


def user_named(name: str | None) -> str:
    """The user meant: the default one for None. Raises InvalidInput for a name that cannot be."""
    from edge_ttp.history.user import default_user, valid_user

    return default_user() if name is None else valid_user(name)


def selected(name: str | None, all_users: bool) -> str | None:
    """The user meant, or None for all."""
    from edge_ttp.errors import InvalidInput

    if all_users and name is not None:
        raise InvalidInput("--user and --all-users exclude each other", "give one of them")
    return None if all_users else user_named(name)


def counted(count: int, noun: str) -> str:
    """Such as `1 line` and `2 lines`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def text_table(*columns: str, header: bool = True) -> Table:
    """An empty table of texts, each in one line, for a terminal."""
    from rich.table import Table

    wide = {"input": 3, "output": 2, "text": 1, "from": 1}  # these share what the others leave of the terminal's width
    table = Table(
        box=None, show_header=header, pad_edge=False, header_style="dim", expand=not wide.keys().isdisjoint(columns)
    )
    for name in columns:
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=wide.get(name))
    return table


def plain(text: str) -> Any:
    """`text` on one line for a table: no markup, no control characters."""
    from rich.text import Text

    return Text("".join(character if character.isprintable() else " " for character in text[:500]))
