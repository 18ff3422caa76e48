"""The leading candidate's text on a terminal while it is drawn, marked as what it is: not the answer yet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edge_ttp.cli.output import harmless

if TYPE_CHECKING:
    from edge_ttp.schema import Event

_LINES_KEPT_FREE = 3
"""Lines of the terminal that the text leaves to what stands around it."""


class _Shown:
    """What the terminal shows now. Rendered by rich."""

    def __init__(self, height: int) -> None:
        self._height = height
        self.text = ""
        self.candidate = 0
        self.wanted = self.ended = self.tokens = 0

    def hear(self, event: Event) -> None:
        """Takes in one event of the request."""
        if event.type == "planned":
            self.wanted = event.n or 0
        elif event.type == "leading":
            self.text, self.candidate = event.text or "", event.candidate or 0
        elif event.type == "finished":
            self.ended += 1
        elif event.type == "progress":
            self.tokens = sum(event.tokens)

    def __rich__(self) -> Any:
        from rich.text import Text

        if not self.wanted:
            return Text("recalling and reading ...", style="dim")
        head = f"drawing {self.wanted} candidates, {self.ended} complete, {self.tokens} tokens"
        if not self.text:
            return Text(head, style="dim")
        lines = harmless(self.text).splitlines()[-max(1, self._height - _LINES_KEPT_FREE) :]
        # What is drawn first need not be what is chosen: the mark says so, in words, not by its colour alone.
        return Text.assemble(
            (f"{head}; candidate {self.candidate + 1} leads, not the answer yet:\n", "dim"),
            ("\n".join(lines), "italic"),
        )


@contextmanager
def leading() -> Iterator[Callable[[Event], None]]:
    """Yields what a request's events are to be given to; shows them on stderr, if that is a terminal, until the end."""
    if not sys.stderr.isatty():
        yield lambda event: None
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    shown = _Shown(console.size.height)
    with Live(shown, console=console, transient=True, refresh_per_second=8, vertical_overflow="crop"):
        yield shown.hear
