"""Starting the app: one for a home, in a window where one can be had, else in the browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_ttp.app.single import AppWish, first, hand_over
from edge_ttp.app.toolkit import why_no_window
from edge_ttp.errors import HistoryUnavailable, write_cure
from edge_ttp.paths import Paths


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
        only = first(paths)
    except OSError as error:
        raise HistoryUnavailable(f"the app cannot be started ({error.strerror or error})", write_cure(error)) from error
    if only is None:
        if hand_over(paths, wish):
            say("edge-ttp runs already: shown there")
            return 0
        raise HistoryUnavailable("edge-ttp runs already and does not answer", "end it, then start it again")
    try:
        why = "as you asked" if browser else why_no_window()
        if why is not None:
            from edge_ttp.app.in_browser import run_in_browser

            say(f"in the browser: {why}")
            only.listen(lambda _: say("edge-ttp runs in the browser already"))
            run_in_browser(paths, wish, say=say, options=options)
            return 0
        from edge_ttp.app.desktop import run_desktop

        return run_desktop(paths, wish, only, options=options)
    finally:
        only.close()
