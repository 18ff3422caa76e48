"""`edge-ttp compose`: write like me, anywhere - a small window that a desktop's shortcut can call."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.app import Browser, run
from edge_ttp.cli.options import read_text
from edge_ttp.errors import InvalidInput

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, help=__doc__)


@app.command()
def compose(
    text: Annotated[
        str | None, typer.Argument(help="What to answer; - reads standard input. Default: nothing.")
    ] = None,
    clipboard: Annotated[bool, typer.Option("--clipboard", help="Answer what lies on the clipboard.")] = False,
    browser: Browser = False,
    model: options.Model = None,
    reward: options.Reward = None,
    threads: options.Threads = None,
) -> None:
    """Open the small window: a text in, some answers out, one of them changed and copied - which teaches.

    Bind it to a key of your desktop: edge-ttp compose --clipboard.
    """
    if text is not None and clipboard:
        raise InvalidInput("a text and --clipboard exclude each other", "give one of them")
    given = "" if text is None else read_text(text) if text == "-" else text
    run(
        show=False,
        browser=browser,
        model=model,
        reward=reward,
        threads=threads,
        text=given,
        clipboard=clipboard,
    )
