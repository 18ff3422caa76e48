"""What every command prints with: JSON on stdout, progress and notes on stderr, durations in and out."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import typer

from edge_ttp.cli.json_output import emit_json as emit_json  # noqa: PLC0414  # handed on
from edge_ttp.errors import Cancelled, EdgeTTPError

if TYPE_CHECKING:
    from rich.console import Console

_DURATION = re.compile(r"\s*(-?\d+(?:\.\d*)?|-?\.\d+)\s*(ms|s|m|h|d)?\s*")
_TABLE_WIDTH = 120  # whatever the terminal: cut-off numbers would say nothing
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str | float) -> float:
    """Seconds meant by `2`, `2s`, `500ms`, `5m`, `1h` or `30d`. For typer: `parser=parse_duration`."""
    match = _DURATION.fullmatch(str(text))
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a duration such as 2, 2s, 500ms or 5m")
    seconds = float(match[1]) * _SECONDS[match[2] or "s"]
    if not 0 < seconds < float("inf"):
        raise typer.BadParameter(f"a duration must be longer than 0, not {text!r}")
    return seconds


def console() -> Console:
    """The console on stdout, for tables."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def print_table(header: tuple[str, ...], lines: list[tuple[str, ...]]) -> None:
    """A plain table on stdout, numbers to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(header):
        table.add_column(name, justify="left" if place == 0 else "right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    out = console()
    out.width = max(out.width, _TABLE_WIDTH)
    out.print(table, crop=False)


_AT_END: ContextVar[list[EdgeTTPError] | None] = ContextVar("at_end", default=None)


def end_with(error: EdgeTTPError) -> None:
    """Lets the command under way finish what it prints, and ends it with this error then. The first one counts."""
    errors = _AT_END.get()
    if errors is not None:
        errors.append(error)


@contextmanager
def ending() -> Iterator[list[EdgeTTPError]]:
    """The errors that `end_with` is given while the block runs."""
    errors: list[EdgeTTPError] = []
    token = _AT_END.set(errors)
    try:
        yield errors
    finally:
        _AT_END.reset(token)


def harmless(text: str) -> str:
    """`text` for a terminal: what would control it (escape sequences above all) becomes U+FFFD; lines and tabs stay."""
    return "".join(one if one.isprintable() or one in "\n\t" else "\N{REPLACEMENT CHARACTER}" for one in text)


def note(text: str) -> None:
    """One line on stderr that is not part of the result. On a terminal it is broken between words, where it must be."""
    if sys.stderr.isatty():
        width = max(20, shutil.get_terminal_size().columns)
        text = "\n".join(
            textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
            if len(line) > width
            else line
            for line in text.split("\n")
        )
    with suppress(OSError, ValueError):  # a stderr that takes nothing does not end the command
        typer.echo(text, err=True)


def agreed(question: str, *, yes: bool) -> None:
    """Asks before what cannot be undone, where somebody sits at a terminal; `yes` answers for them. Or Cancelled."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    if not typer.confirm(question, err=True):
        raise Cancelled("nothing was changed")


class Advance(Protocol):
    """Tells a progress bar how far the work is."""

    def __call__(self, done: float, total: float | None = None, /) -> None:
        """`done` is the amount done so far (not the step); `total`, once known, what it will be."""


@contextmanager
def progress(description: str, total: float | None, unit: str = "items") -> Iterator[Advance]:
    """A progress bar on stderr while the block runs, on a terminal only.

    Yields what is to be called with the amount done so far. `unit` "bytes" prints sizes.
    """
    if not sys.stderr.isatty():
        yield lambda done, total=None: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    class Amount(ProgressColumn):
        """`3/10 items`, or `3 items` where nobody knows how many there will be."""

        def render(self, task: Any) -> Text:
            """The words for the state of `task`."""
            among = "" if task.total is None else f"/{int(task.total)}"
            return Text(f"{int(task.completed)}{among} {unit}", style="progress.download")

    amount: list[ProgressColumn] = [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [Amount()]
    columns = [TextColumn("{task.description}"), BarColumn(), *amount, TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)

        def advance(done: float, total: float | None = None, /) -> None:
            bar.update(task, completed=done, total=total)  # a total of None leaves what it was

        yield advance
