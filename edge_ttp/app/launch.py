"""Starting the app: one for a home, in a window where one can be had, else in the browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from edge_ttp.app.model_process import ModelProcess
from edge_ttp.app.single import AppWish, Only, first, hand_over
from edge_ttp.app.toolkit import why_no_window
from edge_ttp.errors import HistoryUnavailable, write_cure
from edge_ttp.paths import Paths

ENDING_S = 15.0
"""Longest that an app takes to end: requests under way have five seconds, then its process is killed."""


def launch(
    paths: Paths,
    wish: AppWish,
    *,
    say: Callable[[str], None],
    browser: bool = False,
    options: Sequence[str] = (),
) -> int:
    """Fulfils `wish` in the app that runs already, or in a new one until that ends; its exit code.

    `browser`: in the browser though there is a window. `options`: of the model process (`edge-ttp serve`). `say` takes
    lines for the person. Raises HistoryUnavailable where nothing can be written below the home.
    """
    try:
        only = _first_or_handed(paths, wish)
    except OSError as error:
        raise HistoryUnavailable(f"the app cannot be started ({error.strerror or error})", write_cure(error)) from error
    if only is None:
        say("edge-ttp runs already: shown there")
        return 0
    try:
        why = "as you asked" if browser else why_no_window()
        if why is not None:
            from edge_ttp.app.in_browser import run_in_browser

            say(f"in the browser: {why}")
            only.listen(lambda _: say("edge-ttp runs in the browser already"))
            run_in_browser(paths, wish, say=say, options=options)
            return 0
        process = ModelProcess(options=options)
        process.start()  # while Qt loads
        try:
            from edge_ttp.app.desktop import run_desktop

            return run_desktop(paths, wish, only, process)
        finally:
            process.close()
    finally:
        only.close()


def _first_or_handed(paths: Paths, wish: AppWish) -> Only | None:
    """This process as the home's only app; None where the one that runs took the wish.

    One that is just ending takes none: its place is waited for. Raises HistoryUnavailable where it does not end.
    """
    end = time.monotonic() + ENDING_S
    while True:
        only = first(paths)
        if only is not None or hand_over(paths, wish):
            return only
        if time.monotonic() > end:
            raise HistoryUnavailable("edge-ttp runs already and does not answer", "end it, then start it again")
        time.sleep(0.1)
