"""`edge-ttp app`: a window to write in, for people who want no command line."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_ttp.cli import options
from edge_ttp.cli.output import note

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, help=__doc__)

Browser = Annotated[bool, typer.Option("--browser", help="In the browser, though there is a window.")]


@app.command("app")
def window(
    browser: Browser = False,
    model: options.Model = None,
    reward: options.Reward = None,
    threads: options.Threads = None,
) -> None:
    """Open the window: choose a model, bring your writing, write. Once it runs, this shows it again.

    Needs the extras `app` and `server`; without Qt or a screen the same page opens in the browser.
    """
    run(show=True, browser=browser, model=model, reward=reward, threads=threads)


def run(
    *,
    show: bool,
    browser: bool,
    model: str | None,
    reward: str | None,
    threads: int | None,
    text: str = "",
    clipboard: bool = False,
) -> None:
    """Starts the app, or asks the one that runs; ends with its exit code."""
    from edge_ttp.app.launch import launch
    from edge_ttp.app.single import AppWish
    from edge_ttp.cli.serve import need_server
    from edge_ttp.paths import locate

    need_server("edge-ttp app")
    given = {"--model": model, "--reward": reward, "--threads": threads}
    words = [word for flag, value in given.items() if value is not None for word in (flag, str(value))]
    wish = AppWish(show=show, text=text, clipboard=clipboard)
    code = launch(locate(), wish, say=note, browser=browser, options=words)
    if code:
        raise typer.Exit(code)
